# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A segment as a reader has it: mapped for reading, its slots leased."""

from __future__ import annotations

import ctypes
import functools
import mmap
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone, SegmentRefused, Unfinished
from lowlat_nodes.transport.shm.forked import disown_in_child
from lowlat_nodes.transport.shm.layout import (
    ALIVE,
    ANNOUNCED,
    PAGE,
    SLOT_LOCKS,
    Header,
    generations,
    is_segment_name,
    parse_header,
    slot_at,
)
from lowlat_nodes.transport.shm.place import Place

_PATIENCE_NS = 50_000_000  # to copy the largest message takes less
_GLANCE_S = 20e-6
_PR_SET_TIMERSLACK = 29
_SLACK_NS = 1_000  # 50 us by default, which every glance would take longer
_precise = threading.local()

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


class _Slot(ctypes.Array[ctypes.c_ubyte]):
    """The memory of a slot; the lease on it ends with the last view."""

    _type_ = ctypes.c_ubyte
    _length_ = 0

    attachment: Attachment
    slot: int

    def __del__(self) -> None:
        self.attachment.give_back(self.slot)


@functools.lru_cache(maxsize=64)
def _slot_type(slot_bytes: int) -> type[_Slot]:
    return type("_SlotOfSize", (_Slot,), {"_length_": slot_bytes})


