# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The same through iceoryx2 (https://iceoryx.io, extra `iceoryx2`), for hosts whose processes use it anyway.

Each segment is a service of its own with one publisher; a message is a sample whose user header bears the
generation. There the publisher delivers to every subscriber port, and a port has seen nothing before it was
opened; so a place can be leased once by each reader, the first one that a reader is told is lost to it, and
readers that come later cannot lease what is retained. docs/shared_memory.md compares the two.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone, SegmentRefused
from lowlat_nodes.transport.shm.host import started_ticks
from lowlat_nodes.transport.shm.layout import (
    ALIGNMENT,
    PAGE,
    aligned,
    is_segment_name,
    laid_out,
    segment_name,
)
from lowlat_nodes.transport.shm.loan import Claim, Loan, Loans, plain, seal
from lowlat_nodes.transport.shm.place import Place

PREFIX = "iceoryx2_"
_QUEUED = 4  # samples that wait in each subscriber port and, being shared by all of them, take as many slots
_READERS = 16
_OPEN = 16  # services of one reader
_CLEAN_S = 1.0  # between searches for the dead, which take a millisecond


class _Header(ctypes.Structure):
    """The user header of a sample."""

    _fields_ = (("generation", ctypes.c_uint64),)

    @staticmethod
    def type_name() -> str:
        """Return what iceoryx2 compares when a service is opened."""
        return "lowlat_nodes.generation"


class _Service:
    """A service as its writer has it.

    Args:
        name: Its name.
        slots: How many messages readers can hold in all.
        slot_bytes: The largest message.
    """

    def __init__(self, name: str, slots: int, slot_bytes: int) -> None:
        self.name = name
        self.slot_bytes = slot_bytes
        self.generation = 0
        self._node = _node()
        service = (
            _service(self._node, name)
            .enable_safe_overflow(True)
            .history_size(_QUEUED)
            .subscriber_max_buffer_size(_QUEUED)
            .subscriber_max_borrowed_samples(slots)
            .max_publishers(1)
            .max_subscribers(_READERS + 1)
            .max_nodes(_READERS + 1)
            .create()
        )
        self.publisher = (
            service.publisher_builder()
            .initial_max_slice_len(slot_bytes)
            .allocation_strategy(library().AllocationStrategy.Static)
            .backpressure_strategy(library().BackpressureStrategy.DiscardData)
            .max_loaned_samples(slots)
            .override_sample_preallocation(slots + _QUEUED)
            .create()
        )
        self._own = service.subscriber_builder().create()
        self._service = service

    def loan(self, size: int) -> Any:
        """Return a sample to be filled; None if there is none at this time."""
        try:
            return self.publisher.loan_slice_uninit(size)
        except library().LoanError:
            return None

    def clean(self) -> None:
        """Take back what readers that were killed hold."""
        self._node.try_cleanup_dead_nodes()
        # Otherwise done when a sample is sent, and there is none to send.
        self.publisher.update_connections()

    def send(self, sample: Any) -> int:
        """Deliver a sample; return its generation."""
        self.generation += 1
        sample.user_header().contents.generation = self.generation
        sample.assume_init().send()
        return self.generation

    def borrowed(self, generation: int) -> Any:
        """Return a sample that has just been sent, as a reader would hold it; None if that cannot be."""
        return _received(self._own, generation)


class _SampleClaim(Claim):
    """A sample that arrays of this process lie in."""

    def __init__(self, service: _Service, sample: Any) -> None:
        super().__init__()
        self.service = service
        self.sample = sample


