# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What each mailbox keeps, what it drops, and that it accounts for every message under threads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

import pytest

from lowlat_nodes.stream.clock import ManualClock, SteadyClock
from lowlat_nodes.stream.mailbox import Batch, Fifo, Mailbox, Newest, NewestOfEach
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace

Make = Callable[[], Mailbox]

KINDS: dict[str, Make] = {
    "newest": lambda: Newest(SteadyClock()),
    "newest of each": lambda: NewestOfEach(SteadyClock(), ["in"]),
    "fifo": lambda: Fifo(SteadyClock(), 3),
    "fifo that blocks": lambda: Fifo(SteadyClock(), 3, block_s=60.0),
    "batch": lambda: Batch(SteadyClock(), 2, 0.0, capacity=4),
}
every_kind = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)


def message(sequence: int, captured_ns: int = 0, received_ns: int = 0, topic: str = "in") -> Message:
    return Message(topic, None, Trace(captured_ns, received_ns), sequence)


def sequences(messages: list[Message]) -> list[int]:
    return [item.sequence for item in messages]


def put_all(mailbox: Mailbox, count: int) -> None:
    for sequence in range(count):
        mailbox.put(message(sequence))


class Taker(threading.Thread):
    """Takes until the mailbox is closed."""

    def __init__(self, mailbox: Mailbox) -> None:
        super().__init__(daemon=True)
        self.taken: list[Message] = []
        self._mailbox = mailbox

    def run(self) -> None:
        while not self._mailbox.closed:
            self.taken += self._mailbox.get()


def test_newest_keeps_only_the_newest() -> None:
    mailbox = Newest(SteadyClock())
    put_all(mailbox, 5)
    assert len(mailbox) == 1
    assert sequences(mailbox.get()) == [4]
    assert mailbox.get(0.0) == []
    assert mailbox.drops.snapshot() == {"superseded": 4}
    assert mailbox.accepted == 5


def test_newest_of_each_keeps_the_newest_of_every_topic() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["left", "right"])
    for sequence, topic in enumerate(["left", "left", "right", "left"]):
        mailbox.put(message(sequence, topic=topic))
    assert len(mailbox) == 2
    assert [sequences(mailbox.get()), sequences(mailbox.get())] == [[3], [2]]
    assert mailbox.get(0.0) == []
    assert mailbox.drops.snapshot() == {"superseded": 2}
    assert {topic: drops.snapshot() for topic, drops in mailbox.drops_of.items()} == {
        "left": {"superseded": 2},
        "right": {},
    }
    assert mailbox.accepted == 4


def test_newest_of_each_serves_first_what_was_served_longest_ago() -> None:
    mailbox = NewestOfEach(SteadyClock(), "abc")
    for topic in "cba":
        mailbox.put(message(0, topic=topic))
    served = [mailbox.get()[0].topic]
    for topic in "aab":  # what was served already waits again, and newer messages keep the turn of older ones
        mailbox.put(message(1, topic=topic))
    served += [mailbox.get()[0].topic for _ in range(3)]
    assert served == ["a", "b", "c", "a"]
    assert mailbox.get(0.0) == []
    for topic in "ab":
        mailbox.put(message(2, topic=topic))
    assert [mailbox.get()[0].topic for _ in range(2)] == ["b", "a"]


def test_newest_of_each_serves_all_equally_under_overload() -> None:
    rates = {"slow": 1, "fast": 7, "faster": 20}
    mailbox = NewestOfEach(SteadyClock(), rates)
    served = dict.fromkeys(rates, 0)
    for _ in range(100):  # per message served, each topic offers several
        for topic, rate in rates.items():
            for sequence in range(rate):
                mailbox.put(message(sequence, topic=topic))
        (taken,) = mailbox.get()
        assert taken.sequence == rates[taken.topic] - 1, "the newest of its topic"
        served[taken.topic] += 1
    assert sorted(served.values()) == [33, 33, 34]
    assert mailbox.accepted == 100 * sum(rates.values()) == 100 + mailbox.drops["superseded"] + len(mailbox)


def test_newest_of_each_starves_nobody_while_one_floods() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["flood", "rare"])
    stop = threading.Event()

    def flood() -> None:
        sequence = 0
        while not stop.is_set():
            mailbox.put(message(sequence, topic="flood"))
            sequence += 1

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    for sequence in range(200):
        mailbox.put(message(sequence, topic="rare"))
        pair = mailbox.get(60.0) + mailbox.get(60.0)
        assert sequence in [item.sequence for item in pair if item.topic == "rare"]
    stop.set()
    thread.join(60.0)
    assert not thread.is_alive()
    assert mailbox.drops_of["rare"].total == 0


def test_newest_of_each_counts_topics_that_it_was_not_told_of() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["left"])
    mailbox.put(message(0, topic="right"))
    assert mailbox.get(0.0) == []
    assert mailbox.drops.snapshot() == {"unexpected": 1}
    assert mailbox.accepted == 0


