# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who has which work: nothing is forgotten before it is done, and nothing poisons workers for ever."""

from __future__ import annotations

import random

import pytest

from lowlat_nodes.transport.zmq.work_ledger import Ledger, Worker


def worker(name: str = "w", limit: int = 1000) -> Worker:
    return Worker(name, 1, limit, 10**9, 0)


def filled(count: int, deliveries: int = 5) -> Ledger:
    ledger = Ledger(deliveries)
    for number in range(count):
        ledger.add([b"%d" % number])
    return ledger


def take(ledger: Ledger, to: Worker) -> list[int]:
    """Give a worker all that it gets, and return the numbers."""
    numbers = []
    while (item := ledger.give(to)) is not None:
        numbers.append(item.number)
    return numbers


def test_the_oldest_goes_first_and_no_more_than_was_asked_for() -> None:
    ledger, one = filled(5), worker(limit=3)
    assert take(ledger, one) == [0, 1, 2]
    assert (len(ledger), ledger.waiting) == (5, 2)
    one.limit = 4
    assert take(ledger, one) == [3]


def test_what_is_done_is_forgotten_whoever_did_it() -> None:
    ledger, one, other = filled(4), worker("one", 2), worker("other", 1)
    take(ledger, one)
    take(ledger, other)
    assert ledger.finish(0, 2) == 3
    assert ledger.finish(0, 2) == 0
    assert (len(ledger), ledger.waiting, ledger.size) == (1, 1, 1)
    assert not one.held
    assert ledger.finish(0, 2**64 - 1) == 1
    assert (len(ledger), ledger.waiting, ledger.size) == (0, 0, 0)
    assert take(ledger, worker()) == []


def test_the_work_of_the_dead_goes_to_others_before_what_is_newer() -> None:
    ledger, one, other = filled(6), worker("one", 3), worker("other")
    take(ledger, one)
    assert ledger.lose(one) == 3
    assert take(ledger, other) == list(range(6))
    assert [item.failures for item in other.held.values()] == [1, 1, 1, 0, 0, 0]


def test_what_is_given_back_has_not_failed() -> None:
    ledger, one, other = filled(3), worker("one"), worker("other")
    take(ledger, one)
    ledger.release(one)
    assert take(ledger, other) == [0, 1, 2]
    assert not any(item.failures for item in other.held.values())


def test_what_keeps_failing_goes_out_in_ever_smaller_company_and_dies() -> None:
    ledger = filled(100)
    companies = []
    for name in "abcde":
        one = worker(name)
        companies.append(len(take(ledger, one)))
        ledger.finish(1, 99)  # all but the one that kills
        for _ in range(100 - len(ledger)):
            ledger.add([b"new"])
        ledger.lose(one)
    assert companies == [100, 64, 16, 4, 1]
    dead = ledger.first_dead()
    assert dead is not None
    assert (dead.item.number, dead.item.failures) == (0, 5)
    assert "5 workers" in dead.reason
    assert 0 not in take(ledger, worker("f"))
    assert len(ledger) == 100  # it still is to be buried
    ledger.settle(dead.item)
    assert len(ledger) == 99
    assert ledger.first_dead() is None


def test_without_a_grave_what_fails_is_tried_for_ever_and_alone() -> None:
    ledger = filled(2, deliveries=0)
    for number in range(20):
        one = worker(str(number))
        taken = take(ledger, one)
        ledger.lose(one)
    assert taken == [0]
    assert ledger.first_dead() is None


def test_a_worker_gets_more_once_what_failed_before_is_done() -> None:
    ledger, one = filled(40, deliveries=3), worker("one", 2)
    for name in ("one", "two"):
        failing = worker(name, 2)
        take(ledger, failing)
        ledger.lose(failing)
    assert take(ledger, one) == [0]
    one.limit = 100
    assert take(ledger, one) == []
    ledger.finish(0, 0)
    assert take(ledger, one) == [1]
    ledger.finish(1, 1)
    assert take(ledger, one) == list(range(2, 40))


