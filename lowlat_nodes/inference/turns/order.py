# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who has the device next: the earliest deadline first, decided where a segment ends.

That is EDF with preemption points (Baruah 2005, "The limited-preemption uniprocessor scheduling of sporadic
task systems"). Of two equal deadlines the earlier request goes first; jobs without one come last.

Whoever is chosen is *called*, and has the device once it has *come*. In between, a request with an earlier
deadline takes its place, and one that does not come in time, as a stopped process, is passed over.
"""

from __future__ import annotations

from collections.abc import Callable

from lowlat_nodes.inference.turns.page import EARLIEST_WORD, NEVER, REQUEST_WORD, SLOTS, Field, State

PATIENCE_NS = 20_000_000
"""How long the device stays free for a client that was called."""

_REQUESTS = (1 << 62) - 1


class Order:
    """Decides on a page that the caller has locked, for the client of one slot.

    Args:
        words: The page.
        slot: Of the client.
        alive: Whether the client of a slot lives.
        call: Wakes the client of a slot.
    """

    def __init__(
        self, words: memoryview, slot: int, alive: Callable[[int], bool], call: Callable[[int], None]
    ) -> None:
        self._words = words
        self._slot = slot
        self._alive = alive
        self._wake = call

    def ask(self, deadline_ns: int, now_ns: int) -> bool:
        """Ask for the device; return whether it is ours now."""
        request = self._words[REQUEST_WORD] = (self._words[REQUEST_WORD] + 1) & _REQUESTS
        self._words[Field.REQUEST + self._slot] = request
        self._wait(deadline_ns, now_ns)
        return self.come(now_ns)

    def come(self, now_ns: int) -> bool:
        """Take the device if we are called, or nobody is who lives; return whether it is ours now."""
        slot, words = self._slot, self._words
        words[Field.PASSED + slot] = 0
        if words[Field.STATE + slot] in {State.CALLED, State.HOLDING}:
            self._hold(now_ns)
            return True
        words[Field.STATE + slot] = State.WAITING
        current = self._current(now_ns)
        if current >= 0 and words[Field.STATE + current] == State.CALLED and self._before(slot, current):
            words[Field.STATE + current] = State.WAITING
            current = -1
        if current < 0:
            first = self._first()
            if first == slot:
                self._hold(now_ns)
            else:
                self._call(first, now_ns)
        self._publish()
        return words[Field.STATE + slot] == State.HOLDING

    def give_way(self, deadline_ns: int, now_ns: int) -> bool:
        """Wait again if somebody else comes first; return whether the device is still ours."""
        self._wait(deadline_ns, now_ns)
        return self.come(now_ns)

    def give_back(self, now_ns: int) -> None:
        """Stop holding or waiting, and call who comes first."""
        self._words[Field.STATE + self._slot] = State.IDLE
        if self._current(now_ns) < 0:
            self._call(self._first(), now_ns)
        self._publish()

    def stuck(self, now_ns: int) -> bool:
        """Return whether nobody has the device who lives and comes; a look that needs no lock."""
        slot, state = self._holder()
        if slot < 0 or slot == self._slot:
            return True
        if state == State.CALLED and now_ns - self._words[Field.SINCE + slot] > PATIENCE_NS:
            return True
        return not self._alive(slot)

    def holder(self) -> int:
        """Return the slot that is called or has the device, -1 for none; a look that needs no lock."""
        return self._holder()[0]

    def _holder(self) -> tuple[int, int]:
        for slot, state in enumerate(self._states()):
            if state in {State.CALLED, State.HOLDING}:
                return slot, state
        return -1, State.FREE

    def _states(self) -> list[int]:
        return self._words[Field.STATE : Field.STATE + SLOTS].tolist()

    def _wait(self, deadline_ns: int, now_ns: int) -> None:
        self._words[Field.DEADLINE + self._slot] = deadline_ns
        self._words[Field.SINCE + self._slot] = now_ns
        self._words[Field.STATE + self._slot] = State.WAITING

    def _hold(self, now_ns: int) -> None:
        self._words[Field.STATE + self._slot] = State.HOLDING
        self._words[Field.SINCE + self._slot] = now_ns

    def _call(self, slot: int, now_ns: int) -> None:
        if slot >= 0:
            self._words[Field.STATE + slot] = State.CALLED
            self._words[Field.SINCE + slot] = now_ns
            self._wake(slot)

    def _current(self, now_ns: int) -> int:
        """Return the slot that is called or has the device, after those who cannot have been removed."""
        words = self._words
        for slot, state in enumerate(self._states()):
            if state not in {State.CALLED, State.HOLDING}:
                continue
            if not self._alive(slot):
                words[Field.STATE + slot] = State.FREE
            elif state == State.CALLED and now_ns - words[Field.SINCE + slot] > PATIENCE_NS:
                words[Field.STATE + slot] = State.WAITING
                words[Field.PASSED + slot] = 1
            else:
                return slot
        return -1

    def _first(self) -> int:
        """Return the slot that comes first of those that wait, -1 for none."""
        while True:
            waiting = self._waiting()
            if not waiting:
                return -1
            first = min(waiting, key=self._key)
            if self._alive(first):
                return first
            self._words[Field.STATE + first] = State.FREE

    def _waiting(self) -> list[int]:
        passed = self._words[Field.PASSED : Field.PASSED + SLOTS].tolist()
        return [
            slot for slot, state in enumerate(self._states()) if state == State.WAITING and passed[slot] == 0
        ]

    def _publish(self) -> None:
        waiting = self._waiting()
        deadlines = [self._words[Field.DEADLINE + slot] for slot in waiting]
        self._words[EARLIEST_WORD] = min(deadlines, default=NEVER)

    def _before(self, slot: int, other: int) -> bool:
        return self._key(slot) < self._key(other)

    def _key(self, slot: int) -> tuple[int, int]:
        return self._words[Field.DEADLINE + slot], self._words[Field.REQUEST + slot]
