# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A delivery commits only what is safe, holds back when it is not, and loses no packet to an error."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.delivery import DEAD_LETTERS, Delivery
from lowlat_nodes.stream.endpoint import Sink, UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet, Record
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace

PATIENCE_S = 60.0
POISON = b"poison"


class Packets:
    """A source of given packets, which ends after them where told to; keeps what was done with them."""

    settle: Callable[[], None]

    def __init__(self, *bodies: bytes, ends: bool = True, log: list[str] | None = None) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self.log = log if log is not None else []
        self.committed = 0
        self.polls: list[int] = []
        self.refuses_commit = 0
        self._bodies = bodies
        self._given = 0
        self._ends = ends

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        self.polls.append(most)
        bodies = self._bodies[self._given : self._given + most]
        if not bodies and most:
            time.sleep(min(timeout_s, 0.01))
        messages = [
            Message("packets", Packet(body, b"key", f"file#{number}"), Trace(1_000, 2_000), number)
            for number, body in enumerate(bodies, self._given)
        ]
        self._given += len(bodies)
        return messages

    def commit(self) -> None:
        if self.refuses_commit:
            self.refuses_commit -= 1
            raise UndeliveredError("not now")
        self.committed = self._given
        self.log.append(f"commit {self._given}")

    def before_handover(self, settle: Callable[[], None]) -> None:
        self.settle = settle

    @property
    def exhausted(self) -> bool:
        return self._ends and self._given == len(self._bodies)

    @property
    def lag(self) -> int | None:
        return len(self._bodies) - self._given

    def close(self) -> None:
        self.log.append("close source")


class Names(Processor):
    """Makes a record of each packet, raises for `POISON`, and remembers the sizes of its batches."""

    outputs = ("names",)

    def __init__(self, log: list[str] | None = None) -> None:
        self.batches: list[int] = []
        self.log = log if log is not None else []

    def process(self, message: Message) -> Iterable[Message]:
        if message.payload.data == POISON:
            raise ValueError("that is poison")
        return [message.derive("names", Record({"name": message.payload.data}, message.payload.data))]

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        self.batches.append(len(messages))
        return super().process_batch(messages)

    def close(self) -> None:
        self.log.append("close processor")


class Kept:
    """A sink that keeps what it gets, and is not durable."""

    def __init__(self, refuse: Callable[[Message], Exception | None] = lambda message: None) -> None:
        self.written: list[Message] = []
        self._refuse = refuse
        self.closed = 0

    def write(self, message: Message) -> None:
        error = self._refuse(message)
        if error is not None:
            raise error
        self.written.append(message)

    def close(self) -> None:
        self.closed += 1

    @property
    def names(self) -> list[bytes]:
        return [message.payload.fields["name"] for message in self.written]


