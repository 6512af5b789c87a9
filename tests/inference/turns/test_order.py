# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.inference.turns.order import PATIENCE_NS, Order
from lowlat_nodes.inference.turns.page import EARLIEST_WORD, NEVER, PAGE_BYTES, Field, State


@dataclass
class Kernel:
    """What the kernel knows of the clients of a page: who lives, and whose the device is."""

    words: memoryview = field(default_factory=lambda: memoryview(bytearray(PAGE_BYTES)).cast("Q"))
    dead: set[int] = field(default_factory=set)
    owner: int = -1
    woken: list[int] = field(default_factory=list)

    def kill(self, slot: int) -> None:
        self.dead.add(slot)
        if self.owner == slot:
            self.owner = -1


class OnePlace:
    """The slot of one client."""

    def __init__(self, kernel: Kernel, slot: int) -> None:
        self._kernel = kernel
        self.words = kernel.words
        self.slot = slot

    def alive(self, slot: int) -> bool:
        return slot not in self._kernel.dead

    def wake(self, slot: int) -> None:
        self._kernel.woken.append(slot)

    def take_device(self) -> bool:
        if self.device_taken():
            return False
        self._kernel.owner = self.slot
        return True

    def leave_device(self) -> None:
        if self._kernel.owner == self.slot:
            self._kernel.owner = -1

    def device_taken(self) -> bool:
        return self._kernel.owner not in (-1, self.slot)


@pytest.fixture
def kernel() -> Kernel:
    return Kernel()


def clients(kernel: Kernel, count: int) -> list[Order]:
    for slot in range(count):
        kernel.words[Field.STATE + slot] = State.IDLE
    kernel.words[EARLIEST_WORD] = NEVER
    return [Order(OnePlace(kernel, slot)) for slot in range(count)]


def test_a_free_device_is_had_at_once(kernel: Kernel) -> None:
    (only,) = clients(kernel, 1)
    assert only.ask(NEVER, 0)
    assert kernel.owner == 0
    only.give_back(1)
    assert kernel.owner == -1
    assert kernel.woken == []


def test_who_waits_is_called_in_order_of_deadlines_and_requests(kernel: Kernel) -> None:
    holder, *others = clients(kernel, 6)
    holder.ask(5, 0)
    deadlines = [NEVER, 30, 10, 30, NEVER]
    assert [other.ask(deadline, 0) for other, deadline in zip(others, deadlines, strict=True)] == [False] * 5
    order = []
    giver = holder
    for _ in others:
        giver.give_back(1)
        slot = kernel.woken[-1]
        order.append(slot)
        giver = others[slot - 1]
        assert giver.come(2)
        assert kernel.owner == slot
    assert order == [3, 2, 4, 1, 5]


def test_the_page_says_the_earliest_deadline_of_those_that_wait(kernel: Kernel) -> None:
    holder, first, second = clients(kernel, 3)
    holder.ask(NEVER, 0)
    assert kernel.words[EARLIEST_WORD] == NEVER
    first.ask(50, 0)
    second.ask(40, 0)
    assert kernel.words[EARLIEST_WORD] == 40
    second.give_back(1)
    assert kernel.words[EARLIEST_WORD] == 50
    holder.give_back(2)
    assert kernel.words[EARLIEST_WORD] == NEVER


def test_one_gives_way_to_an_earlier_deadline_and_to_no_other(kernel: Kernel) -> None:
    holder, other = clients(kernel, 2)
    holder.ask(20, 0)
    other.ask(20, 1)  # the same, but later
    assert holder.give_way(20, 2)
    other.give_back(3)
    other.ask(19, 4)
    assert not holder.give_way(20, 5)
    assert other.come(6)
    assert not holder.come(7)
    other.give_back(8)
    assert kernel.woken == [1, 0]
    assert holder.come(9)


def test_an_earlier_deadline_takes_the_place_of_one_that_is_called(kernel: Kernel) -> None:
    holder, called, newcomer = clients(kernel, 3)
    holder.ask(5, 0)
    called.ask(30, 0)
    holder.give_back(1)
    assert kernel.woken == [1]
    assert newcomer.ask(20, 2)
    assert not called.come(3)
    newcomer.give_back(4)
    assert called.come(5)


def test_a_later_deadline_waits_for_one_that_is_called(kernel: Kernel) -> None:
    holder, called, newcomer = clients(kernel, 3)
    holder.ask(5, 0)
    called.ask(30, 0)
    holder.give_back(1)
    assert not newcomer.ask(40, 2)
    assert not newcomer.undecided(3)
    assert called.come(4)


def test_one_that_does_not_come_is_passed_over_until_it_does(kernel: Kernel) -> None:
    holder, stopped, other = clients(kernel, 3)
    holder.ask(5, 0)
    stopped.ask(30, 0)
    other.ask(40, 0)
    holder.give_back(1)
    late = 2 + PATIENCE_NS
    assert not other.undecided(late - 2)
    assert other.undecided(late)
    assert other.come(late)
    assert kernel.words[EARLIEST_WORD] == NEVER  # nothing to give way to
    assert not stopped.come(late + 1)
    assert kernel.words[EARLIEST_WORD] == 30
    assert not other.give_way(40, late + 2)
    assert stopped.come(late + 3)


