# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one topic into shared memory."""

from __future__ import annotations

import errno
import math
import os
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.shm.groups import group_number
from lowlat_nodes.transport.shm.layout import MAX_SLOTS, PAGE, aligned, slot_at
from lowlat_nodes.transport.shm.loan import Claim, Loan
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.segment import Segment

_FEWEST_SLOTS = 2
_GROWTH = 1.5  # of the slots of a segment that replaces another
_RETRY_S = 1.0  # after there was no room for a segment


class Writer:
    """Writes the messages of one topic, each into the slot that was written longest ago and nobody reads.

    Readers cannot hold it up: where they hold all slots, it says so and the message goes another way. Nothing
    is allocated before the first message, whose size decides that of the slots. A larger message moves the
    topic to a new segment; the old one is removed after as many messages as it has slots.

    Thread-safe.

    Args:
        slots: How many messages readers can hold in all, at most 256. There are fewer, at least 2, where that
            many do not fit into `max_bytes` or into what is left of the shared memory.
        max_bytes: Memory of the topic, not counting what readers hold of a segment that has been removed.
        group: Name of the group that may read it; empty for this user alone.
        name_hint: Shown in the names of the files, such as the topic.
        folder: Where shared memory is mounted.

    Attributes:
        counts: What could not be written, by reason: `slots_leased`, `too_large`, `no_space`, and
            `unavailable` where there is no shared memory.

    Raises:
        ConfigurationError: If the number of slots is out of range, or this process is not in the group.
    """

    def __init__(
        self,
        *,
        slots: int = 8,
        max_bytes: int = 256 << 20,
        group: str = "",
        name_hint: str = "",
        folder: Path = FOLDER,
    ) -> None:
        if not _FEWEST_SLOTS <= slots <= MAX_SLOTS:
            raise ConfigurationError(f"slots: expected from {_FEWEST_SLOTS} to {MAX_SLOTS}, got {slots}")
        self.counts = Counters()
        self._slots = slots
        self._max_bytes = max_bytes
        self._group = group_number(group)
        self._hint = name_hint
        self._folder = folder
        self._lock = threading.Lock()
        self._segment: Segment | None = None
        self._retired: list[tuple[Segment, int]] = []  # and how many messages ago they were to be removed
        self._written = 0
        self._claims: dict[int, weakref.ref[Claim]] = {}  # by address
        self._retry_at = 0.0
        self._closed = False

    def put(self, arrays: Sequence[NDArray[Any]]) -> Place | None:
        """Copy a message into a slot and let it be read.

        Args:
            arrays: Of any shape and plain dtype; they are written in C order.

        Returns:
            Where it lies; None, counted, if it has to go another way.

        Raises:
            ValueError: If an array holds Python objects.
        """
        offsets, size = _laid_out(arrays)
        with self._lock:
            taken = self._take(size)
        if taken is None:
            return None
        segment, slot = taken
        begin = slot_at(slot, segment.slot_bytes)
        try:
            for array, offset in zip(arrays, offsets, strict=True):
                np.copyto(np.ndarray(array.shape, array.dtype, segment.memory, begin + offset), array)
        except BaseException:
            segment.given_back.append(slot)
            raise
        with self._lock:
            return self._publish(segment, slot, offsets)

    def loan(self, shape: tuple[int, ...], dtype: DTypeLike) -> Loan | None:
        """Return memory in a slot for an array that is to be published; its content is undefined.

        Returns:
            The loan; None, counted, if there is none at this time.

        Raises:
            ValueError: If the dtype holds Python objects.
        """
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise ValueError(f"expected a dtype without Python objects, got {kind}")
        with self._lock:
            taken = self._take(math.prod(shape) * kind.itemsize)
            if taken is None:
                return None
            claim = Claim(*taken)
            array = claim.lend(shape, kind)
            self._claims = {a: known for a, known in self._claims.items() if known() is not None}
            self._claims[_address(array)] = weakref.ref(claim)
        return Loan(array, claim)

    def place_of(self, array: NDArray[Any]) -> Loan | None:
        """Return the loan at whose beginning an array lies; None where it is elsewhere, or published."""
        if not self._claims or not array.flags.c_contiguous:
            return None
        known = self._claims.get(_address(array))
        claim = None if known is None else known()
        if claim is None or not claim.open or array.nbytes > claim.segment.slot_bytes:
            return None
        return Loan(array, claim)

    def commit(self, loan: Loan) -> Place | None:
        """Let a loan be read, without a copy; nothing can be written to its array from then on.

        Returns:
            Where it lies; None, counted, if it has to go another way.

        Raises:
            ValueError: If it has been published or given back.
        """
        claim, array = loan.claim, loan.array
        with self._lock:
            if not claim.open:
                raise ValueError("this loan has been published: take a new one for the next message")
            claim.open = False
            lent = None if claim.array is None else claim.array()
            for each in (array, lent):
                if each is not None:
                    each.flags.writeable = False
            if not claim.segment.closed:
                return self._publish(claim.segment, claim.slot, (0,), lent=True)
        return self.put([array])  # larger messages have come since

    def retain(self, place: Place | None) -> None:
        """Keep the slot of a message until another is retained, for readers that come later.

        Args:
            place: Where it lies; None to retain none.
        """
        with self._lock:
            for segment in self._segments():
                segment.retained = None
                if place is not None and segment.name == place.segment:
                    segment.retained = place.slot

    def close(self) -> None:
        """Remove the shared memory; readers and loans keep what they hold."""
        with self._lock:
            self._closed = True
            for segment in self._segments():
                segment.close()
            self._segment = None
            self._retired.clear()

    def _segments(self) -> list[Segment]:
        current = [] if self._segment is None else [self._segment]
        return [*current, *(segment for segment, _ in self._retired)]

    def _take(self, size: int) -> tuple[Segment, int] | None:
        """Return a slot of at least that size; None, counted, if there is none."""
        segment = self._segment
        if segment is None or segment.closed or segment.slot_bytes < size:
            segment = self._replaced(size)
            if segment is None:
                return None
        slot = segment.take()
        if slot is None:
            self.counts.add("slots_leased")
            return None
        return segment, slot

    def _publish(self, segment: Segment, slot: int, offsets: tuple[int, ...], *, lent: bool = False) -> Place:
        generation = segment.publish(slot, lent=lent)
        self._written += 1
        if self._retired:
            self._remove_retired()
        return Place(segment.name, slot, generation, offsets)

    def _replaced(self, size: int) -> Segment | None:
        """Return a segment with larger slots, in place of the present one."""
        slot_bytes = aligned(max(size, 1), PAGE)
        if PAGE + _FEWEST_SLOTS * slot_bytes > self._max_bytes:
            self.counts.add("too_large")
            return None
        if self._closed or time.monotonic() < self._retry_at:
            self.counts.add("no_space")
            return None
        old, room = self._segment, self._max_bytes - PAGE
        if old is not None and not old.closed:
            roomy = aligned(max(slot_bytes, int(_GROWTH * old.slot_bytes)), PAGE)
            slot_bytes = min(roomy, max(slot_bytes, room // self._slots // PAGE * PAGE))
            self._retire(old, self._slots * slot_bytes)
        self._segment = self._made(slot_bytes, min(self._slots, room // slot_bytes))
        return self._segment

    def _made(self, slot_bytes: int, slots: int) -> Segment | None:
        """Return a new segment, of fewer slots where memory is short; None, counted, if none fits."""
        reason = "no_space"
        while slots >= _FEWEST_SLOTS:
            try:
                file_system = os.statvfs(self._folder)
                if file_system.f_bavail * file_system.f_frsize >= PAGE + slots * slot_bytes:
                    return Segment(self._folder, self._hint, slots, slot_bytes, self._group)
            except OSError as error:
                if error.errno not in {errno.ENOSPC, errno.ENOMEM}:
                    reason = "unavailable"
                    break
            slots //= 2
        self.counts.add(reason)
        self._retry_at = time.monotonic() + _RETRY_S
        return None

    def _retire(self, old: Segment, more: int) -> None:
        """Have a segment removed when its messages have had time to arrive, or now if memory is short."""
        self._retired.append((old, self._written + old.slots))
        self._segment = None
        total = sum(segment.size for segment, _ in self._retired)
        while self._retired and total + more > self._max_bytes:
            segment, _ = self._retired.pop(0)
            segment.close()
            total -= segment.size

    def _remove_retired(self) -> None:
        kept = []
        for segment, last in self._retired:
            if self._written < last or segment.lent or segment.retained is not None:
                kept.append((segment, last))
            else:
                segment.close()
        self._retired = kept


def _laid_out(arrays: Sequence[NDArray[Any]]) -> tuple[tuple[int, ...], int]:
    """Return where each array begins in a slot, and where the last ends."""
    offsets = []
    end = 0
    for array in arrays:
        if array.dtype.hasobject:
            raise ValueError(f"expected arrays without Python objects, got {array.dtype}")
        begin = aligned(end)
        offsets.append(begin)
        end = begin + array.nbytes
    return tuple(offsets), end


def _address(array: NDArray[Any]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address
