# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a transport needs of shared memory, and which implementation of it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from numpy.typing import DTypeLike, NDArray

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.transport.shm.errors import SegmentRefused
from lowlat_nodes.transport.shm.iceoryx import PREFIX, IceoryxReader, IceoryxWriter
from lowlat_nodes.transport.shm.loan import Loan
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer

BACKENDS = ("auto", "slots", "iceoryx2")
"""`slots` is ours; `auto` takes it, because it needs nothing else and a full /dev/shm does not kill it."""


class SharedWriter(Protocol):
    """Writes the messages of one topic into shared memory; see `Writer` for what each method does.

    Attributes:
        counts: What could not be written, by reason.
        retains: Whether readers that come later can lease what is retained.
    """

    counts: Counters
    retains: bool

    def put(
        self, arrays: Sequence[NDArray[Any]], announce: Callable[[Place], None] | None = None
    ) -> Place | None:
        """Copy a message into shared memory; None where it has to go another way."""

    def loan(self, shape: tuple[int, ...], dtype: DTypeLike) -> Loan | None:
        """Return memory to fill; None if there is none at this time."""

    def place_of(self, array: NDArray[Any]) -> Loan | None:
        """Return the loan that an array lies on, if it can still be published."""

    def commit(self, loan: Loan) -> Place | None:
        """Let a loan be read; None where it has to go another way."""

    def retain(self, place: Place | None) -> None:
        """Keep a message for readers that come later."""

    def close(self) -> None:
        """Remove the shared memory; leases stay valid."""


class SharedReader(Protocol):
    """Reads messages where they lie; see `Reader` for what each method does."""

    def lease(self, place: Place, sizes: Sequence[int]) -> list[memoryview]:
        """Return read-only views on the arrays of a message."""

    def sweep(self) -> None:
        """Unmap what belongs to writers that have ended."""

    def close(self) -> None:
        """Unmap what is not leased."""


def open_writer(
    backend: str = "auto",
    *,
    slots: int = 8,
    max_bytes: int = 256 << 20,
    group: str = "",
    name_hint: str = "",
) -> SharedWriter:
    """Return a writer of the named backend; the other arguments are those of `Writer`.

    Raises:
        ConfigurationError: If there is no such backend, or it cannot do what is asked.
        MissingExtra: If it is not installed.
    """
    if backend not in BACKENDS:
        raise ConfigurationError(f"shared memory: expected one of {', '.join(BACKENDS)}, got {backend!r}")
    make: Callable[..., SharedWriter] = Writer
    if backend == "iceoryx2":
        make = IceoryxWriter
    return make(slots=slots, max_bytes=max_bytes, group=group, name_hint=name_hint)


class AnyReader:
    """Reads from writers of any backend, as the names of their segments tell.

    Where iceoryx2 is not installed, its segments are refused like others that cannot be opened here.

    Args:
        group: As of `Reader`; segments of iceoryx2 are always of this user.
    """

    def __init__(self, *, group: str = "") -> None:
        self._slots = Reader(group=group)
        self._iceoryx: SharedReader | None = None

    def lease(self, place: Place, sizes: Sequence[int]) -> list[memoryview]:
        """Return the bytes of each array of a message, read-only and without a copy.

        Raises:
            LeaseError: As `Reader.lease`.
        """
        if not place.segment.startswith(PREFIX):
            return self._slots.lease(place, sizes)
        if self._iceoryx is None:
            try:
                self._iceoryx = IceoryxReader()
            except MissingExtra as error:
                raise SegmentRefused(str(error)) from error
        return self._iceoryx.lease(place, sizes)

    def sweep(self) -> None:
        """Unmap segments whose writer has ended or replaced them."""
        self._slots.sweep()
        if self._iceoryx is not None:
            self._iceoryx.sweep()

    def close(self) -> None:
        """Unmap what is not leased; leases stay valid."""
        self._slots.close()
        if self._iceoryx is not None:
            self._iceoryx.close()