def test_newest_of_each_skips_what_is_stale_and_leaves_it_its_turn() -> None:
    clock = ManualClock(100)
    mailbox = NewestOfEach(clock, ["left", "right"], max_age_ns=10)
    mailbox.put(message(0, captured_ns=80, topic="left"))
    mailbox.put(message(1, captured_ns=95, topic="right"))
    assert sequences(mailbox.get(0.0)) == [1]
    assert mailbox.drops.snapshot() == {"stale": 1}
    assert mailbox.drops_of["left"].snapshot() == {"stale": 1}
    for sequence, topic in ((2, "right"), (3, "left")):
        mailbox.put(message(sequence, captured_ns=100, topic=topic))
    assert sequences(mailbox.get(0.0)) == [3]


def test_newest_of_each_counts_what_a_close_leaves_by_topic() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["left", "right"])
    mailbox.put(message(0, topic="left"))
    mailbox.close()
    mailbox.put(message(1, topic="right"))
    assert mailbox.drops.snapshot() == {"closed": 2}
    assert [drops.snapshot() for drops in mailbox.drops_of.values()] == [{"closed": 1}] * 2


def test_fifo_drops_the_oldest_when_full() -> None:
    mailbox = Fifo(SteadyClock(), 3)
    put_all(mailbox, 5)
    assert len(mailbox) == 3
    assert [sequences(mailbox.get()) for _ in range(3)] == [[2], [3], [4]]
    assert mailbox.drops.snapshot() == {"overflow": 2}


def test_blocking_fifo_refuses_the_new_message_after_its_patience() -> None:
    mailbox = Fifo(SteadyClock(), 2, block_s=0.01)
    put_all(mailbox, 3)
    assert sequences(mailbox.get() + mailbox.get()) == [0, 1]
    assert mailbox.drops.snapshot() == {"refused": 1}
    assert mailbox.accepted == 2


def test_blocking_fifo_loses_nothing_when_the_consumer_is_slower() -> None:
    mailbox = Fifo(SteadyClock(), 2, block_s=60.0)
    producer = threading.Thread(target=put_all, args=(mailbox, 200))
    producer.start()
    taken: list[int] = []
    while len(taken) < 200:
        assert len(mailbox) <= 2
        taken += sequences(mailbox.get(60.0))
    producer.join()
    assert taken == list(range(200))
    assert mailbox.drops.total == 0


def test_batch_is_handed_over_as_soon_as_it_is_full() -> None:
    mailbox = Batch(SteadyClock(), 3, linger_s=3600.0)
    put_all(mailbox, 3)
    assert sequences(mailbox.get()) == [0, 1, 2]


def test_batch_is_handed_over_short_after_the_linger_time() -> None:
    mailbox = Batch(SteadyClock(), 3, linger_s=0.01)
    put_all(mailbox, 2)
    assert sequences(mailbox.get()) == [0, 1]


def test_batch_lingers_from_the_arrival_of_its_first_message() -> None:
    clock = ManualClock()
    mailbox = Batch(clock, 2, linger_s=3600.0)
    mailbox.put(message(0))
    clock.advance(3600 * 10**9)  # the consumer was busy meanwhile: the message has waited long enough
    assert sequences(mailbox.get()) == [0]


def test_batch_leaves_the_surplus_for_the_next_one_and_drops_the_oldest_beyond_its_capacity() -> None:
    mailbox = Batch(SteadyClock(), 2, linger_s=0.0, capacity=3)
    put_all(mailbox, 5)
    assert [sequences(mailbox.get()), sequences(mailbox.get())] == [[2, 3], [4]]
    assert mailbox.drops.snapshot() == {"overflow": 2}


@every_kind
def test_get_returns_empty_on_time_out(make: Make) -> None:
    assert make().get(0.001) == []


@pytest.mark.parametrize(
    "make",
    [
        lambda clock: Newest(clock, max_age_ns=10),
        lambda clock: NewestOfEach(clock, ["in"], max_age_ns=10),
        lambda clock: Fifo(clock, 3, max_age_ns=10),
    ],
)
@pytest.mark.parametrize(
    ("captured_ns", "received_ns", "fresh"),
    [(90, 95, True), (89, 99, False), (0, 90, True), (0, 89, False), (150, 95, True)],
)
def test_age_is_judged_against_capture_else_receipt(
    make: Callable[[ManualClock], Mailbox], captured_ns: int, received_ns: int, fresh: bool
) -> None:
    mailbox = make(ManualClock(100))
    mailbox.put(message(0, captured_ns, received_ns))
    assert sequences(mailbox.get(0.0)) == ([0] if fresh else [])
    assert mailbox.drops.snapshot() == ({} if fresh else {"stale": 1})


def test_fifo_skips_stale_messages_and_returns_the_first_fresh_one() -> None:
    clock = ManualClock(1)
    mailbox = Fifo(clock, 4, max_age_ns=10)
    for sequence, captured_ns in enumerate([1, 5, 100, 101]):
        mailbox.put(message(sequence, captured_ns))
    clock.set(105)
    assert sequences(mailbox.get(0.0)) == [2]
    assert mailbox.drops.snapshot() == {"stale": 2}


