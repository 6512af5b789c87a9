# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Runs a processor over a bag in the time of the bag: no ROS, no threads, no wall clock.

The same bag, processor and parameters give the same output bytes, as fast as the machine can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor, TimedProcessor
from lowlat_nodes.transport.bag.codec import Codec
from lowlat_nodes.transport.bag.errors import DiskError
from lowlat_nodes.transport.bag.names import CLOCK_TOPIC, absolute, as_stream, matching, require
from lowlat_nodes.transport.bag.reader import BagReader
from lowlat_nodes.transport.bag.record import Recorded
from lowlat_nodes.transport.bag.tally import Tally
from lowlat_nodes.transport.bag.writer import BagWriter
from lowlat_nodes.transport.cdr.wire import CdrError, Reader


@dataclass(slots=True)
class OfflineRun:
    """What an offline replay did.

    Attributes:
        tally: What became of the messages of the bag.
        outputs: Results written, by topic.
        failures: Messages that the processor or the writer refused, by `stage: ErrorType`.
        last_failure: The text of the newest of these.
        silent: Inputs of the processor that no topic of the bag feeds.
    """

    tally: Tally
    outputs: dict[str, int] = field(default_factory=dict)
    failures: Counters = field(default_factory=Counters)
    last_failure: str = ""
    silent: tuple[str, ...] = ()


class OfflineReplay:
    """Feeds the messages of a bag to a processor in the order of their stamps and writes what it makes.

    A message that cannot be decoded, or that makes the processor raise, is counted and forgotten. Results are
    stamped with their `published_ns`, or with the time of the bag where they have none.

    Args:
        bag: What to read.
        processor: Takes the topics that are named like its inputs (a relative name counts as absolute, and a
            topic of ZeroMQ too); all of them if it names none.
        writer: Takes the results; None only counts them.
        remap: Bag topic to input name, for topics that are named differently.
        name: What `~` stands for in the names of outputs.
        sim_time: The time is that of the recorded /clock, as it is for nodes with `use_sim_time`; what comes
            before its first message is skipped. Otherwise it is the time at which messages were recorded.

    Raises:
        ConfigurationError: If a remapped topic is not in the bag, or its input not the processor's; if there
            is no recorded /clock to take the time from.
    """

    def __init__(
        self,
        bag: BagReader,
        processor: Processor,
        writer: BagWriter | None,
        *,
        remap: Mapping[str, str] | None = None,
        name: str = "processor",
        sim_time: bool = False,
    ) -> None:
        self._bag = bag
        self._processor = processor
        self._writer = writer
        self._name = name
        self._codec = Codec()
        self._sequences: dict[str, int] = {}
        self._sim_time = sim_time
        self._now_ns: int | None = None
        if sim_time:
            require(CLOCK_TOPIC, (topic.name for topic in bag.topics), "simulated time needs a recorded")
        self._streams = self._route(remap or {})
        fed = set(self._streams.values())
        self._run = OfflineRun(
            Tally(bag.topics), silent=tuple(item for item in processor.inputs if item not in fed)
        )

    def run(self) -> OfflineRun:
        """Read the bag to its end.

        Raises:
            Exception: Whatever `Processor.open` raises.
            DiskError: If the results cannot be written.
        """
        try:
            self._processor.open()
            for recorded in self._bag.messages():
                self._tell_time(recorded)
                self._deliver(recorded)
            if self._now_ns is not None:
                self._advance(self._now_ns)
        finally:
            self._processor.close()
        return self._run

    def _route(self, remap: Mapping[str, str]) -> dict[str, str]:
        """Return the name of the processor's input by bag topic."""
        topics = self._bag.topics
        inputs = {absolute(item, self._name): item for item in self._processor.inputs}
        targets = {topic.name: as_stream(topic, topics) for topic in topics}
        for name, stream in remap.items():
            target = absolute(stream, self._name)
            if inputs:
                require(target, inputs, "the processor has no input")
            for topic in matching(name, topics, str(self._bag.path), self._name):
                targets[topic.name] = target
        if not inputs:
            return targets
        return {topic: inputs[target] for topic, target in targets.items() if target in inputs}

    def _tell_time(self, recorded: Recorded) -> None:
        if not self._sim_time:
            self._now_ns = recorded.stamp_ns
        elif recorded.topic == CLOCK_TOPIC:
            try:
                self._now_ns = Reader(recorded.data).time_ns("clock")
            except CdrError as error:
                self._failed("clock", error)

    def _deliver(self, recorded: Recorded) -> None:
        tally, topic, type_name, now_ns = self._run.tally, recorded.topic, recorded.type, self._now_ns
        stream = self._streams.get(topic)
        if stream is None:
            tally.skip(topic, type_name, "not an input of the processor")
        elif not self._codec.known(type_name):
            tally.skip(topic, type_name, f"type {type_name} is not known here")
        elif now_ns is None:
            tally.skip(topic, type_name, f"before the first {CLOCK_TOPIC}")
        else:
            sequence = self._sequences.get(stream, 0)
            self._sequences[stream] = sequence + 1
            try:
                message = self._codec.decode(stream, recorded._replace(stamp_ns=now_ns), sequence)
            except LowlatError as error:
                tally.skip(topic, type_name, f"malformed: {error}")
                return
            tally.publish(topic, type_name)
            self._advance(now_ns)
            self._collect(lambda: self._processor.process(message), now_ns)

    def _advance(self, now_ns: int) -> None:
        if isinstance(self._processor, TimedProcessor):
            advance = self._processor.advance
            self._collect(lambda: advance(now_ns), now_ns)

    def _collect(self, make: Callable[[], Iterable[Message]], now_ns: int) -> None:
        try:
            for result in make():
                self._write(result, now_ns)
        except DiskError:
            raise
        except Exception as error:  # as in a pipeline: it concerns this message alone
            self._failed("process", error)

    def _write(self, result: Message, now_ns: int) -> None:
        try:
            topic = absolute(result.topic, self._name)
            type_name, data = self._codec.encode(result)
            if self._writer is not None:
                self._writer.write(topic, type_name, result.trace.published_ns or now_ns, data)
        except DiskError:
            raise
        except Exception as error:  # a processor may return anything
            self._failed("write", error)
        else:
            self._run.outputs[topic] = self._run.outputs.get(topic, 0) + 1

    def _failed(self, stage: str, error: Exception) -> None:
        self._run.failures.add(f"{stage}: {type(error).__name__}")
        self._run.last_failure = f"{stage}: {type(error).__name__}: {error}"
