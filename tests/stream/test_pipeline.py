# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A pipeline goes on after failures, counts them, and starts and stops its parts in order."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from lowlat_nodes.stream.clock import ManualClock, SteadyClock
from lowlat_nodes.stream.endpoint import Deliver
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.mailbox import Batch, Fifo, Mailbox, Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.pipeline import Pipeline
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.trace import Trace

BAD = -1


class Doubler(Processor):
    """Doubles the payload; refuses the payload `BAD`."""

    def __init__(self, calls: list[str] | None = None) -> None:
        self.calls = calls if calls is not None else []

    def open(self) -> None:
        self.calls.append("open processor")

    def process(self, message: Message) -> Sequence[Message]:
        if message.payload == BAD:
            raise ValueError("no double of BAD")
        return [message.derive("out", 2 * message.payload)]

    def close(self) -> None:
        self.calls.append("close processor")


class Yields(Doubler):
    """Its process is a generator, so that an error comes only when results are taken."""

    def process(self, message: Message) -> Iterator[Message]:
        yield from super().process(message)


class Forgets(Doubler):
    """Returns None for a bad message instead of a sequence."""

    def process(self, message: Message) -> Sequence[Message]:
        return None if message.payload == BAD else super().process(message)  # type: ignore[return-value]


class Confuses(Doubler):
    """Returns something that is no message for a bad one."""

    def process(self, message: Message) -> Sequence[Message]:
        return ["text"] if message.payload == BAD else super().process(message)  # type: ignore[list-item]


class Collector:
    """A sink that keeps what it gets and refuses the payloads in `refused`."""

    def __init__(self, calls: list[str] | None = None, refused: Sequence[int] = ()) -> None:
        self.calls = calls if calls is not None else []
        self.written: list[Message] = []
        self._refused = refused
        self._changed = threading.Condition()

    def write(self, message: Message) -> None:
        if message.payload in self._refused:
            raise OSError("disk full")
        with self._changed:
            self.written.append(message)
            self._changed.notify_all()

    def close(self) -> None:
        self.calls.append("close sink")

    def wait_for(self, count: int) -> list[int]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.written) >= count, 60.0)
            return [message.payload for message in self.written]


class Scripted:
    """A source that delivers its payloads when it is started."""

    def __init__(self, name: str, calls: list[str], payloads: Sequence[int] = (), error: str = "") -> None:
        self._name = name
        self._calls = calls
        self._payloads = payloads
        self._error = error

    def start(self, deliver: Deliver) -> None:
        self._calls.append(f"start {self._name}")
        for sequence, payload in enumerate(self._payloads):
            deliver(Message("in", payload, sequence=sequence, frame_id="cam"))
        if self._error == "start":
            raise ConfigurationError(f"{self._name}: no such topic")

    def stop(self) -> None:
        self._calls.append(f"stop {self._name}")
        if self._error == "stop":
            raise RuntimeError(f"{self._name} is stuck")


def fifo() -> Fifo:
    return Fifo(SteadyClock(), 100)


def test_results_keep_the_number_the_frame_and_the_stamps_of_their_input() -> None:
    clock = ManualClock(100)

    class Slow(Doubler):
        def process(self, message: Message) -> Sequence[Message]:
            clock.advance(7)
            return super().process(message)

    sink = Collector()
    pipeline = Pipeline([], Newest(clock), Slow(), sink, clock)
    pipeline.deliver(Message("in", 4, Trace(capture_ns=90), sequence=3, frame_id="cam"))
    clock.advance(5)
    [result] = pipeline.run_once(pipeline.mailbox.get())
    assert (result.topic, result.payload, result.sequence, result.frame_id) == ("out", 8, 3, "cam")
    assert result.trace == Trace(90, 100, 105, 105, 112, 112)
    stats = pipeline.stats()
    assert (stats.age.maximum, stats.latency.maximum, stats.service.maximum) == (22, 12, 7)
    assert (stats.processed, stats.published, stats.failures) == (1, 1, {})


