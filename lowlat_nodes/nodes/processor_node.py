# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A lifecycle node that hosts any processor between topics of ROS, or of ZeroMQ on the way in."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from rclpy.impl.implementation_singleton import rclpy_implementation

from lowlat_nodes.energy.budget import LEAST_HZ, Leeway, Order
from lowlat_nodes.nodes.base import LifecycleHost, NodeSettings
from lowlat_nodes.nodes.diagnostics import (
    Level,
    Report,
    Window,
    judge_clock,
    judge_loop,
    judge_peers,
    standard_values,
)
from lowlat_nodes.nodes.zmq_input import ZmqInput
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.endpoint import Sink
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.mailbox import Mailbox, NewestOfEach
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.pipeline import Pipeline
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.transport.ros import Input, Output, RosClock, RosSink, RosSource
from lowlat_nodes.transport.zmq.subscriber import Subscriber

C = TypeVar("C", bound=NodeSettings)

_STUCK_S = 5.0  # without a message being finished while others come
_Process = Callable[[], Iterable[Message]]
_Count = Callable[[Sequence[Message], _Process], Iterable[Message]]
_FEW_INPUTS = 10  # before it is known how many results one makes
_BY_DESIGN = frozenset({"superseded", "budget", "closed"})  # drops that nobody needs to look into


@dataclass(frozen=True)
class Hosted:
    """What a node hosts.

    Attributes:
        processor: Does the work.
        inputs: Where each input of the processor comes from.
        outputs: Where each output of the processor goes.
        results: The outputs that count as results, for rates and ages; all of them unless given.
        mailbox: Makes what waits in between, of a clock and the greatest age in ns, 0 for any. Default:
            `NewestOfEach` input, so that the node never works on old data and no input displaces another.
    """

    processor: Processor
    inputs: Mapping[str, Input | ZmqInput]
    outputs: Mapping[str, Output]
    results: Container[str] | None = None
    mailbox: Callable[[Clock, int], Mailbox] | None = None

    def __post_init__(self) -> None:
        for what, wired in (("inputs", self.inputs), ("outputs", self.outputs)):
            named = getattr(self.processor, what)
            if named and set(named) != set(wired):
                raise ConfigurationError(
                    f"{what}: expected topics for {', '.join(named)}; got {', '.join(wired) or 'none'}"
                )


