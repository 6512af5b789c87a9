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

from lowlat_nodes.transport.shm.forked import disown_in_child
from lowlat_nodes.transport.shm.host import started_ticks
from lowlat_nodes.transport.shm.layout import (
    ALIVE,
    ANNOUNCED,
    GENERATION,
    SLOT_LOCKS,
    Header,
    generation_at,
    segment_name,
    slot_at,
)

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
        self.close = weakref.finalize(self, _remove, folder / self.name, self._descriptor, header.process)
        """Removes the file; readers keep what they have leased."""
        self._address = ctypes.addressof(ctypes.c_ubyte.from_buffer(self.memory))
        disown_in_child(self)

    def disown(self) -> None:
        """Leave the file to the parent process."""
        if self.close.detach() is not None:
            os.close(self._descriptor)

    @property
    def closed(self) -> bool:
        """Tell whether the file has been removed, or belongs to a parent process."""
        return not self.close.alive

    @property
    def lent(self) -> bool:
        """Tell whether a slot is being written or on loan."""
        self._take_back()
        return len(self._free) < self.slots

    def take(self) -> int | None:
        """Return the slot that was written longest ago and is read by nobody; its content is void then."""
        self._take_back()
        for slot in self._free:
            if slot != self.retained and SLOT_LOCKS[slot].take(self._descriptor):
                self._free.remove(slot)
                # Should this process die from here on, then nobody takes the slot for what it was.
                self._set_generation(slot, 0)
                return slot
        return None

    def announce(self, slot: int) -> int:
        """Return the generation that a taken slot will have; readers wait for it from now on."""
        self._generation += 1
        self._set_generation(slot, ANNOUNCED | self._generation)
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
        self._set_generation(slot, generation)
        SLOT_LOCKS[slot].release(self._descriptor)
        if not lent:
            self._free.append(slot)
        return generation

    def on_slot(self, slot: int) -> ctypes.Array[ctypes.c_ubyte]:
        """Return a buffer of a slot that can bear attributes; it does not keep the segment alive."""
        return self._slot_type.from_address(self._address + slot_at(slot, self.slot_bytes))

    def _set_generation(self, slot: int, generation: int) -> None:
        GENERATION.pack_into(self.memory, generation_at(slot), generation)

    def _take_back(self) -> None:
        while self.given_back:
            slot = self.given_back.popleft()
            (generation,) = GENERATION.unpack_from(self.memory, generation_at(slot))
            if 0 < generation < ANNOUNCED:
                self._free.append(slot)
            else:
                if not self.closed:
                    SLOT_LOCKS[slot].release(self._descriptor)
                self._free.appendleft(slot)


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
