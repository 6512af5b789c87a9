# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of one topic into shared memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.abandoned import FOLDER
from lowlat_nodes.transport.shm.arena import FEWEST_SLOTS, Arena
from lowlat_nodes.transport.shm.groups import group_number
from lowlat_nodes.transport.shm.layout import MAX_SLOTS, laid_out
from lowlat_nodes.transport.shm.loan import Claim, Loan, Loans, plain, seal
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.segment import Segment


class SlotClaim(Claim):
    """A slot that arrays of this process lie in."""

    def __init__(self, segment: Segment, slot: int) -> None:
        super().__init__()
        self.segment = segment
        self.slot = slot

    def __del__(self) -> None:
        # In whichever thread the last array goes away, perhaps amid anything: no locks here.
        self.segment.given_back.append(self.slot)


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
        retains: Readers that come later can lease what is retained.

    Raises:
        ConfigurationError: If the number of slots is out of range, or this process is not in the group.
    """

    retains = True

    def __init__(
        self,
        *,
        slots: int = 8,
        max_bytes: int = 256 << 20,
        group: str = "",
        name_hint: str = "",
        folder: Path = FOLDER,
    ) -> None:
        if not FEWEST_SLOTS <= slots <= MAX_SLOTS:
            raise ConfigurationError(f"slots: expected from {FEWEST_SLOTS} to {MAX_SLOTS}, got {slots}")
        self.counts = Counters()
        self._arena = Arena(folder, name_hint, slots, max_bytes, group_number(group), self.counts)
        self._loans = Loans()
        self._lock = threading.Lock()  # on both

    def put(
        self, arrays: Sequence[NDArray[Any]], announce: Callable[[Place], None] | None = None
    ) -> Place | None:
        """Copy a message into a slot and let it be read.

        Args:
            arrays: Of any shape and plain dtype; they are written in C order.
            announce: Called before the copy, so that the message is on its way meanwhile: readers wait for
                what is not there yet. May be called again, for another place.

        Returns:
            Where it lies; None, counted, if it has to go another way.

        Raises:
            ValueError: If an array holds Python objects.
        """
        for array in arrays:
            plain(array.dtype)
        offsets, size = laid_out([array.nbytes for array in arrays])
        with self._lock:
            taken = self._arena.take(size)
            if taken is None:
                return None
            segment, slot = taken
            place = Place(segment.name, slot, segment.announce(slot), offsets)
        try:
            if announce is not None:
                announce(place)
            for array, offset in zip(arrays, offsets, strict=True):
                np.copyto(segment.room(slot, offset, array), array)
        except BaseException:
            segment.given_back.append(slot)
            raise
        with self._lock:
            if not segment.closed:
                self._arena.publish(segment, slot, place.generation)
                return place
        return self.put(arrays, announce)  # another thread has put a larger message since

    def loan(self, shape: tuple[int, ...], dtype: DTypeLike) -> Loan | None:
        """Return memory in a slot for an array that is to be published; its content is undefined.

        Returns:
            The loan; None, counted, if there is none at this time.

        Raises:
            ValueError: If the dtype holds Python objects.
        """
        kind = plain(np.dtype(dtype))
        with self._lock:
            taken = self._arena.take(math.prod(shape) * kind.itemsize)
            if taken is None:
                return None
            segment, slot = taken
            return self._loans.lend(SlotClaim(segment, slot), segment.on_slot(slot), shape, kind)

    def place_of(self, array: NDArray[Any]) -> Loan | None:
        """Return the loan at whose beginning an array lies; None where it is elsewhere, or published."""
        return self._loans.find(array)

    def commit(self, loan: Loan) -> Place | None:
        """Let a loan be read, without a copy; nothing can be written to its array from then on.

        Returns:
            Where it lies; None, counted, if it has to go another way.

        Raises:
            ValueError: If it has been published or given back.
        """
        claim = loan.claim
        assert isinstance(claim, SlotClaim)
        with self._lock:
            seal(loan)
            segment, slot = claim.segment, claim.slot
            if not segment.closed:
                return Place(segment.name, slot, self._arena.publish(segment, slot, lent=True), (0,))
        return self.put([loan.array])  # larger messages have come since

    def retain(self, place: Place | None) -> None:
        """Keep the slot of a message until another is retained, for readers that come later.

        Args:
            place: Where it lies; None to retain none.
        """
        with self._lock:
            self._arena.retain(place)

    def close(self) -> None:
        """Remove the shared memory; readers and loans keep what they hold."""
        with self._lock:
            self._arena.close()
