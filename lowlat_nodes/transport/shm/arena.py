# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The memory of a topic: a segment, and those that it has outgrown."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.transport.shm.layout import PAGE, aligned
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.segment import Segment

FEWEST_SLOTS = 2
_GROWTH = 1.5  # of the slots of a segment that replaces another
_RETRY_S = 1.0  # after there was no room for a segment


class Arena:
    """Gives out slots of the size that is asked for, from one segment at a time.

    A segment that is outgrown is removed after as many more messages as it has slots, so that those on their
    way still arrive; at once where memory is short. For one thread at a time.

    Args:
        folder: Where shared memory is mounted.
        hint: Goes into the names of segments.
        slots: How many a segment has; fewer where that many do not fit.
        max_bytes: Memory of all segments.
        group: Number of the group that may read; None for the user alone.
        counts: Where refusals are counted.
    """

    def __init__(
        self, folder: Path, hint: str, slots: int, max_bytes: int, group: int | None, counts: Counters
    ) -> None:
        self._folder = folder
        self._hint = hint
        self._slots = slots
        self._max_bytes = max_bytes
        self._group = group
        self._counts = counts
        self._current: Segment | None = None
        self._retired: list[tuple[Segment, int]] = []  # and after which message they go, the oldest first
        self._published = 0
        self._retry_at = 0.0
        self._closed = False

    def take(self, size: int) -> tuple[Segment, int] | None:
        """Return a slot of at least that many bytes, to be written; None, counted, if there is none."""
        if not self._fits(size) and not self._replace(size):
            return None
        segment = self._current
        assert segment is not None
        slot = segment.take()
        if slot is None:
            self._counts.add("slots_leased")
            return None
        return segment, slot

    def publish(self, segment: Segment, slot: int, generation: int = 0, *, lent: bool = False) -> int:
        """Let a slot be read; return its generation. The segment must not have been closed."""
        generation = segment.publish(slot, generation, lent=lent)
        self._published += 1
        if self._retired:
            self._remove_retired()
        return generation

    def retain(self, place: Place | None) -> None:
        """Keep the slot at that place, and no other, from being written."""
        for segment in self._segments():
            kept = place is not None and segment.name == place.segment
            segment.retained = place.slot if kept and place is not None else None

    def close(self) -> None:
        """Remove all segments, for good."""
        self._closed = True
        for segment in self._segments():
            segment.close()
        self._current = None
        self._retired.clear()

    def _segments(self) -> list[Segment]:
        current = [] if self._current is None else [self._current]
        return [*(segment for segment, _ in self._retired), *current]

    def _fits(self, size: int) -> bool:
        current = self._current
        return current is not None and not current.closed and size <= current.slot_bytes

    def _replace(self, size: int) -> bool:
        """Replace the current segment by one with larger slots; return False, counted, if that cannot be.

        Nobody else may refer to the current one here: the memory of a closed one is free when it is gone.
        """
        slot_bytes = aligned(max(size, 1), PAGE)
        if PAGE + FEWEST_SLOTS * slot_bytes > self._max_bytes:
            self._counts.add("too_large")
            return False
        if self._closed or time.monotonic() < self._retry_at:
            self._counts.add("no_space")
            return False
        room = self._max_bytes - PAGE
        if self._current is not None:
            roomy = aligned(int(_GROWTH * self._current.slot_bytes), PAGE)
            slot_bytes = max(slot_bytes, min(roomy, room // self._slots // PAGE * PAGE))
        slots = min(self._slots, room // slot_bytes)
        self._keep_within(room - slots * slot_bytes)
        try:
            made = self._made(slots, slot_bytes)
        except OSError as error:
            self._counts.add("no_space" if error.errno in {errno.ENOSPC, errno.ENOMEM} else "unavailable")
            self._retry_at = time.monotonic() + _RETRY_S
            return False
        if self._current is not None:
            self._retired.append((self._current, self._published + self._current.slots))
        self._current = made
        return True

    def _made(self, slots: int, slot_bytes: int) -> Segment:
        """Return a new segment, of fewer slots or instead of all others where memory is short."""
        least = PAGE + FEWEST_SLOTS * slot_bytes
        if least > self._free_bytes() >= least - sum(segment.size for segment in self._segments()):
            self._keep_within(0)
        # At most half of what is free, unless two slots need more: others live there too.
        slots = max(FEWEST_SLOTS, min(slots, self._free_bytes() // 2 // slot_bytes))
        # To fill the file system just to see that it does not fit would harm them.
        if self._free_bytes() < PAGE + slots * slot_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return Segment(self._folder, self._hint, slots, slot_bytes, self._group)

    def _free_bytes(self) -> int:
        found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def _keep_within(self, size: int) -> None:
        """Remove segments, the oldest first, until the rest takes no more than so many bytes."""
        for segment in self._segments():
            if sum(each.size for each in self._segments()) > size:
                segment.close()
                self._retired = [entry for entry in self._retired if not entry[0].closed]
                if segment is self._current:
                    self._current = None

    def _remove_retired(self) -> None:
        kept = []
        for segment, last in self._retired:
            if self._published < last or segment.lent or segment.retained is not None:
                kept.append((segment, last))
            else:
                segment.close()
        self._retired = kept
