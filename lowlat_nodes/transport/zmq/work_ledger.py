# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who has which work, and what becomes of it when they die; knows no sockets and no clock."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_MAX_HELD = 1 << 20
"""How many messages a worker may hold of which none has failed before; credit and window are less."""

_COMPANY = 64  # of a message that failed once; each further time a quarter, and at last none


@dataclass(slots=True, eq=False)
class Item:
    """A message that is not done yet.

    Attributes:
        number: Counts what was added, from 0.
        frames: The message.
        failures: How many workers died, or fell silent, with it in hand.
        holder: Who has it; None while it waits.
        failed: Name of the worker that was the newest to fail with it.
        dead: Whether no worker gets it any more.
    """

    number: int
    frames: list[bytes]
    failures: int = 0
    holder: Worker | None = None
    failed: str = ""
    dead: bool = False

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(map(len, self.frames))


@dataclass(slots=True, eq=False)
class Worker:
    """Somebody who takes work.

    Attributes:
        name: Chosen by the worker; stays the same when it connects anew.
        session: Counts its connections.
        limit: How many messages of this session it has asked for.
        silent_ns: It is dead if nothing was heard of it for so long.
        heard_ns: When it was heard last.
        sent: How many messages of this session it was given.
        held: What it was given and is not done with, by number.
        company: How many messages it may hold, for the sake of those that failed before.
    """

    name: str
    session: int
    limit: int
    silent_ns: int
    heard_ns: int
    sent: int = 0
    held: dict[int, Item] = field(default_factory=dict)
    company: int = _MAX_HELD


@dataclass(frozen=True, slots=True)
class Dead:
    """A message that no worker will get any more.

    Attributes:
        item: The message.
        reason: Why.
    """

    item: Item
    reason: str


class Ledger:
    """Keeps each message until it is done, and gives out the oldest first.

    A message whose worker failed waits again. It may be what made the worker fail, so a message that failed
    before goes out in smaller company each time, and at last alone; what fails for ever takes few others with
    it, and then none.

    Args:
        deliveries: How many workers may fail with a message until it is dead; 0 for any number.
    """

    def __init__(self, deliveries: int) -> None:
        self._deliveries = deliveries
        self._items: dict[int, Item] = {}
        self._order: list[int] = []  # heap of what waits, and of numbers that do not any more
        self._next = 0
        self._waiting = 0
        self._bytes = 0
        self._dead: deque[Dead] = deque()

    def __len__(self) -> int:
        """Return how many messages are not done, the dead among them."""
        return len(self._items)

    @property
    def waiting(self) -> int:
        """Return how many messages wait for a worker."""
        return self._waiting

    @property
    def size(self) -> int:
        """Return the bytes of what is not done."""
        return self._bytes

    @property
    def next_number(self) -> int:
        """Return the number of the message that is added next."""
        return self._next

    def add(self, frames: list[bytes]) -> None:
        """Let a message wait for a worker."""
        item = Item(self._next, frames)
        self._next += 1
        self._items[item.number] = item
        self._bytes += item.size
        self._wait(item)

    def give(self, worker: Worker) -> Item | None:
        """Give the oldest message that waits to a worker; None if it wants no more, or must finish first."""
        if worker.sent >= worker.limit:
            return None
        while self._order:
            item = self._items.get(self._order[0])
            if item is None or item.holder is not None or item.dead:
                heapq.heappop(self._order)
                continue
            if not self._fits(item, worker):
                return None
            heapq.heappop(self._order)
            self._take(item, worker)
            worker.sent += 1
            return item
        return None

    def finish(self, first: int, last: int) -> int:
        """Forget messages that are done, whoever did them; return how many of them were not done before."""
        done = list(self._among(first, last))
        for item in done:
            if item.holder is not None:
                item.holder.held.pop(item.number, None)
            elif not item.dead:
                self._waiting -= 1
            self.settle(item)
        return len(done)

    def refuse(self, number: int, reason: str) -> None:
        """Note that no worker can read a message."""
        item = self._items.get(number)
        if item is None or item.dead:
            return
        if item.holder is not None:
            item.holder.held.pop(number, None)
            item.holder = None
        else:
            self._waiting -= 1
        self._bury(item, reason)

    def lose(self, worker: Worker) -> int:
        """Let what a worker had wait for others, as it failed; return how many messages that is."""
        lost = list(worker.held.values())
        worker.held.clear()
        for item in lost:
            item.holder = None
            item.failures += 1
            item.failed = worker.name
            if self._deliveries and item.failures >= self._deliveries:
                self._bury(
                    item, f"{item.failures} workers died or fell silent with it, at last {worker.name}"
                )
            else:
                self._wait(item)
        return len(lost)

    def release(self, worker: Worker) -> None:
        """Let what a worker had wait for others, as it gave it back."""
        for item in worker.held.values():
            item.holder = None
            self._wait(item)
        worker.held.clear()

    def resume(self, worker: Worker, former: Worker | None, held: Iterable[tuple[int, int]]) -> None:
        """Let a worker that connected anew go on with what it still has.

        What it had and has no more was lost on the way, and waits again. It has failed with nothing, whatever
        was thought of it meanwhile.

        Args:
            worker: As it is now.
            former: As it was, if it was not lost in the meantime.
            held: First and last numbers of what it has.
        """
        if former is not None:
            self.release(former)
        for item in self._items.values():
            if item.failed == worker.name and not item.dead:
                item.failures -= 1
                item.failed = ""
        for first, last in held:
            for item in list(self._among(first, last)):
                if item.holder is None and not item.dead:
                    self._take(item, worker)

    def first_dead(self) -> Dead | None:
        """Return a message that is dead, the same until it is settled; None if there is none."""
        while self._dead:
            if self._dead[0].item.number in self._items:
                return self._dead[0]
            self._dead.popleft()  # settled, or done by a worker that came back
        return None

    def settle(self, item: Item) -> None:
        """Forget a message for good."""
        if self._items.pop(item.number, None) is not None:
            self._bytes -= item.size

    def _among(self, first: int, last: int) -> Iterator[Item]:
        """Return what is not done of a range, which may be of any length."""
        if last - first < len(self._items):
            numbers = range(first, last + 1)
            return (self._items[number] for number in numbers if number in self._items)
        return (item for number, item in self._items.items() if first <= number <= last)

    def _fits(self, item: Item, worker: Worker) -> bool:
        """Return whether a worker may hold a message, too."""
        if len(worker.held) >= worker.company:  # at most `_COMPANY` to look at; some of them may be done
            worker.company = min(map(self._company, worker.held.values()))
        return len(worker.held) < min(worker.company, self._company(item))

    def _company(self, item: Item) -> int:
        """Return how many messages a worker may hold together with this one, itself included."""
        if not item.failures:
            return _MAX_HELD
        if self._deliveries and item.failures + 1 >= self._deliveries:
            return 1
        return max(1, _COMPANY >> (2 * item.failures - 2))

    def _take(self, item: Item, worker: Worker) -> None:
        item.holder = worker
        worker.held[item.number] = item
        worker.company = min(worker.company, self._company(item))
        self._waiting -= 1

    def _wait(self, item: Item) -> None:
        heapq.heappush(self._order, item.number)
        self._waiting += 1

    def _bury(self, item: Item, reason: str) -> None:
        item.dead = True
        self._dead.append(Dead(item, reason))
