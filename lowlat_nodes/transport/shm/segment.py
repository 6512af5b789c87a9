# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A segment as its writer has it: made, filled slot by slot, and removed."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import os
import random
import weakref
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.shm.forked import disown_in_child
from lowlat_nodes.transport.shm.host import started_ticks
from lowlat_nodes.transport.shm.layout import (
    ALIVE,
    ANNOUNCED,
    SLOT_LOCKS,
    Header,
    generations,
    segment_name,
    slot_at,
)

_MADV_POPULATE_WRITE = 23  # since Linux 5.14
_FLAGS = os.O_RDWR | os.O_TMPFILE | os.O_CLOEXEC


class Segment:
    """Slots in a file of shared memory that this process writes.

    The file gets its name when it is complete and locked, so nobody meets it half made. Not thread-safe, but
    for `given_back`.

    Args:
        folder: Where shared memory is mounted.
        hint: Goes into the name.
        slots: How many.
        slot_bytes: Size of each, a multiple of the page size.
        group: Number of the group that may read it; None for the user alone.

    Raises:
        OSError: If there is no room for it (ENOSPC), or no shared memory.
    """

    def __init__(self, folder: Path, hint: str, slots: int, slot_bytes: int, group: int | None) -> None:
        header = Header(slots, slot_bytes, os.getpid(), started_ticks())
        self.slot_bytes = slot_bytes
        self.size = header.size
        self.slots = slots
        self.retained: int | None = None
        """A slot that is not written again until another is retained."""
        self.given_back: deque[int] = deque()
        """Slots that loans have left; any thread may append, also while it collects garbage."""
        self._free = deque(range(slots))  # by generation, the oldest first; readers may hold them
        self._generation = 0
        self._slot_type = ctypes.c_ubyte * slot_bytes
        self._descriptor = os.open(folder, _FLAGS, 0o600)
        try:
            _prefer_huge_pages(self._descriptor, self.size)
            os.posix_fallocate(self._descriptor, 0, self.size)
            os.pwrite(self._descriptor, header.pack(), 0)
            if group is not None:
                os.fchown(self._descriptor, -1, group)
                os.fchmod(self._descriptor, 0o640)
            ALIVE.take(self._descriptor)
            itself = f"/proc/self/fd/{self._descriptor}"
            # A mapping keeps a descriptor of its own, also in children; it must not bear the locks.
            unlocked = os.open(itself, os.O_RDWR | os.O_CLOEXEC)
            try:
                self.memory = mmap.mmap(unlocked, self.size, mmap.MAP_SHARED | mmap.MAP_POPULATE)
            finally:
                os.close(unlocked)
            self.name = _link(itself, folder, hint, header)
        except BaseException:
            os.close(self._descriptor)
            raise
        self._remove = weakref.finalize(self, _remove, folder / self.name, self._descriptor, header.process)
        self.closed = False
        """The file has been removed, or belongs to a parent process."""
        self._address = ctypes.addressof(ctypes.c_ubyte.from_buffer(self.memory))
        self._generations = generations(self.memory, slots)
        self._rooms: list[NDArray[Any] | None] = [None] * slots
        disown_in_child(self)

    def close(self) -> None:
        """Remove the file; readers keep what they have leased."""
        self.closed = True
        self._remove()

    def disown(self) -> None:
        """Leave the file to the parent process."""
        self.closed = True
        if self._remove.detach() is not None:
            os.close(self._descriptor)

    @property
    def lent(self) -> bool:
        """Tell whether a slot is being written or on loan."""
        self._take_back()
        return len(self._free) < self.slots

    def take(self) -> int | None:
        """Return the slot that was written longest ago and is read by nobody; its content is void then."""
        if self.given_back:
            self._take_back()
        for slot in self._free:
            if slot != self.retained and SLOT_LOCKS[slot].take(self._descriptor):
                # Should this process die from here on, then nobody takes the slot for what it was.
                self._generations[slot] = 0
                self._free.remove(slot)
                return slot
        return None

    def announce(self, slot: int) -> int:
        """Return the generation that a taken slot will have; readers wait for it from now on."""
        self._generation += 1
        self._generations[slot] = ANNOUNCED | self._generation
        return self._generation

    def publish(self, slot: int, generation: int = 0, *, lent: bool = False) -> int:
        """Let a slot that has been taken be read; return its generation.

        Args:
            slot: The slot.
            generation: As announced; 0 if it was not.
            lent: Arrays on it still exist here; it comes back by `given_back`.
        """
        if not generation:
            generation = self._generation = self._generation + 1
        self._generations[slot] = generation
        SLOT_LOCKS[slot].release(self._descriptor)
        if not lent:
            self._free.append(slot)
        return generation

    def room(self, slot: int, offset: int, like: NDArray[Any]) -> NDArray[Any]:
        """Return an array in a slot for another one of this shape and dtype to be copied into."""
        last = self._rooms[slot]
        if not offset and last is not None and last.shape == like.shape and last.dtype is like.dtype:
            return last
        begin = slot_at(slot, self.slot_bytes) + offset
        made: NDArray[Any] = np.ndarray(like.shape, like.dtype, self.memory, begin)
        if not offset:
            self._rooms[slot] = made  # the next message will most likely be of the same form
        return made

    def on_slot(self, slot: int) -> ctypes.Array[ctypes.c_ubyte]:
        """Return a buffer of a slot that can bear attributes; it does not keep the segment alive."""
        return self._slot_type.from_address(self._address + slot_at(slot, self.slot_bytes))

    def _take_back(self) -> None:
        while self.given_back:
            slot = self.given_back.popleft()
            if 0 < self._generations[slot] < ANNOUNCED:
                self._free.append(slot)
            else:
                if not self.closed:
                    SLOT_LOCKS[slot].release(self._descriptor)
                self._free.appendleft(slot)


def _prefer_huge_pages(descriptor: int, size: int) -> None:
    """Allocate a file in huge pages where its file system has them on advice (tmpfs(5), huge=advise)."""
    os.ftruncate(descriptor, size)
    with contextlib.suppress(OSError), mmap.mmap(descriptor, size) as memory:
        memory.madvise(mmap.MADV_HUGEPAGE)
        memory.madvise(_MADV_POPULATE_WRITE)  # unlike a write it fails where there is no room


def _link(file: str, folder: Path, hint: str, header: Header) -> str:
    """Give the file a name that nothing has, and return it."""
    while True:
        name = segment_name(hint, header.process, header.started_ticks, random.getrandbits(32))
        with contextlib.suppress(FileExistsError):
            # Without a folder's descriptor Python calls link(2), which would not follow.
            os.link(file, folder / name, src_dir_fd=0, follow_symlinks=True)
            return name


def _remove(path: Path, descriptor: int, process: int) -> None:
    if process == os.getpid():
        path.unlink(missing_ok=True)
    os.close(descriptor)