def test_a_worker_that_comes_back_goes_on_and_has_not_failed() -> None:
    ledger, one = filled(4), worker("one")
    take(ledger, one)
    ledger.lose(one)
    again = worker("one")
    ledger.resume(again, None, [(1, 2)])
    assert sorted(again.held) == [1, 2]
    assert not any(item.failures for item in again.held.values())
    assert ledger.waiting == 2
    other = worker("other")
    assert take(ledger, other) == [0, 3]
    assert not any(item.failures for item in other.held.values())  # they were lost on the way


def test_a_worker_that_connects_anew_keeps_what_it_has_and_gets_again_what_was_on_its_way() -> None:
    ledger, one = filled(4), worker("one")
    take(ledger, one)
    again = worker("one")
    ledger.resume(again, one, [(0, 1), (7, 2**64 - 1)])
    assert not one.held
    assert take(ledger, again) == [2, 3]
    assert not any(item.failures for item in again.held.values())


def test_what_went_to_another_in_the_meantime_stays_there() -> None:
    ledger, one, other = filled(1), worker("one"), worker("other")
    take(ledger, one)
    ledger.lose(one)
    take(ledger, other)
    again = worker("one")
    ledger.resume(again, None, [(0, 0)])
    assert not again.held
    assert list(other.held) == [0]


def test_what_nobody_can_read_is_dead_at_once_and_may_yet_be_done() -> None:
    ledger, one = filled(2), worker()
    take(ledger, one)
    ledger.refuse(0, "unreadable")
    ledger.refuse(0, "twice")
    ledger.refuse(9, "never was")
    dead = ledger.first_dead()
    assert dead is not None
    assert dead.reason == "unreadable"
    ledger.finish(0, 1)
    assert ledger.first_dead() is None
    assert len(ledger) == 0


class Night:
    """Workers to whom everything happens, at random, and what must hold whatever does."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.ledger = Ledger(4)
        self.added = 0
        self.finished: set[int] = set()
        self.buried: set[int] = set()
        self.workers = [worker(f"w{number}", 5) for number in range(4)]

    def add(self, _: Worker) -> None:
        self.ledger.add([b"x"])
        self.added += 1

    def give(self, one: Worker) -> None:
        one.limit = one.sent + self.random.randrange(8)
        take(self.ledger, one)

    def finish(self, one: Worker) -> None:
        for number in self.random.sample(sorted(one.held), len(one.held) // 2):
            self.finished.add(number)
            assert self.ledger.finish(number, number) == 1

    def lose(self, one: Worker) -> None:
        self.ledger.lose(one)

    def come_back(self, one: Worker) -> None:
        held = self.random.sample(sorted(one.held), len(one.held) // 2)
        again = worker(one.name, 5)
        lost = self.random.random() < 0.5
        if lost:
            self.ledger.lose(one)
        self.ledger.resume(again, None if lost else one, [(number, number) for number in held])
        assert set(again.held) <= set(held)
        self.workers[self.workers.index(one)] = again

    def bury(self, _: Worker) -> None:
        dead = self.ledger.first_dead()
        if dead is not None:
            self.buried.add(dead.item.number)
            self.ledger.settle(dead.item)

    def check(self) -> None:
        held = [number for each in self.workers for number in each.held]
        assert len(held) == len(set(held))
        assert not self.finished & self.buried
        assert len(self.ledger) == self.ledger.size == self.added - len(self.finished) - len(self.buried)

    def dawn(self) -> None:
        """Have everything done that is left."""
        while len(self.ledger):
            for one in self.workers:
                one.limit = one.sent + 100
                take(self.ledger, one)
                for number in list(one.held):
                    self.finished.add(number)
                    self.ledger.finish(number, number)
                self.bury(one)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_happens_each_message_is_done_or_dead(seed: int) -> None:
    night = Night(seed)
    acts = (
        night.add,
        night.add,
        night.give,
        night.give,
        night.finish,
        night.lose,
        night.come_back,
        night.bury,
    )
    for _ in range(3000):
        night.random.choice(acts)(night.random.choice(night.workers))
        night.check()
    night.dawn()
    assert night.finished | night.buried == set(range(night.added))
    assert night.ledger.waiting == 0