class Safe(Kept):
    """A durable sink that does not confirm, or does not take, while it is told not to."""

    def __init__(self, log: list[str] | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.log = log if log is not None else []
        self.confirms = threading.Event()
        self.takes = threading.Event()
        self.confirms.set()
        self.takes.set()
        self.tried = threading.Event()

    def write(self, message: Message) -> None:
        if not self.takes.is_set():
            self.tried.set()
            raise OSError("disk full")
        super().write(message)

    def flush(self, timeout_s: float) -> None:
        assert timeout_s > 0.0
        if not self.confirms.is_set():
            self.tried.set()
            raise UndeliveredError("brokers are away")
        self.log.append(f"flush {len(self.written)}")


def deliver(
    source: Packets,
    names: Sink | Sequence[Sink],
    *,
    letters: Sink | None = None,
    processor: Processor | None = None,
    **options: Any,
) -> Delivery:
    sinks = names if isinstance(names, Sequence) else [names]
    return Delivery(
        source,
        processor or Names(),
        {"names": sinks, DEAD_LETTERS: [letters or Kept()]},
        ManualClock(5_000),
        **{"commit_interval_s": 0.0, "patience_s": 0.0} | options,
    )


def run_to_the_end(delivery: Delivery) -> None:
    delivery.start()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()


def until(done: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_commits_after_the_sinks_have_confirmed() -> None:
    log: list[str] = []
    source, sink = Packets(b"a", b"b", b"c", log=log), Safe(log)
    run_to_the_end(deliver(source, sink, processor=Names(log), batch=2))
    assert sink.names == [b"a", b"b", b"c"]
    assert log == ["flush 2", "commit 2", "flush 3", "commit 3", "close processor", "close source"]
    assert sink.closed == 1


def test_between_commits_batches_go_on() -> None:
    log: list[str] = []
    run_to_the_end(
        deliver(Packets(b"a", b"b", b"c", log=log), Safe(log), batch=1, commit_interval_s=PATIENCE_S)
    )
    assert log == ["flush 3", "commit 3", "close source"]


def test_what_is_done_is_committed_when_nothing_comes() -> None:
    source = Packets(b"a", ends=False)
    delivery = deliver(source, Safe(), commit_interval_s=0.01)
    delivery.start()
    until(lambda: source.committed == 1)
    assert not delivery.wait(0.0)
    delivery.stop()
    assert not delivery.wait(0.0)


def test_results_carry_the_stamps_of_their_way() -> None:
    sink = Kept()
    delivery = deliver(Packets(b"a"), sink)
    run_to_the_end(delivery)
    assert sink.written[0].trace == Trace(1_000, 2_000, 5_000, 5_000, 5_000, 5_000)
    stats = delivery.stats()
    assert (stats.processed, stats.published, stats.commits, stats.uncommitted) == (1, 1, 1, 0)
    assert (stats.age.maximum, stats.latency.maximum, stats.lag) == (4_000, 3_000, 0)
    assert stats.service.count == 1


def test_a_sink_that_does_not_confirm_holds_everything_back() -> None:
    source, sink = Packets(*(b"%d" % number for number in range(10))), Safe()
    sink.confirms.clear()
    delivery = deliver(source, sink, batch=4, patience_s=PATIENCE_S)
    delivery.start()
    assert sink.tried.wait(PATIENCE_S)
    until(lambda: delivery.stats().failures["flush: UndeliveredError"] > 2)
    assert len(sink.written) == 4
    assert source.committed == 0
    assert delivery.stats().uncommitted == 4
    assert set(source.polls[1:]) == {0}, "the source keeps its place and is asked for nothing"
    sink.confirms.set()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    assert len(sink.written) == len(set(sink.names)) == 10
    assert source.committed == 10


def test_a_sink_that_cannot_take_a_result_gets_it_later_and_the_others_once() -> None:
    late, other = Safe(), Kept()
    late.takes.clear()
    delivery = deliver(Packets(b"a", b"b"), [other, late], patience_s=PATIENCE_S)
    delivery.start()
    assert late.tried.wait(PATIENCE_S)
    late.takes.set()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    assert late.names == other.names == [b"a", b"b"]
    assert delivery.stats().failures["write: OSError"] >= 1


def test_a_stop_gives_a_silent_sink_up_and_commits_nothing() -> None:
    source, sink = Packets(b"a"), Safe()
    sink.confirms.clear()
    delivery = deliver(source, sink, patience_s=0.05)
    delivery.start()
    assert sink.tried.wait(PATIENCE_S)
    delivery.stop()
    assert source.committed == 0
    assert delivery.stats().uncommitted == 1
    assert sink.closed == 1


def test_poison_is_found_and_handed_over_whole() -> None:
    processor, letters, sink = Names(), Kept(), Kept()
    source = Packets(b"a", POISON, b"b")
    delivery = deliver(source, sink, letters=letters, processor=processor)
    run_to_the_end(delivery)
    assert processor.batches == [3, 1, 1, 1]
    assert sink.names == [b"a", b"b"]
    letter = letters.written[0].payload
    assert isinstance(letter, DeadLetter)
    assert letter.packet.data == POISON
    assert (letter.packet.key, letter.packet.origin) == (b"key", "file#1")
    assert letter.reason == "ValueError: that is poison"
    stats = delivery.stats()
    assert (stats.processed, stats.published, stats.dead_letters) == (2, 3, 1)
    assert stats.failures == {"process: ValueError": 1}
    assert source.committed == 3


def test_what_is_no_message_is_an_error_of_the_processor() -> None:
    class Confuses(Names):
        def process(self, _message: Message) -> Iterable[Message]:
            return ["text"]  # type: ignore[list-item]

    letters = Kept()
    run_to_the_end(deliver(Packets(b"a"), Kept(), letters=letters, processor=Confuses()))
    assert letters.written[0].payload.reason.startswith("AttributeError")


def test_a_result_that_a_durable_sink_will_never_take_is_a_dead_letter() -> None:
    letters = Kept()
    sink = Safe(refuse=lambda m: TypeError("no such thing") if m.payload.key == b"b" else None)
    delivery = deliver(Packets(b"a", b"b"), sink, letters=letters)
    run_to_the_end(delivery)
    assert sink.names == [b"a"]
    assert [message.payload.packet.data for message in letters.written] == [b"b"]
    assert delivery.stats().dead_letters == 1


def test_dead_letters_count_where_nobody_takes_them() -> None:
    sink = Kept()
    sinks: dict[str, list[Sink]] = {"names": [sink], DEAD_LETTERS: []}
    delivery = Delivery(Packets(POISON, b"a", POISON), Names(), sinks, ManualClock(1), batch=1)
    run_to_the_end(delivery)
    stats = delivery.stats()
    assert (stats.dead_letters, stats.published, stats.failing) == (2, 1, 1)


def test_dead_letters_in_a_row_are_told_apart_from_those_between_good_messages() -> None:
    def failing(*bodies: bytes, batch: int) -> int:
        delivery = deliver(Packets(*bodies), Kept(), letters=Kept(), batch=batch)
        run_to_the_end(delivery)
        return delivery.stats().failing

    assert failing(*[POISON] * 7, batch=3) == 7
    assert failing(POISON, POISON, b"a", batch=1) == 0
    assert failing(b"a", POISON, POISON, batch=3) == 0
    assert failing(b"a", POISON, POISON, batch=1) == 2


def test_it_says_what_it_waits_for_and_no_longer_than_that() -> None:
    sink = Safe()
    sink.confirms.clear()
    delivery = deliver(Packets(b"a", ends=False), sink)
    delivery.start()
    try:
        until(lambda: delivery.stats().blocked)
        assert delivery.stats().blocked.startswith("flush: ")
        sink.confirms.set()
        until(lambda: delivery.stats().commits)
        assert not delivery.stats().blocked
    finally:
        delivery.stop()


def test_other_sinks_may_miss_results() -> None:
    lossy, letters = Kept(lambda message: OSError("no room")), Kept()
    source = Packets(b"a")
    delivery = deliver(source, lossy, letters=letters)
    run_to_the_end(delivery)
    assert source.committed == 1
    assert not letters.written
    assert delivery.stats().failures == {"write: OSError": 1}
    assert delivery.stats().published == 0


def test_the_same_result_is_published_once() -> None:
    sink, letters = Kept(), Kept()
    delivery = deliver(Packets(b"a", b"b", b"a", b""), sink, letters=letters)
    run_to_the_end(delivery)
    assert sink.names == [b"a", b"b", b""]
    assert delivery.stats().repeated == 1


def test_no_more_keys_are_remembered_than_asked_for() -> None:
    sink = Kept()
    run_to_the_end(deliver(Packets(b"a", b"b", b"a"), sink, remember=1))
    assert sink.names == [b"a", b"b", b"a"]


def test_what_was_not_published_is_not_remembered() -> None:
    refused = iter([OSError("no room"), None])
    sink = Kept(lambda message: next(refused))
    run_to_the_end(deliver(Packets(b"a", b"a"), sink))
    assert sink.names == [b"a"]


class Moves(Packets):
    """A source of which another consumer takes the rest, once its packets were polled."""

    moved = False

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        if self.exhausted and not self.moved:
            self.moved = True
            self.settle()
            self.log.append("moved")
        return super().poll(most, timeout_s)


def test_what_is_done_is_committed_before_another_consumer_goes_on() -> None:
    log: list[str] = []
    run_to_the_end(deliver(Moves(b"a", b"b", log=log), Safe(log), commit_interval_s=PATIENCE_S))
    assert log == ["flush 2", "commit 2", "moved", "close source"]


def test_what_is_not_safe_is_not_committed_before_another_consumer_goes_on() -> None:
    log: list[str] = []
    sink = Safe(log)
    sink.confirms.clear()
    source = Moves(b"a", log=log)
    delivery = deliver(source, sink, commit_interval_s=0.5)
    delivery.start()
    until(lambda: source.moved)
    sink.confirms.set()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    assert log == ["moved", "flush 1", "commit 1", "close source"]


def test_a_batch_whose_results_are_not_all_written_is_not_committed_before_another_consumer_goes_on() -> None:
    class MovesWhileOneWaits(Packets):
        def poll(self, most: int, timeout_s: float) -> list[Message]:
            if not most:
                self.settle()
                self.log.append("moved")
                sink.takes.set()
            return super().poll(most, timeout_s)

    log: list[str] = []
    sink = Safe(log)
    sink.takes.clear()
    run_to_the_end(deliver(MovesWhileOneWaits(b"a", b"b", log=log), sink))
    assert sink.names == [b"a", b"b"]
    assert log == ["moved", "flush 2", "commit 2", "close source"]


def test_a_stop_tries_to_commit_for_a_while() -> None:
    source = Packets(b"a", ends=False)
    source.refuses_commit = 3
    delivery = deliver(source, Kept(), commit_interval_s=PATIENCE_S, patience_s=PATIENCE_S)
    delivery.start()
    until(lambda: delivery.stats().published)
    delivery.stop()
    assert source.committed == 1
    assert delivery.stats().failures == {"commit: UndeliveredError": 3}


def test_a_commit_that_fails_is_made_up_for() -> None:
    source = Packets(b"a")
    source.refuses_commit = 2
    delivery = deliver(source, Kept(), commit_interval_s=0.0)
    delivery.start()
    until(lambda: source.committed == 1)
    delivery.stop()
    assert delivery.stats().failures == {"commit: UndeliveredError": 2}


def test_a_source_that_raises_is_asked_again() -> None:
    class Stumbles(Packets):
        def poll(self, most: int, timeout_s: float) -> list[Message]:
            if not self.polls:
                self.polls.append(most)
                raise OSError("broker away")
            return super().poll(most, timeout_s)

    sink = Kept()
    delivery = deliver(Stumbles(b"a"), sink)
    run_to_the_end(delivery)
    assert sink.names == [b"a"]
    assert delivery.stats().failures == {"poll: OSError": 1}


def test_a_delivery_that_cannot_go_on_says_so_and_commits_nothing() -> None:
    class Unhashable(Names):
        def process(self, message: Message) -> Iterable[Message]:
            key: Any = bytearray(b"key")
            return [message.derive("names", Record({"name": message.payload.data}, key))]

    source = Packets(b"a")
    delivery = deliver(source, Kept(), processor=Unhashable())
    delivery.start()
    until(lambda: delivery.stats().blocked)
    assert delivery.stats().blocked.startswith("delivery: TypeError: ")
    delivery.stop()
    assert source.committed == 0
    assert source.log == ["close source"]


def test_every_output_needs_an_entry() -> None:
    with pytest.raises(ConfigurationError, match="names"):
        Delivery(Packets(), Names(), {DEAD_LETTERS: []}, ManualClock())
    with pytest.raises(ConfigurationError, match=DEAD_LETTERS):
        Delivery(Packets(), Names(), {"names": []}, ManualClock())


def test_an_output_without_sinks_is_thrown_away() -> None:
    source = Packets(b"a")
    delivery = Delivery(source, Names(), {"names": [], DEAD_LETTERS: []}, ManualClock())
    run_to_the_end(delivery)
    assert source.committed == 1
    assert delivery.stats().published == 0


def test_a_processor_that_does_not_open_stops_the_start() -> None:
    class Broken(Names):
        def open(self) -> None:
            raise ConfigurationError("no model")

    log: list[str] = []
    with pytest.raises(ConfigurationError, match="no model"):
        deliver(Packets(log=log), Kept(), processor=Broken(log)).start()
    assert log == ["close processor", "close source"]


def test_the_thread_itself_beats_and_says_at_the_end_that_all_is_done() -> None:
    heard: list[Heartbeat] = []
    threads: set[str] = set()

    def beat(heartbeat: Heartbeat) -> None:
        heard.append(heartbeat)
        threads.add(threading.current_thread().name)

    delivery = deliver(
        Packets(b"a", POISON, b"c"), Kept(), pulse=Pulse("/alerts", beat, period_s=0.01), name="deliverer"
    )
    run_to_the_end(delivery)
    assert heard[0].state == "idle"
    assert (heard[-1].state, heard[-1].sequence, heard[-1].period_ns) == ("finished", 3, 0)
    assert {beat.name for beat in heard} == {"/alerts"}
    assert threads == {"deliverer"}
    assert delivery.pulse.age_ns() == 0


def test_while_a_sink_does_not_confirm_the_heart_says_what_it_waits_for() -> None:
    heard: list[Heartbeat] = []
    sink = Safe()
    sink.confirms.clear()
    pulse = Pulse("/alerts", heard.append, period_s=0.01)
    delivery = deliver(Packets(b"a"), sink, pulse=pulse, patience_s=PATIENCE_S)
    delivery.start()
    reason = "waits for flush: UndeliveredError: brokers are away"
    until(
        lambda: sum(beat.state == reason for beat in heard) > 20
    )  # also in the long breaks between attempts
    sink.confirms.set()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    assert heard[-1].state == "finished"


def test_a_processor_that_hangs_stops_the_heart() -> None:
    leave = threading.Event()

    class Hangs(Names):
        def process(self, message: Message) -> Iterable[Message]:
            assert leave.wait(PATIENCE_S)
            return super().process(message)

    heard: list[Heartbeat] = []
    delivery = deliver(
        Packets(b"a"), Kept(), processor=Hangs(), pulse=Pulse("x", heard.append, period_s=0.01)
    )
    delivery.start()
    until(lambda: delivery.pulse.stuck)
    before = len(heard)
    time.sleep(0.05)
    assert len(heard) == before
    leave.set()
    assert delivery.wait(PATIENCE_S)
    delivery.stop()
    assert heard[-1].sequence == 1


def test_a_pace_asks_for_less_at_a_time_and_loses_nothing() -> None:
    source, names = Packets(*(b"%d" % number for number in range(60))), Names()
    sink = Safe()
    delivery = deliver(source, sink, processor=names)
    delivery.pace(20.0)
    began_s = time.monotonic()
    run_to_the_end(delivery)
    assert time.monotonic() - began_s >= 1.9  # 20 at once, and the others 20 a second
    assert len(sink.names) == source.committed == 60
    assert max(names.batches) <= 20
    assert 0 in source.polls, "the source had to keep its place"


def test_a_pace_that_is_lifted_holds_nothing_back() -> None:
    source = Packets(*(b"%d" % number for number in range(60)))
    sink = Safe()
    delivery = deliver(source, sink)
    delivery.pace(1e-3)
    delivery.start()
    until(lambda: sink.written)
    delivery.pace(math.inf)
    assert delivery.wait(PATIENCE_S)
    assert len(sink.names) == 60
    delivery.stop()