class ProcessorNode(LifecycleHost[C]):
    """Runs a processor in a worker thread: opened at configure, fed from activate to deactivate.

    One message that cannot be read, processed or published is counted and reported; the node goes on.

    Args:
        name: The node's name, unless remapped.
        config_type: The configuration class of the node.
        host: Makes processor and topics of a configuration; what it raises refuses the configuration.
        ros: As for `LifecycleHost`.

    Attributes:
        silent: The inputs on which nothing came in the period of the last report.
    """

    def __init__(self, name: str, config_type: type[C], host: Callable[[C], Hosted], **ros: Any) -> None:
        self._host = host
        self._hosted: Hosted | None = None
        self._window = Window()
        self._sink: RosSink | None = None
        self._sources: dict[str, RosSource | Subscriber] = {}
        self._pipeline: Pipeline | None = None
        self._lost = 0
        self._given = 0  # results of the call in hand, by the worker
        self._taken = self._made = 0  # inputs and results, since the activation
        self._max_hz = math.inf
        self._received: dict[str, int] = {}
        self._finished, self._finished_s = 0, 0.0
        self.silent: list[str] = []
        self._listening = True
        super().__init__(name, config_type, **{"task": "stream", **ros})

    def setup(self, config: C) -> None:
        """Open the processor and advertise its outputs."""
        self._hosted = self._host(config)
        for wired in self._hosted.inputs.values():
            if isinstance(wired, Input):
                self._check_topic(wired.topic)  # it is subscribed to at activate only
        self._hosted.processor.open()
        self._sink = RosSink(self, self._hosted.outputs)

    def published(self, message: Message) -> None:
        """Hear of a result that was just published; called in the worker, override where it matters."""

    def bucket(self, message: Message) -> str:  # noqa: ARG002
        """Return the shape of the work on an input, where shapes differ in cost; called in the worker."""
        return ""

    def leeway(self) -> Leeway:
        """Return that inputs may be left out, unless the mailbox keeps each of them."""
        held = self._hosted is not None and self._hosted.mailbox is None
        return Leeway(LEAST_HZ) if held else Leeway()

    def obey(self, order: Order) -> None:
        """Leave out inputs beyond a rate; those that are taken are as new as ever."""
        # The order is of results, of which an input may make none or several.
        per_input = self._made / self._taken if self._made and self._taken >= _FEW_INPUTS else 1.0
        self._max_hz = order.max_hz / per_input
        if self._pipeline is not None and isinstance(self._pipeline.mailbox, NewestOfEach):
            self._pipeline.mailbox.pace(self._max_hz)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Hear a heartbeat of the worker; called in the worker, override where somebody else should hear."""

    def topic(self, output: str) -> str:
        """Return the topic that an output goes to, as configured."""
        assert self._hosted is not None
        return self._hosted.outputs[output].topic

    def wanted(self, output: str) -> bool:
        """Return whether anybody listens to an output."""
        return self._sink is not None and self._sink.wanted(output)

    def listen(self, *, on: bool) -> None:
        """Subscribe to the inputs or unsubscribe; an inactive node keeps that in mind until it is active."""
        if on == self._listening:
            return
        self._listening = on
        if self._pipeline is None:
            return
        for source in self._sources.values():
            if on:
                source.start(self._pipeline.deliver)
            else:
                source.stop()

    def begin(self) -> None:
        """Subscribe and start the worker."""
        hosted, sink = self._hosted, self._sink
        assert hosted is not None
        assert sink is not None
        clock = RosClock(self)
        self._window = Window()
        self._lost = 0
        self._received = {}
        self._taken = self._made = 0
        self._finished, self._finished_s = 0, time.monotonic()
        self._sources = {
            name: wired.source(name, clock)
            if isinstance(wired, ZmqInput)
            else RosSource(self, name, wired, clock=clock, own_thread=True)
            for name, wired in hosted.inputs.items()
        }
        self._pipeline = Pipeline(
            [],
            _mailbox(hosted, clock),
            _Lent(hosted.processor, self._counted),
            _Metered(sink, self._window, hosted.results, self._note),
            clock,
            pulse=Pulse(self.get_fully_qualified_name(), self.beat),
            name=self.get_name(),
        )
        self.obey(self.energy.order)
        self._pipeline.start()
        if self._listening:
            for source in self._sources.values():
                source.start(self._pipeline.deliver)

    def halt(self) -> None:
        """Unsubscribe and let the message in hand finish."""
        for source in self._sources.values():
            source.stop()
        if self._pipeline is not None:
            self._pipeline.stop()
            self._pipeline = None
        self._sources = {}

    def teardown(self) -> None:
        """Close the processor and withdraw its outputs."""
        hosted, self._hosted = self._hosted, None
        sink, self._sink = self._sink, None
        try:
            if hosted is not None:
                hosted.processor.close()
        finally:
            if sink is not None:
                sink.close()

    def report(self) -> Report:
        """Return rates, ages, drops and failures.

        It is a warning where something failed in this period, and an error where the processor is stuck.
        """
        assert self._pipeline is not None
        subscribers = {
            name: source
            for name, source in self._sources.items()
            if isinstance(source, Subscriber) and self._listening
        }
        peers = {name: source.peer for name, source in subscribers.items()}
        report = judge_clock(judge_peers(self._report(self._pipeline), peers))
        report = judge_loop(report, self._pipeline.pulse)
        for name, source in subscribers.items():
            report.values[f"peer.{name}.endpoint"] = source.endpoint
            report.values[f"peer.{name}.in_place"] = source.in_place
        return report

    def _report(self, pipeline: Pipeline) -> Report:
        stats, mailbox = pipeline.stats(), pipeline.mailbox
        drops: dict[str, int] = mailbox.drops.snapshot()
        last_failure = stats.last_failure
        for source in self._sources.values():
            for reason, count in source.drops.snapshot().items():
                drops[reason] = drops.get(reason, 0) + count
            last_failure = last_failure or source.last_failure
        received = {name: source.received for name, source in self._sources.items()}
        self.silent = [name for name, count in received.items() if count == self._received.get(name, 0)]
        self._received = received
        figures = self._window.turn(sum(received.values()))
        values = standard_values(
            self.state, figures=figures, drops=drops, failures=stats.failures, last_failure=last_failure
        )
        if len(received) > 1:
            values |= {f"{name}.received": count for name, count in received.items()}
            of_each = mailbox.drops_of if isinstance(mailbox, NewestOfEach) else {}
            for name, counts in of_each.items():
                values |= {f"{name}.drops.{reason}": count for reason, count in counts.snapshot().items()}
        finished = stats.processed + sum(stats.failures.values())
        if finished != self._finished or not figures["rate_in_hz"]:
            self._finished, self._finished_s = finished, time.monotonic()
        elif (waited_s := time.monotonic() - self._finished_s) > max(_STUCK_S, 2.0 / self._max_hz):
            return Report(Level.ERROR, f"stuck: no message finished for {waited_s:.0f} s", values)
        lost = {
            reason: count for reason, count in (drops | stats.failures).items() if reason not in _BY_DESIGN
        }
        total = sum(lost.values())
        former, self._lost = self._lost, total
        if total > former:
            which = ", ".join(f"{reason} {count}" for reason, count in lost.items())
            self.get_logger().warning(f"{total - former} messages lost (in all: {which}). {last_failure}")
            return Report(Level.WARN, f"losing messages: {which}", values)
        if not self._listening:
            return Report(Level.OK, "disabled", values)
        if not figures["rate_in_hz"]:
            return Report(Level.STALE, f"no input{self._unpublished()}", values)
        return Report(Level.OK, "running", values)

    def _unpublished(self) -> str:
        """Return which topics nobody publishes, the usual reason why nothing comes."""
        assert self._hosted is not None
        topics = [wired.topic for wired in self._hosted.inputs.values() if not isinstance(wired, ZmqInput)]
        alone = [self.resolve_topic_name(topic) for topic in topics if not self.count_publishers(topic)]
        return f": nobody publishes {', '.join(alone)}" if alone else ""

    def _counted(self, messages: Sequence[Message], process: _Process) -> Iterator[Message]:
        """Yield results, and have what was begun and what went out counted; in the worker."""
        energy, bucket = self.energy, self.bucket(messages[0])
        for _ in messages:
            energy.begin(bucket)
        self._given, began_ns = 0, time.thread_time_ns()
        try:
            yield from process()
        finally:
            self._taken += len(messages)
            self._made += self._given
            energy.done(self._given, bucket)
            energy.cpu(time.thread_time_ns() - began_ns, bucket)

    def _note(self, message: Message) -> None:
        self._given += 1
        self.published(message)

    def _check_topic(self, name: str) -> None:
        try:
            self.resolve_topic_name(name)
        except (ValueError, rclpy_implementation.RCLError) as error:
            raise ConfigurationError(
                f"topic: expected the name of a ROS topic, got {name!r}: {error}"
            ) from error


class _Lent(Processor):
    """A processor that its node opens and closes, not the pipeline; the node counts what it does."""

    def __init__(self, processor: Processor, counted: _Count) -> None:
        self.inputs, self.outputs = processor.inputs, processor.outputs
        self._processor = processor
        self._counted = counted

    def process(self, message: Message) -> Iterable[Message]:
        return self._counted([message], lambda: self._processor.process(message))

    def process_batch(self, messages: Sequence[Message]) -> Iterable[Message]:
        return self._counted(messages, lambda: self._processor.process_batch(messages))


class _Metered(Sink):
    """A sink that its node closes; counts what went out, and tells."""

    def __init__(
        self,
        sink: Sink,
        window: Window,
        results: Container[str] | None,
        published: Callable[[Message], None],
    ) -> None:
        self._sink = sink
        self._window = window
        self._results = results
        self._published = published

    def write(self, message: Message) -> None:
        self._sink.write(message)
        if self._results is None or message.topic in self._results:
            self._published(message)
            self._window.give(message.trace)

    def close(self) -> None:
        """Leave the sink open; an inactive node still advertises its outputs."""


def _mailbox(hosted: Hosted, clock: Clock) -> Mailbox:
    ages_ms = [topic.max_age_ms for topic in hosted.inputs.values()]
    max_age_ns = int(max(ages_ms) * 1_000_000) if ages_ms and all(ages_ms) else 0
    if hosted.mailbox is not None:
        return hosted.mailbox(clock, max_age_ns)
    return NewestOfEach(clock, hosted.inputs, max_age_ns=max_age_ns)