def test_a_generators_results_are_written_as_it_makes_them() -> None:
    clock, sink = ManualClock(100), Collector()

    class Several(Doubler):
        def process(self, message: Message) -> Iterator[Message]:
            for payload in (1, 2, BAD):
                clock.advance(7)
                yield from super().process(message.derive("in", payload))
                assert sink.written[-1].payload == 2 * payload

    pipeline = Pipeline([], Newest(clock), Several(), sink, clock)
    written = pipeline.run_once([Message("in", 0)])
    assert [(result.payload, result.trace.published_ns) for result in written] == [(2, 107), (4, 114)]
    stats = pipeline.stats()
    assert (stats.processed, stats.published, stats.failures) == (0, 2, {"process: ValueError": 1})


def test_the_time_of_the_sink_is_no_service() -> None:
    clock = ManualClock(100)

    class Slow(Collector):
        def write(self, message: Message) -> None:
            clock.advance(50)
            super().write(message)

    class Several(Doubler):
        def process(self, message: Message) -> Iterator[Message]:
            for payload in (1, 2):
                clock.advance(7)
                yield message.derive("out", payload)

    pipeline = Pipeline([], Newest(clock), Several(), Slow(), clock)
    pipeline.run_once([Message("in", 0)])
    assert pipeline.stats().service.maximum == 14


def test_stamps_that_a_processor_set_itself_are_kept() -> None:
    class Remote(Doubler):
        def process(self, message: Message) -> Sequence[Message]:
            [result] = super().process(message)
            result.trace.inference_start_ns, result.trace.inference_end_ns = 41, 43
            return [result]

    clock = ManualClock(50)
    pipeline = Pipeline([], Newest(clock), Remote(), Collector(), clock)
    [result] = pipeline.run_once([Message("in", 1)])
    assert (result.trace.inference_start_ns, result.trace.inference_end_ns) == (41, 43)


@pytest.mark.parametrize(
    ("processor", "failure"),
    [
        (Doubler, "process: ValueError"),
        (Yields, "process: ValueError"),
        (Forgets, "process: TypeError"),
        (Confuses, "write: AttributeError"),
    ],
)
def test_a_bad_message_is_counted_and_the_next_one_is_processed(
    processor: type[Doubler], failure: str
) -> None:
    calls: list[str] = []
    sink = Collector()
    pipeline = Pipeline([Scripted("a", calls, [1, BAD, 3, BAD, 5])], fifo(), processor(), sink, SteadyClock())
    pipeline.start()
    assert sink.wait_for(3) == [2, 6, 10]
    pipeline.stop()
    stats = pipeline.stats()
    assert stats.failures == {failure: 2}
    assert stats.last_failure.startswith(failure + ": ")
    assert stats.published == 3


def test_a_sink_that_refuses_one_result_gets_the_next() -> None:
    sink = Collector(refused=[2])
    pipeline = Pipeline([Scripted("a", [], [1, 2])], fifo(), Doubler(), sink, SteadyClock())
    pipeline.start()
    assert sink.wait_for(1) == [4]
    pipeline.stop()
    stats = pipeline.stats()
    assert stats.failures == {"write: OSError": 1}
    assert stats.last_failure == "write: OSError: disk full"
    assert (stats.processed, stats.published) == (2, 1)


def test_a_failed_batch_counts_every_message_that_was_lost_with_it() -> None:
    clock = ManualClock()
    pipeline = Pipeline([], Batch(clock, 3, 0.0), Doubler(), Collector(), clock)
    assert pipeline.run_once([Message("in", 1), Message("in", BAD), Message("in", 3)]) == []
    stats = pipeline.stats()
    assert stats.failures == {"process: ValueError": 3}
    assert stats.processed == 0


def test_a_batch_goes_through_process_batch_in_one_call() -> None:
    class Summer(Doubler):
        def process_batch(self, messages: Sequence[Message]) -> Sequence[Message]:
            return [messages[-1].derive("out", sum(message.payload for message in messages))]

    calls: list[str] = []
    sink = Collector()
    batch = Batch(SteadyClock(), 4, linger_s=3600.0)
    pipeline = Pipeline([Scripted("a", calls, [1, 2, 3, 4])], batch, Summer(), sink, SteadyClock())
    pipeline.start()
    assert sink.wait_for(1) == [10]
    pipeline.stop()
    assert pipeline.stats().processed == 4