class Attachment:
    """The mapping of a segment of another process, and the leases on its slots.

    It is unmapped when nothing refers to it any more, neither its reader nor a view.

    Args:
        folder: Where shared memory is mounted.
        name: Name of the segment.
        group: Number of a group whose segments are read as well; None for our own and those of root alone.

    Raises:
        SegmentGone: If there is none of that name.
        SegmentRefused: If it may not be read, or is not a segment.
    """

    def __init__(self, folder: Path, name: str, group: int | None) -> None:
        self._descriptor = -1
        if not is_segment_name(name):
            raise SegmentRefused(f"segment: expected the name of one, got {name[:80]!r}")
        path = folder / name
        try:
            unlocked = os.open(path, _FLAGS)
            try:
                self._header, self._memory = _mapped(unlocked, name, group)
                # A mapping keeps a descriptor of its own, also in children; it must not bear the locks.
                self._descriptor = os.open(f"/proc/self/fd/{unlocked}", os.O_RDONLY | os.O_CLOEXEC)
            finally:
                os.close(unlocked)
        except FileNotFoundError:
            raise SegmentGone(f"segment {name}: its writer has ended or replaced it") from None
        except OSError as error:
            raise SegmentRefused(f"segment {name}: {error.strerror}") from error
        self._generations = generations(self._memory, self._header.slots)
        self._slot_type = _slot_type(self._header.slot_bytes)
        self._address = np.frombuffer(self._memory, np.uint8).__array_interface__["data"][0]
        self._leases = [0] * self._header.slots
        self._given_back: deque[int] = deque()
        self._lock = threading.Lock()
        disown_in_child(self)

    def __del__(self) -> None:
        self.disown()

    def disown(self) -> None:
        """Close the descriptor that bears the locks; in the child of a fork those of the parent remain."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    @property
    def usable(self) -> bool:
        """Tell whether slots can be leased; not so in the child of the process that attached it."""
        return self._descriptor >= 0

    @property
    def ended(self) -> bool:
        """Tell whether the writer has removed the segment, or has ended."""
        return not os.fstat(self._descriptor).st_nlink or not ALIVE.held(self._descriptor)

    def lease(self, place: Place, sizes: Sequence[int]) -> list[memoryview]:
        """Return the bytes of each array of a message.

        Raises:
            Overwritten: If the slot does not hold this message any more.
            Unfinished: If the message was announced, and is not complete for too long.
            SegmentRefused: If it would not lie within the slot.
        """
        slot, slot_bytes = place.slot, self._header.slot_bytes
        if not 0 <= slot < self._header.slots or not 0 < place.generation < ANNOUNCED:
            raise SegmentRefused(
                f"segment: expected a slot below {self._header.slots} and a generation from 1 to 2^63 - 1, "
                f"got {slot} and {place.generation}"
            )
        if len(place.offsets) != len(sizes):
            raise SegmentRefused(f"segment: {len(place.offsets)} places for {len(sizes)} arrays")
        for offset, size in zip(place.offsets, sizes, strict=True):
            if offset < 0 or size < 0 or offset + size > slot_bytes:
                raise SegmentRefused(f"segment: {size} bytes at {offset} are not in a slot of {slot_bytes}")
        if not self._hold(slot, place.generation):
            raise Overwritten(f"segment: slot {slot} has moved on from message {place.generation}")
        memory = self._slot_type.from_address(self._address + slot_at(slot, slot_bytes))
        memory.attachment, memory.slot = self, slot
        view = memoryview(memory).cast("B").toreadonly()
        return [view[offset : offset + size] for offset, size in zip(place.offsets, sizes, strict=True)]

    def give_back(self, slot: int) -> None:
        """End a lease; from any thread and amid anything, as garbage is collected."""
        self._given_back.append(slot)
        self._settle()

    def _hold(self, slot: int, generation: int) -> bool:
        """Lease a slot if it holds a message, or will as soon as its writer is done."""
        deadline_ns = 0
        while True:
            with self._lock:
                held = self._take(slot, generation)
            if self._given_back:
                self._settle()
            if held is not None:
                return held
            # Just complete, just about to be overwritten, or not complete yet.
            if self._generations[slot] & ~ANNOUNCED != generation:
                return False
            now_ns = time.monotonic_ns()
            deadline_ns = deadline_ns or now_ns + _PATIENCE_NS
            if now_ns > deadline_ns:
                raise Unfinished(f"segment: message {generation} in slot {slot} is not complete")
            _pause()  # not in the kernel: a writer that is stopped would hold us for ever

    def _take(self, slot: int, generation: int) -> bool | None:
        """Lease a slot if it holds a message; None while it is being written."""
        if not self._leases[slot] and not SLOT_LOCKS[slot].share(self._descriptor):
            return None
        if self._generations[slot] == generation:
            self._leases[slot] += 1
            return True
        if not self._leases[slot]:
            SLOT_LOCKS[slot].release(self._descriptor)
        return False

    def _settle(self) -> None:
        """Unlock the slots whose last lease has ended.

        Nobody waits here, since whoever holds the lock may be interrupted by the end of a lease in its own
        thread: it looks again when it has let go.
        """
        while self._given_back and self._lock.acquire(blocking=False):
            try:
                while self._given_back:
                    slot = self._given_back.popleft()
                    self._leases[slot] -= 1
                    if not self._leases[slot] and self._descriptor >= 0:
                        SLOT_LOCKS[slot].release(self._descriptor)
            finally:
                self._lock.release()


def _pause() -> None:
    """Sleep for a moment, in a thread whose timers have been made precise for that."""
    if not hasattr(_precise, "timers"):
        _precise.timers = ctypes.CDLL(None).prctl(_PR_SET_TIMERSLACK, _SLACK_NS, 0, 0, 0)
    time.sleep(_GLANCE_S)


def _mapped(descriptor: int, name: str, group: int | None) -> tuple[Header, mmap.mmap]:
    """Return the header and the memory of a file that has the right owner, mode and size."""
    status = os.fstat(descriptor)
    trusted = status.st_uid in {os.geteuid(), 0} or (group is not None and status.st_gid == group)
    if not stat.S_ISREG(status.st_mode) or not trusted:
        raise SegmentRefused(
            f"segment {name}: expected a file of this user, of root or of the chosen group, "
            f"got mode {stat.filemode(status.st_mode)}, user {status.st_uid}, group {status.st_gid}"
        )
    header = parse_header(os.pread(descriptor, PAGE, 0), status.st_size)
    return header, mmap.mmap(descriptor, header.size, mmap.MAP_SHARED | mmap.MAP_POPULATE, mmap.PROT_READ)
