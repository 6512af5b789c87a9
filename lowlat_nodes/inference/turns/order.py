# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who has the device next: the earliest deadline first, decided where a segment ends.

That is EDF with preemption points (Baruah 2005, "The limited-preemption uniprocessor scheduling of sporadic
task systems"). Of two equal deadlines the earlier request goes first; jobs without one come last.

Whoever is chosen is *called*, and has the device once it has *come* and locked it. In between, a request with
an earlier deadline takes its place, and one that does not come in time, as a stopped process, is passed over.
"""

from __future__ import annotations

from typing import Protocol

from lowlat_nodes.inference.turns.page import EARLIEST_WORD, NEVER, REQUEST_WORD, SLOTS, Field, State

PATIENCE_NS = 100_000_000
"""How long the device stays free for a client that was called."""

_REQUESTS = (1 << 62) - 1


class Place(Protocol):
    """A slot of ours in a page, and what the kernel knows of the others there.

    Attributes:
        words: The page.
        slot: Our slot.
    """

    words: memoryview
    slot: int

    def alive(self, slot: int) -> bool:
        """Return whether the client of a slot lives."""
        ...

    def wake(self, slot: int) -> None:
        """Wake the client of a slot if it waits."""
        ...

    def take_device(self) -> bool:
        """Lock the device, and return whether nobody else had it."""
        ...

    def leave_device(self) -> None:
        """Unlock the device if it was ours."""
        ...

    def device_taken(self) -> bool:
        """Return whether somebody else has the device locked."""
        ...


class Order:
    """Decides for one client, on a page that the caller has locked where it is not said otherwise.

    Args:
        place: Its slot.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._words = place.words
        self._slot = place.slot

    def ask(self, deadline_ns: int, now_ns: int) -> bool:
        """Ask for the device; return whether it is ours now."""
        request = self._words[REQUEST_WORD] = (self._words[REQUEST_WORD] + 1) & _REQUESTS
        self._words[Field.REQUEST + self._slot] = request
        self._wait(deadline_ns, now_ns)
        return self.come(now_ns)

    def come(self, now_ns: int) -> bool:
        """Take the device if it is our turn; return whether it is ours now."""
        slot, words = self._slot, self._words
        words[Field.PASSED + slot] = 0
        if words[Field.STATE + slot] != State.CALLED or self._place.device_taken():
            words[Field.STATE + slot] = State.WAITING
        if not self._place.device_taken():
            called = self._called(now_ns)
            if called >= 0 and called != slot and self._key(slot) < self._key(called):
                words[Field.STATE + called] = State.WAITING
                called = -1
            if called < 0:
                called = self._first()
                if called != slot:
                    self._call(called, now_ns)
            if called == slot and self._place.take_device():
                words[Field.STATE + slot] = State.HOLDING
                words[Field.SINCE + slot] = now_ns
        self._publish()
        return words[Field.STATE + slot] == State.HOLDING

    def give_way(self, deadline_ns: int, now_ns: int) -> bool:
        """Let others go before us if they come first; return whether the device is still ours."""
        self._place.leave_device()
        self._wait(deadline_ns, now_ns)
        return self.come(now_ns)

    def give_back(self, now_ns: int) -> None:
        """Hold the device or wait for it no longer, and call who comes first."""
        self._words[Field.STATE + self._slot] = State.IDLE
        self._place.leave_device()
        if not self._place.device_taken() and self._called(now_ns) < 0:
            self._call(self._first(), now_ns)
        self._publish()

    def undecided(self, now_ns: int) -> bool:
        """Return whether nobody has the device or comes to get it; a look that needs no lock."""
        if self._place.device_taken():
            return False
        slot = self._in(State.CALLED)
        return (
            slot < 0
            or slot == self._slot
            or now_ns - self._words[Field.SINCE + slot] > PATIENCE_NS
            or not self._place.alive(slot)
        )

    def holder(self) -> int:
        """Return the slot that has the device or is called, -1 for none; a look that needs no lock."""
        slot = self._in(State.HOLDING)
        return slot if slot >= 0 else self._in(State.CALLED)

    def _wait(self, deadline_ns: int, now_ns: int) -> None:
        self._words[Field.DEADLINE + self._slot] = deadline_ns
        self._words[Field.SINCE + self._slot] = now_ns
        self._words[Field.STATE + self._slot] = State.WAITING

    def _call(self, slot: int, now_ns: int) -> None:
        if slot >= 0:
            self._words[Field.STATE + slot] = State.CALLED
            self._words[Field.SINCE + slot] = now_ns
            self._place.wake(slot)

    def _called(self, now_ns: int) -> int:
        """Return the slot that is called, after those who are dead or do not come have been passed over."""
        words = self._words
        while (slot := self._in(State.HOLDING)) >= 0:  # nobody has the device: it died, or never had it
            words[Field.STATE + slot] = State.IDLE if self._place.alive(slot) else State.FREE
        while (slot := self._in(State.CALLED)) >= 0:
            if not self._place.alive(slot):
                words[Field.STATE + slot] = State.FREE
            elif slot != self._slot and now_ns - words[Field.SINCE + slot] > PATIENCE_NS:
                words[Field.STATE + slot] = State.WAITING
                words[Field.PASSED + slot] = 1
            else:
                break
        return slot

    def _first(self) -> int:
        """Return the slot that comes first of those that wait, -1 for none."""
        while waiting := self._waiting():
            first = min(waiting, key=self._key)
            if self._place.alive(first):
                return first
            self._words[Field.STATE + first] = State.FREE
        return -1

    def _waiting(self) -> list[int]:
        states = self._states()
        if State.WAITING not in states:
            return []
        passed = self._words[Field.PASSED : Field.PASSED + SLOTS].tolist()
        return [slot for slot, state in enumerate(states) if state == State.WAITING and not passed[slot]]

    def _publish(self) -> None:
        deadlines = [self._words[Field.DEADLINE + slot] for slot in self._waiting()]
        self._words[EARLIEST_WORD] = min(deadlines, default=NEVER)

    def _in(self, state: int) -> int:
        """Return the first slot in a state, -1 for none."""
        states = self._states()
        return states.index(state) if state in states else -1

    def _states(self) -> list[int]:
        return self._words[Field.STATE : Field.STATE + SLOTS].tolist()

    def _key(self, slot: int) -> tuple[int, int]:
        return self._words[Field.DEADLINE + slot], self._words[Field.REQUEST + slot]