def test_parts_start_and_stop_in_order() -> None:
    calls: list[str] = []
    sources = [Scripted("a", calls), Scripted("b", calls)]
    pipeline = Pipeline(sources, fifo(), Doubler(calls), Collector(calls), SteadyClock())
    pipeline.start()
    pipeline.stop()
    pipeline.stop()
    assert calls == [
        "open processor", "start a", "start b", "stop b", "stop a", "close processor", "close sink",
    ]  # fmt: skip


def test_an_open_that_fails_stops_the_start_with_its_reason() -> None:
    calls: list[str] = []

    class NoModel(Doubler):
        def open(self) -> None:
            raise ConfigurationError("model.onnx: expected input 'state' of 7 values, got 6")

    pipeline = Pipeline([Scripted("a", calls)], fifo(), NoModel(calls), Collector(calls), SteadyClock())
    with pytest.raises(ConfigurationError, match="expected input 'state' of 7 values, got 6"):
        pipeline.start()
    assert calls == ["close processor", "close sink"]
    assert pipeline.mailbox.closed


def test_a_source_that_cannot_start_takes_everything_down_again() -> None:
    calls: list[str] = []
    sources = [Scripted("a", calls), Scripted("b", calls, error="start"), Scripted("c", calls)]
    pipeline = Pipeline(sources, fifo(), Doubler(calls), Collector(calls), SteadyClock(), name="doubler")
    with pytest.raises(ConfigurationError, match="b: no such topic"):
        pipeline.start()
    assert calls == ["open processor", "start a", "start b", "stop a", "close processor", "close sink"]
    assert "doubler" not in [thread.name for thread in threading.enumerate()]


def test_a_source_that_cannot_stop_does_not_keep_the_rest_alive() -> None:
    calls: list[str] = []
    sources = [Scripted("a", calls), Scripted("b", calls, error="stop")]
    pipeline = Pipeline(sources, fifo(), Doubler(calls), Collector(calls), SteadyClock(), name="stuck")
    pipeline.start()
    with pytest.raises(RuntimeError, match="b is stuck"):
        pipeline.stop()
    assert calls[-4:] == ["stop b", "stop a", "close processor", "close sink"]
    assert "stuck" not in [thread.name for thread in threading.enumerate()]


def test_stop_lets_the_message_in_hand_finish() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Waits(Doubler):
        def process(self, message: Message) -> Sequence[Message]:
            entered.set()
            assert leave.wait(60.0)
            return super().process(message)

    sink = Collector()
    pipeline = Pipeline([Scripted("a", [], [1, 2])], fifo(), Waits(), sink, SteadyClock())
    pipeline.start()
    assert entered.wait(60.0)
    stopper = threading.Thread(target=pipeline.stop)
    stopper.start()
    while not pipeline.mailbox.closed:
        threading.Event().wait(0.001)
    leave.set()
    stopper.join(60.0)
    assert [message.payload for message in sink.written] == [2]
    assert pipeline.mailbox.drops.snapshot() == {"closed": 1}


def test_what_is_delivered_after_the_stop_is_dropped_and_counted() -> None:
    pipeline = Pipeline([], fifo(), Doubler(), Collector(), SteadyClock())
    pipeline.start()
    pipeline.stop()
    pipeline.deliver(Message("in", 1))
    assert pipeline.mailbox.drops.snapshot() == {"closed": 1}


