# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Source -> Mailbox -> Processor -> Sink, with one worker thread and honest counts."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import Sink, Source
from lowlat_nodes.stream.heartbeat import IDLE, RUNNING, STOPPED
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.mailbox import Mailbox
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import Pulse

_POLL_S = 0.2


@dataclass(slots=True)
class PipelineStats:
    """What a pipeline did since it was made; a snapshot is independent of the running pipeline.

    Attributes:
        processed: Messages that went through the processor without an error.
        published: Messages handed to the sink without an error.
        failures: Messages lost by `stage: ErrorType`; a failed batch counts all that were in it.
        last_failure: The text of the newest error, empty if there was none.
        age: Capture to publication, ns.
        latency: Receipt to publication, ns.
        service: Time inside the processor, ns.
    """

    processed: int = 0
    published: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    last_failure: str = ""
    age: Histogram = field(default_factory=Histogram)
    latency: Histogram = field(default_factory=Histogram)
    service: Histogram = field(default_factory=Histogram)


class Pipeline:
    """Runs one processor on what its sources deliver.

    A message that makes the processor or the sink raise is counted and forgotten; the pipeline goes on.
    A processor whose `open` raises stops the start, with that error.

    Args:
        sources: Deliver into the mailbox; may be empty where the owner calls `deliver` itself.
        mailbox: Decides what waits.
        processor: Does the work.
        sink: Gets every result.
        clock: The clock of the messages' stamps.
        pulse: Beats in the worker, at each turn of its loop; one that nobody hears unless given.
        name: Names the worker thread.
    """

    def __init__(
        self,
        sources: Sequence[Source],
        mailbox: Mailbox,
        processor: Processor,
        sink: Sink,
        clock: Clock,
        *,
        pulse: Pulse | None = None,
        name: str = "pipeline",
    ) -> None:
        self.mailbox = mailbox
        self.pulse = pulse or Pulse(name)
        self._sources = tuple(sources)
        self._processor = processor
        self._sink = sink
        self._clock = clock
        self._name = name
        self._failures = Counters()
        self._stats = PipelineStats()
        self._stats_lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._started: list[Source] = []
        self._stopped = False

    def start(self) -> None:
        """Open the processor, then start the worker and the sources.

        Raises:
            Exception: Whatever `Processor.open` or `Source.start` raised; everything is closed again.
        """
        try:
            self._processor.open()
            self._worker = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._worker.start()
            for source in self._sources:
                source.start(self.deliver)
                self._started.append(source)
        except BaseException:
            self.stop()
            raise

    def deliver(self, message: Message) -> None:
        """Stamp the receipt of a message and leave it in the mailbox."""
        message.trace.received_ns = message.trace.received_ns or self._clock.now_ns()
        self.mailbox.put(message)

    def stop(self) -> None:
        """Stop the sources, let the message in hand finish, close processor and sink; once, then a no-op."""
        with self._stats_lock:
            if self._stopped:
                return
            self._stopped = True
        # What is pushed last runs first, and everything runs whatever the others raise.
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._sink.close)
            cleanup.callback(self._processor.close)
            if self._worker is not None:
                cleanup.callback(self._worker.join)
            cleanup.callback(self.mailbox.close)
            for source in self._started:
                cleanup.callback(source.stop)

    def stats(self) -> PipelineStats:
        """Return a snapshot."""
        with self._stats_lock:
            stats = self._stats
            return PipelineStats(
                stats.processed,
                stats.published,
                self._failures.snapshot(),
                stats.last_failure,
                stats.age.copy(),
                stats.latency.copy(),
                stats.service.copy(),
            )

    def run_once(self, messages: Sequence[Message]) -> list[Message]:
        """Process a batch in the calling thread and write each result as it is made, as the worker does.

        Returns:
            The results that the sink took.
        """
        start_ns = self._clock.now_ns()
        written: list[Message] = []
        writing_ns, done = 0, True
        try:
            for result in self._results(messages):
                made_ns = self._clock.now_ns()
                if self._write(result, start_ns, made_ns):
                    written.append(result)
                writing_ns += self._clock.now_ns() - made_ns
        except Exception as error:  # one bad message must not end the node: counted and reported
            self._failed("process", error, len(messages))
            done = False
        end_ns = self._clock.now_ns()
        with self._stats_lock:
            stats = self._stats
            if done:
                stats.processed += len(messages)
                stats.service.record(end_ns - start_ns - writing_ns)
            stats.published += len(written)
            for result in written:
                stats.age.record(result.trace.age_ns(result.trace.published_ns))
                stats.latency.record(result.trace.latency_ns())
        return written

    def _results(self, messages: Sequence[Message]) -> Iterable[Message]:
        if len(messages) == 1:
            return self._processor.process(messages[0])
        return self._processor.process_batch(messages)

    def _write(self, result: Message, start_ns: int, made_ns: int) -> bool:
        """Write a result and return whether the sink took it."""
        try:
            trace = result.trace
            trace.inference_start_ns = trace.inference_start_ns or start_ns
            trace.inference_end_ns = trace.inference_end_ns or made_ns
            trace.published_ns = self._clock.now_ns()
            self._sink.write(result)
        except Exception as error:  # a full disk or a closed socket is no reason to stop thinking
            self._failed("write", error)
            return False
        return True

    def _run(self) -> None:
        pulse = self.pulse
        done = latency_ns = 0
        pulse.begin(partial(self._failed, "beat"))
        pulse.turn(IDLE, done, latency_ns)
        while not self.mailbox.closed:
            messages = self.mailbox.get(pulse.wait_s(_POLL_S))
            if messages:
                pulse.turn(RUNNING, done, latency_ns)
                written = self.run_once(messages)
                done += len(messages)
                if written:
                    latency_ns = written[-1].trace.latency_ns()
            pulse.turn(RUNNING if messages else IDLE, done, latency_ns)
        pulse.end(STOPPED, done, latency_ns)

    def _failed(self, stage: str, error: Exception, messages: int = 1) -> None:
        kind = f"{stage}: {type(error).__name__}"
        with self._stats_lock:
            self._failures.add(kind, messages)
            self._stats.last_failure = f"{kind}: {error}"