class IceoryxWriter:
    """Writes the messages of one topic as samples of iceoryx2; as `Writer` otherwise.

    Raises:
        ConfigurationError: If a group is given: samples are for processes of this user.
        MissingExtra: If iceoryx2 is not installed.
    """

    retains = False

    def __init__(
        self, *, slots: int = 8, max_bytes: int = 256 << 20, group: str = "", name_hint: str = ""
    ) -> None:
        if group:
            raise ConfigurationError(
                f"shared memory: iceoryx2 shares with processes of the same user only, not with the group "
                f"{group!r}; take backend 'slots'"
            )
        library()
        self.counts = Counters()
        self._slots = slots
        self._max_bytes = max_bytes
        self._hint = name_hint
        self._lock = threading.Lock()
        self._loans = Loans()
        self._service: _Service | None = None
        self._former: _Service | None = None  # for the messages on their way
        self._clean_at = 0.0
        self._closed = False

    def put(
        self, arrays: Sequence[NDArray[Any]], announce: Callable[[Place], None] | None = None
    ) -> Place | None:
        """Copy a message into a sample and deliver it; None, counted, if it has to go another way.

        It is announced afterwards: nobody could wait for what is not there yet.
        """
        kinds = [plain(array.dtype) for array in arrays]
        offsets, size = laid_out([array.nbytes for array in arrays])
        with self._lock:
            loaned = self._loaned(size)
            if loaned is None:
                return None
            service, sample = loaned
            memory = memoryview(_buffer(sample.payload_ptr, max(size, 1)))
            for array, kind, offset in zip(arrays, kinds, offsets, strict=True):
                np.copyto(np.ndarray(array.shape, kind, memory, offset), array)
            place = Place(service.name, 0, service.send(sample), offsets)
        if announce is not None:
            announce(place)
        return place

    def loan(self, shape: tuple[int, ...], dtype: DTypeLike) -> Loan | None:
        """Return memory in a sample for an array; None, counted, if there is none at this time."""
        kind = plain(np.dtype(dtype))
        with self._lock:
            size = math.prod(shape) * kind.itemsize
            loaned = self._loaned(size)
            if loaned is None:
                return None
            service, sample = loaned
            memory = _buffer(sample.payload_ptr, max(size, 1))
            return self._loans.lend(_SampleClaim(service, sample), memory, shape, kind)

    def place_of(self, array: NDArray[Any]) -> Loan | None:
        """Return the loan at whose beginning an array lies; None where it is elsewhere, or published."""
        return self._loans.find(array)

    def commit(self, loan: Loan) -> Place | None:
        """Deliver a loan without a copy; nothing can be written to its array from then on.

        Raises:
            ValueError: If it has been published or given back.
        """
        claim = loan.claim
        assert isinstance(claim, _SampleClaim)
        with self._lock:
            seal(loan)
            generation = claim.service.send(claim.sample)
            # Sent, it belongs to those who receive it; the arrays here need it as well.
            claim.sample = claim.service.borrowed(generation)
            return Place(claim.service.name, 0, generation, (0,))

    def retain(self, place: Place | None) -> None:
        """Do nothing: what was sent before a reader came cannot reach it."""

    def close(self) -> None:
        """Remove the service; readers keep what they hold."""
        with self._lock:
            self._closed = True
            self._service = self._former = None

    def _loaned(self, size: int) -> tuple[_Service, Any] | None:
        if self._service is None or self._service.slot_bytes < size:
            slot_bytes = aligned(max(size, 1), PAGE)
            if slot_bytes * (self._slots + _QUEUED) > self._max_bytes:
                self.counts.add("too_large")
                return None
            if self._closed:
                self.counts.add("no_space")
                return None
            number = random.getrandbits(32)
            name = PREFIX + segment_name(self._hint, os.getpid(), started_ticks(), number)
            self._former, self._service = self._service, _Service(name, self._slots, slot_bytes)
        sample = self._service.loan(max(size, 1))
        if sample is None and time.monotonic() >= self._clean_at:
            self._clean_at = time.monotonic() + _CLEAN_S
            self._service.clean()
            sample = self._service.loan(max(size, 1))
        if sample is None:
            self.counts.add("slots_leased")
            return None
        return self._service, sample