def test_batch_leaves_out_the_stale_messages() -> None:
    mailbox = Batch(ManualClock(100), 4, linger_s=0.0, max_age_ns=10)
    for sequence, captured_ns in enumerate([95, 50, 99]):
        mailbox.put(message(sequence, captured_ns))
    assert sequences(mailbox.get()) == [0, 2]
    assert mailbox.drops.snapshot() == {"stale": 1}


def test_a_clock_that_jumps_back_makes_nothing_stale() -> None:
    clock = ManualClock(1_000_000)
    mailbox = Newest(clock, max_age_ns=10)
    mailbox.put(message(0, captured_ns=999_999))
    clock.set(5)
    assert sequences(mailbox.get(0.0)) == [0]


def test_what_is_taken_carries_the_time_of_its_taking() -> None:
    clock = ManualClock(5)
    mailbox = Newest(clock)
    mailbox.put(message(0))
    clock.set(7)
    assert mailbox.get()[0].trace.dequeued_ns == 7


@every_kind
def test_close_wakes_a_waiting_consumer(make: Make) -> None:
    mailbox = make()
    taker = Taker(mailbox)
    taker.start()
    mailbox.close()
    taker.join(60.0)
    assert not taker.is_alive()
    assert taker.taken == []


@every_kind
def test_close_counts_what_waited_and_what_comes_later(make: Make) -> None:
    mailbox = make()
    put_all(mailbox, 2)
    waiting, before = len(mailbox), mailbox.drops.total
    mailbox.close()
    mailbox.close()
    mailbox.put(message(9))
    assert mailbox.drops["closed"] == waiting + 1
    assert mailbox.drops.total == before + waiting + 1
    assert mailbox.get() == []
    assert len(mailbox) == 0


def test_close_releases_a_producer_that_waits_for_room() -> None:
    mailbox = Fifo(SteadyClock(), 1, block_s=3600.0)
    mailbox.put(message(0))
    producer = threading.Thread(target=mailbox.put, args=(message(1),), daemon=True)
    producer.start()
    mailbox.close()
    producer.join(60.0)
    assert not producer.is_alive()
    assert mailbox.drops.snapshot() == {"closed": 2}


def test_close_releases_a_batch_that_lingers_for_company() -> None:
    mailbox = Batch(SteadyClock(), 2, linger_s=3600.0)
    mailbox.put(message(0))
    taker = Taker(mailbox)
    taker.start()
    mailbox.close()
    taker.join(60.0)
    assert not taker.is_alive()
    assert len(taker.taken) + mailbox.drops["closed"] == 1


@every_kind
def test_every_message_is_taken_or_counted_with_many_producers(make: Make) -> None:
    mailbox = make()
    taker = Taker(mailbox)
    taker.start()
    producers, each = 4, 500
    start = threading.Barrier(producers)

    def produce(base: int) -> None:
        start.wait()
        for number in range(each):
            mailbox.put(message(base + number))

    threads = [threading.Thread(target=produce, args=(index * each,)) for index in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    mailbox.close()
    taker.join(60.0)
    taken = sequences(taker.taken)
    assert len(taken) == len(set(taken)), "nothing comes out twice"
    assert len(taken) + mailbox.drops.total == producers * each
    for index in range(producers):
        own = [number for number in taken if number // each == index]
        assert own == sorted(own), "one producer's messages keep their order"


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fifo(SteadyClock(), 0),
        lambda: Batch(SteadyClock(), 0, 0.1),
        lambda: Batch(SteadyClock(), 4, 0.1, capacity=3),
    ],
)
def test_impossible_capacities_are_refused(make: Make) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_a_pace_holds_back_and_what_comes_out_is_the_newest() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["in"])
    mailbox.pace(1e-3)
    put_all(mailbox, 1)
    assert sequences(mailbox.get(0.0)) == [0]
    put_all(mailbox, 3)
    assert mailbox.get(0.01) == []
    assert len(mailbox) == 1
    mailbox.pace(math.inf)
    assert sequences(mailbox.get(0.0)) == [2]
    assert mailbox.drops.snapshot() == {"budget": 2}


def test_a_pace_is_fair_and_right() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["fast", "slow"])
    mailbox.pace(100.0)
    taken = []
    began_s = time.monotonic()
    while len(taken) < 20:
        for topic in ("fast", "slow"):
            mailbox.put(message(0, topic=topic))
        taken += mailbox.get(1.0)
    assert time.monotonic() - began_s >= 0.18
    assert [each.topic for each in taken].count("slow") == 10


def test_whoever_waits_hears_of_another_pace_and_of_the_end() -> None:
    mailbox = NewestOfEach(SteadyClock(), ["in"])
    mailbox.pace(1e-3)
    taker = Taker(mailbox)
    taker.start()
    put_all(mailbox, 1)
    while not taker.taken:
        time.sleep(0.001)
    put_all(mailbox, 1)
    mailbox.pace(1000.0)
    while len(taker.taken) < 2:
        time.sleep(0.001)
    mailbox.pace(1e-3)
    put_all(mailbox, 1)
    mailbox.close()
    taker.join(60.0)
    assert not taker.is_alive()