@pytest.mark.parametrize("make", [lambda: Newest(SteadyClock()), fifo, lambda: Batch(SteadyClock(), 4, 0.0)])
def test_every_message_is_accounted_for_under_load(make: Callable[[], Mailbox]) -> None:
    sink = Collector(refused=[8])
    pipeline = Pipeline([], make(), Doubler(), sink, SteadyClock())
    pipeline.start()
    producers = [
        threading.Thread(
            target=lambda: [pipeline.deliver(Message("in", value)) for value in (1, 4, BAD) * 200]
        )
        for _ in range(3)
    ]
    for producer in producers:
        producer.start()
    for producer in producers:
        producer.join()
    pipeline.stop()
    stats = pipeline.stats()
    process_failures = stats.failures.get("process: ValueError", 0)
    write_failures = stats.failures.get("write: OSError", 0)
    assert stats.processed + process_failures + pipeline.mailbox.drops.total == 1800
    assert stats.published + write_failures == stats.processed
    assert stats.published == len(sink.written) == stats.latency.count


def test_stats_are_a_snapshot() -> None:
    clock = ManualClock(1)
    pipeline = Pipeline([], Newest(clock), Doubler(), Collector(), clock)
    pipeline.run_once([Message("in", 1)])
    before = pipeline.stats()
    pipeline.run_once([Message("in", 1)])
    pipeline.run_once([Message("in", BAD)])
    assert (before.processed, before.service.count, before.failures, before.last_failure) == (1, 1, {}, "")


class Heard:
    """Heartbeats, and who gave them."""

    def __init__(self) -> None:
        self.beats: list[Heartbeat] = []
        self.threads: set[str] = set()
        self._changed = threading.Condition()

    def __call__(self, heartbeat: Heartbeat) -> None:
        with self._changed:
            self.beats.append(heartbeat)
            self.threads.add(threading.current_thread().name)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[Heartbeat], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(map(condition, self.beats)), 60.0), self.beats


def test_the_worker_itself_beats_idle_busy_and_at_the_end() -> None:
    heard = Heard()
    pulse = Pulse("/doubler", heard, period_s=0.01)
    pipeline = Pipeline([], fifo(), Doubler(), Collector(), SteadyClock(), pulse=pulse, name="worker")
    pipeline.start()
    heard.wait_for(lambda beat: beat.state == "idle" and beat.sequence == 0)
    pipeline.deliver(Message("in", 1))
    pipeline.deliver(Message("in", BAD))
    heard.wait_for(lambda beat: beat.sequence == 2 and beat.latency_ns > 0)
    assert not pulse.stuck
    pipeline.stop()
    assert (heard.beats[-1].state, heard.beats[-1].sequence, heard.beats[-1].period_ns) == ("stopped", 2, 0)
    assert {beat.name for beat in heard.beats} == {"/doubler"}
    assert heard.threads == {"worker"}


def test_a_processor_that_hangs_stops_the_heart_and_is_stuck_until_it_goes_on() -> None:
    entered, leave = threading.Event(), threading.Event()

    class Hangs(Doubler):
        def process(self, message: Message) -> Sequence[Message]:
            entered.set()
            assert leave.wait(60.0)
            return super().process(message)

    heard = Heard()
    pipeline = Pipeline(
        [], fifo(), Hangs(), Collector(), SteadyClock(), pulse=Pulse("x", heard, period_s=0.01)
    )
    pipeline.start()
    pipeline.deliver(Message("in", 1))
    assert entered.wait(60.0)
    while not pipeline.pulse.stuck:
        threading.Event().wait(0.001)
    before = len(heard.beats)
    threading.Event().wait(0.05)
    assert len(heard.beats) == before
    leave.set()
    heard.wait_for(lambda beat: beat.sequence == 1)
    pipeline.stop()
    assert not pipeline.pulse.stuck


def test_a_heartbeat_that_cannot_be_sent_is_counted_and_the_work_goes_on() -> None:
    def beat(_heartbeat: Heartbeat) -> None:
        raise OSError("no socket")

    sink = Collector()
    pipeline = Pipeline(
        [Scripted("a", [], [1])], fifo(), Doubler(), sink, SteadyClock(), pulse=Pulse("x", beat)
    )
    pipeline.start()
    while not sink.written:
        threading.Event().wait(0.001)
    pipeline.stop()
    assert pipeline.stats().failures["beat: OSError"] >= 1
    assert pipeline.stats().processed == 1