def test_the_device_of_a_dead_client_is_taken_over(kernel: Kernel) -> None:
    holder, heir = clients(kernel, 2)
    holder.ask(5, 0)
    heir.ask(30, 0)
    assert not heir.undecided(1)
    kernel.kill(0)
    assert heir.undecided(2)
    assert heir.come(3)
    assert kernel.words[Field.STATE] == State.FREE


@pytest.mark.parametrize("state", [State.WAITING, State.CALLED])
def test_a_dead_client_is_not_waited_for(kernel: Kernel, state: int) -> None:
    holder, dead, heir = clients(kernel, 3)
    holder.ask(5, 0)
    dead.ask(20, 0)
    heir.ask(30, 0)
    if state == State.WAITING:
        kernel.kill(1)
    holder.give_back(1)
    if state == State.CALLED:
        assert kernel.woken == [1]
        kernel.kill(1)
        assert heir.undecided(2)
    else:
        assert kernel.woken == [2]
    assert heir.come(3)


def test_one_gives_way_to_a_dead_client_once_at_most(kernel: Kernel) -> None:
    holder, dead = clients(kernel, 2)
    holder.ask(20, 0)
    dead.ask(10, 0)
    kernel.kill(1)
    assert kernel.words[EARLIEST_WORD] == 10
    assert holder.give_way(20, 1)
    assert kernel.words[EARLIEST_WORD] == NEVER


def test_a_slot_that_only_says_it_has_the_device_keeps_nobody_from_it(kernel: Kernel) -> None:
    _, asks = clients(kernel, 2)
    kernel.words[Field.STATE] = State.HOLDING
    kernel.words[Field.STATE + 9] = State.HOLDING
    assert asks.ask(NEVER, 0)
    assert kernel.words[Field.STATE] == State.IDLE


def test_a_page_that_says_the_device_is_free_lets_nobody_in(kernel: Kernel) -> None:
    holder, asks = clients(kernel, 2)
    holder.ask(30, 0)
    kernel.words[Field.STATE] = State.FREE
    assert not asks.ask(10, 1)
    assert not asks.undecided(2)
    assert not holder.give_way(30, 3)
    assert asks.come(4)


def test_one_that_the_page_says_is_called_waits_while_another_has_the_device(kernel: Kernel) -> None:
    holder, waits = clients(kernel, 2)
    holder.ask(30, 0)
    waits.ask(10, 0)
    kernel.words[Field.STATE + 1] = State.CALLED
    assert not waits.come(1)
    assert kernel.words[Field.STATE + 1] == State.WAITING


COUNT = 5
STEP = st.tuples(
    st.integers(0, COUNT - 1),
    st.sampled_from(["ask", "segment", "end", "come", "come", "kill"]),
    st.integers(0, 40),
)


@given(st.lists(STEP, max_size=60))
@settings(max_examples=200)
def test_whatever_happens_the_earliest_deadline_has_or_gets_the_device(
    steps: list[tuple[int, str, int]],
) -> None:
    """Against a list of requests, each with deadline and number, that says who must be next."""
    kernel = Kernel()
    orders = clients(kernel, COUNT)
    requests: dict[int, tuple[int, int]] = {}  # of those that wait or have the device
    number = 0
    for now, (slot, what, relative) in enumerate(steps):
        order = orders[slot]
        if slot in kernel.dead:
            continue
        has = kernel.owner == slot
        before = kernel.owner
        if what == "kill" and len(kernel.dead) < COUNT - 2:
            kernel.kill(slot)
            requests.pop(slot, None)
            continue
        if what == "ask" and slot not in requests:
            number += 1
            requests[slot] = (now + relative if relative < 35 else NEVER, number)
            order.ask(requests[slot][0], now)
        elif what == "segment" and has:
            if kernel.words[EARLIEST_WORD] < requests[slot][0]:
                order.give_way(requests[slot][0], now)
        elif what == "end" and slot in requests:
            del requests[slot]
            order.give_back(now)
        elif what == "come" and slot in requests and not has:
            order.come(now)
        else:
            continue
        if kernel.owner not in (-1, before):  # somebody got it: nobody who waits comes before
            assert requests[kernel.owner] == min(requests.values())
        if kernel.owner == -1 and requests:  # then the first of all is called
            first = min(requests, key=lambda each: requests[each])
            assert kernel.words[Field.STATE + first] == State.CALLED
            assert first in kernel.woken
        waits = [requests[each][0] for each in requests if kernel.words[Field.STATE + each] == State.WAITING]
        earliest, said = min(waits, default=NEVER), kernel.words[EARLIEST_WORD]
        assert said <= earliest if kernel.dead else said == earliest