class IceoryxReader:
    """Leases samples by the places that an `IceoryxWriter` tells; as `Reader` otherwise.

    A place can be leased again only as long as views of an earlier lease are left.

    Raises:
        MissingExtra: If iceoryx2 is not installed.
    """

    def __init__(self) -> None:
        self._node = _node()
        self._opened: dict[str, _Subscription] = {}  # the one used last is last
        self._lock = threading.Lock()

    def lease(self, place: Place, sizes: Sequence[int]) -> list[memoryview]:
        """Return the bytes of each array of a message, read-only and without a copy.

        Raises:
            Overwritten: If the message is not there any more, or was sent before this reader came.
            SegmentGone: If the service has ended.
            SegmentRefused: If it is not one of ours, or the place is not in the sample.
        """
        if len(place.offsets) != len(sizes):
            raise SegmentRefused(f"iceoryx2: {len(place.offsets)} places for {len(sizes)} arrays")
        with self._lock:
            memory = self._subscription(place.segment).leased(place.generation)
        for offset, size in zip(place.offsets, sizes, strict=True):
            if offset < 0 or size < 0 or offset + size > len(memory):
                raise SegmentRefused(f"iceoryx2: {size} bytes at {offset} are not in one of {len(memory)}")
        view = memoryview(memory).cast("B").toreadonly()
        return [view[offset : offset + size] for offset, size in zip(place.offsets, sizes, strict=True)]

    def sweep(self) -> None:
        """Remove what dead processes of this user left in iceoryx2."""
        with self._lock:
            self._node.try_cleanup_dead_nodes()

    def close(self) -> None:
        """Leave all services; leases stay valid."""
        with self._lock:
            self._opened.clear()

    def _subscription(self, name: str) -> _Subscription:
        known = self._opened.pop(name, None)
        if known is None:
            if not name.startswith(PREFIX) or not is_segment_name(name.removeprefix(PREFIX)):
                raise SegmentRefused(f"iceoryx2: expected the name of a service of ours, got {name[:80]!r}")
            known = _Subscription(self._node, name)
            while len(self._opened) >= _OPEN:
                del self._opened[next(iter(self._opened))]
        self._opened[name] = known
        return known


class _Subscription:
    """A service as one reader has it."""

    def __init__(self, node: Any, name: str) -> None:
        try:
            self._service = _service(node, name).open()
            self._port = self._service.subscriber_builder().create()
        except library().PublishSubscribeOpenError as error:
            raise SegmentGone(f"iceoryx2: service {name}: {error}") from error
        except library().SubscriberCreateError as error:
            raise SegmentRefused(f"iceoryx2: service {name}: {error}") from error
        self._ahead: Any = None  # received, but of a message that was not asked for yet
        self._leased: weakref.WeakValueDictionary[int, ctypes.Array[ctypes.c_ubyte]]
        self._leased = weakref.WeakValueDictionary()

    def leased(self, generation: int) -> ctypes.Array[ctypes.c_ubyte]:
        """Return the memory of a message; it bears its sample."""
        memory = self._leased.get(generation)
        if memory is not None:
            return memory
        sample, self._ahead = self._ahead, None
        if sample is None or _generation(sample) < generation:
            del sample
            sample = _received(self._port, generation)
        if sample is not None and _generation(sample) > generation:
            self._ahead, sample = sample, None
        if sample is None:
            raise Overwritten(f"iceoryx2: message {generation} is not there any more, or too many are held")
        memory = _buffer(sample.payload_ptr, sample.payload().len())
        memory.sample = sample  # type: ignore[attr-defined]
        self._leased[generation] = memory
        return memory


@functools.cache
def library() -> Any:
    """Return the module of iceoryx2, which says no more than errors.

    Raises:
        MissingExtra: If it is not installed.
    """
    try:
        import iceoryx2
    except ImportError:
        raise MissingExtra("iceoryx2", "iceoryx2") from None
    iceoryx2.set_log_level_from_env_or(iceoryx2.LogLevel.Error)
    return iceoryx2


def _node() -> Any:
    found = library()
    builder = found.NodeBuilder.new().signal_handling_mode(found.SignalHandlingMode.Disabled)
    return builder.create(found.ServiceType.Ipc)


def _service(node: Any, name: str) -> Any:
    """Return the builder of a service that a writer makes and readers open."""
    found = library()
    return (
        node.service_builder(found.ServiceName.new(name))
        .publish_subscribe(found.Slice[ctypes.c_uint8])
        .user_header(_Header)
        .payload_alignment(found.Alignment.new(ALIGNMENT))
    )


def _generation(sample: Any) -> int:
    return int(sample.user_header().contents.generation)


def _received(port: Any, generation: int) -> Any:
    """Return the first sample of that generation or a later one; None if there is none."""
    try:
        while (sample := port.receive()) is not None:
            if _generation(sample) >= generation:
                return sample
    except library().ReceiveError:  # this process holds as many as it may
        return None
    return None


def _buffer(address: int, size: int) -> ctypes.Array[ctypes.c_ubyte]:
    return (ctypes.c_ubyte * size).from_address(address)
