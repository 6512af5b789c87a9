# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Source -> Processor -> Sinks where nothing may be lost: asked for, and done only once it is safe."""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import DurableSink, PullSource, Sink, UndeliveredError, UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import FINISHED, IDLE, RUNNING, STOPPED
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Record
from lowlat_nodes.stream.pipeline import PipelineStats
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.recent import Recent

DEAD_LETTERS = "dead_letters"
"""The output for packets that could not be dealt with: messages with a `DeadLetter`."""

_IDLE_S = 0.2
_FLUSH_S = 0.5
_KEEP_S = 0.2  # how often a source is polled that is to keep its place
_PACED_S = 1.0  # of messages in a batch, with a pace
_BACK_OFF_S = 0.05
_BACK_OFF_MAX_S = 1.0  # recovery is to take no longer than two
_LONGEST_STATE = 200  # characters
_MAY_PASS = (OSError, UndeliveredError)


@dataclass(slots=True)
class DeliveryStats(PipelineStats):
    """What a delivery did since it was made; a snapshot is independent of the running delivery.

    Attributes:
        dead_letters: Messages that could not be dealt with, whether or not a sink took them.
        failing: Messages in a row, up to the newest, of which every one became a dead letter.
        repeated: Results held back because one with their key was published before.
        commits: How often the source was told that all is done.
        uncommitted: Messages that are not done yet: in hand, or with results that are not safe.
        lost: Messages that never came, by reason, as the source knows.
        lag: Messages that wait at the source, None where it does not know.
        blocked: Why nothing goes on at the moment, as a sink or the source fails; empty while all do.
    """

    dead_letters: int = 0
    failing: int = 0
    repeated: int = 0
    commits: int = 0
    uncommitted: int = 0
    lost: dict[str, int] | None = None
    lag: int | None = None
    blocked: str = ""


class _GivenUp(Exception):
    """The delivery is to stop, and a sink does not confirm."""


class Delivery:
    """Runs a processor on what it asks of a source, at least once for each message.

    One thread polls, processes a batch, writes its results, has the durable sinks confirm, and then commits.
    While a sink does not confirm it is asked again, ever less often, and nothing is polled: messages wait
    where they come from. Without a confirmation nothing is committed, and comes again after a restart.

    What goes wrong is counted, and the delivery goes on:

    ============================== ========================================================================
    process_batch raises           the batch is processed one by one; what raises alone is a dead letter
    a durable sink cannot take     tried again until it can (`UndeliveredError` and `OSError`)
    a durable sink never will      the message that the result came from is a dead letter
    another sink raises            that sink goes without the result
    the source raises              polled again later; what a failed commit was for is committed next time
    a result was published before  held back, by the key of its `Record`, or the origin of a dead letter
    ============================== ========================================================================

    Args:
        source: Of messages with a `Packet`; closed with the delivery.
        processor: Makes a dead letter itself, as a result for `DEAD_LETTERS`, where it can tell the reason.
        sinks: For each output of the processor, and for `DEAD_LETTERS`: where its messages go. A sink may
            serve several.
        clock: The clock of the messages' stamps.
        batch: Most messages to process at once.
        commit_interval_s: Longest time for which results wait to be confirmed while more messages come;
            0 confirms after each batch. This much is done again after a crash.
        remember: How many keys of published results are remembered, for all outputs together.
        patience_s: How long `stop` waits for sinks that do not confirm.
        pulse: Beats in the thread, at each turn of its loop, also while a sink or the source keeps it from
            going on; one that nobody hears unless given.
        name: Names the thread.

    Raises:
        ConfigurationError: If an output has no entry in `sinks`; an empty one throws its messages away.
    """

    def __init__(
        self,
        source: PullSource,
        processor: Processor,
        sinks: Mapping[str, Sequence[Sink]],
        clock: Clock,
        *,
        batch: int = 256,
        commit_interval_s: float = 0.1,
        remember: int = 20_000,
        patience_s: float = 10.0,
        pulse: Pulse | None = None,
        name: str = "delivery",
    ) -> None:
        for output in (*processor.outputs, DEAD_LETTERS):
            if output not in sinks:
                raise ConfigurationError(f"expected sinks for the output {output!r}, got {', '.join(sinks)}")
        self.pulse = pulse or Pulse(name)
        self._source = source
        source.before_handover(self._settle_at_once)
        self._processor = processor
        self._all_sinks = tuple({id(sink): sink for served in sinks.values() for sink in served}.values())
        self._durable = tuple(sink for sink in self._all_sinks if isinstance(sink, DurableSink))
        self._sinks = {
            output: tuple((sink, sink in self._durable) for sink in served)
            for output, served in sinks.items()
        }
        self._clock = clock
        self._batch = batch
        self._commit_interval_s = commit_interval_s
        self._patience_s = patience_s
        self._name = name
        self._published = Recent(remember)
        self._in_hand = False  # between a poll and the last write of what it gave
        self._failures = Counters()
        self._blocked: dict[str, str] = {}  # by stage: why it is tried again
        self._stats = DeliveryStats()
        self._stats_lock = threading.Lock()
        self._worker: threading.Thread | None = None
        self._stopping = threading.Event()
        self._finished = threading.Event()
        self._stopped = False
        self._give_up_s = 0.0
        self._commit_due_s = 0.0
        self._max_hz = math.inf
        self._paced_s = 0.0  # when the pace lets the next batch be asked for
        self._done = self._latency_ns = 0  # by the thread

    def start(self) -> None:
        """Open the processor, then start the thread.

        Raises:
            Exception: Whatever `Processor.open` raised; everything is closed again.
        """
        try:
            self._processor.open()
            self._worker = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._worker.start()
        except BaseException:
            self.stop()
            raise

    def pace(self, max_hz: float) -> None:
        """Ask for at most so many messages a second, in about one batch a second; infinite for all that come.

        What is not asked for waits where it comes from. For any thread.
        """
        self._max_hz = max_hz

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until the source is exhausted and all is committed; return whether that is so."""
        return self._finished.wait(timeout_s)

    def stop(self) -> None:
        """Finish the batch in hand and commit it, then close everything; once, then a no-op.

        Where a sink does not confirm within `patience_s`, what it should have stays uncommitted.
        """
        with self._stats_lock:
            if self._stopped:
                return
            self._stopped = True
        self._give_up_s = time.monotonic() + self._patience_s
        self._stopping.set()
        # What is pushed last runs first, and everything runs whatever the others raise.
        with contextlib.ExitStack() as cleanup:
            cleanup.callback(self._source.close)
            cleanup.callback(self._processor.close)
            for sink in self._all_sinks:
                cleanup.callback(sink.close)
            if self._worker is not None:
                cleanup.callback(self._worker.join)

    def stats(self) -> DeliveryStats:
        """Return a snapshot."""
        lag, lost = self._source.lag, self._source.drops.snapshot()
        with self._stats_lock:
            stats = self._stats
            return DeliveryStats(
                stats.processed,
                stats.published,
                self._failures.snapshot(),
                stats.last_failure or self._source.last_failure,
                stats.age.copy(),
                stats.latency.copy(),
                stats.service.copy(),
                stats.dead_letters,
                stats.failing,
                stats.repeated,
                stats.commits,
                stats.uncommitted,
                lost,
                lag,
                "; ".join(self._blocked.values()),
            )

    def _run(self) -> None:
        self.pulse.begin(partial(self._failed, "beat"))
        self._turn(IDLE)
        try:
            while not self._stopping.is_set():
                messages = self._next()
                if messages:
                    self._in_hand = True
                    self._turn(RUNNING)
                    self._deliver(messages)
                    self._in_hand = False
                elif self._source.exhausted:
                    if not self._stats.uncommitted:
                        self.pulse.end(FINISHED, self._done, self._latency_ns)
                        self._finished.set()
                        return
                    self._settle()
                    self._wait(_BACK_OFF_S if self._stats.uncommitted else 0.0)
                if self._stats.uncommitted and time.monotonic() >= self._commit_due_s:
                    self._settle()
                self._turn(RUNNING if messages else IDLE)
            while self._stats.uncommitted:
                self._settle()
        except _GivenUp:
            pass
        except Exception as error:  # a defect in here; nobody else would tell that nothing goes on
            self._failed("delivery", error, blocked=True)
            reason = f"failed: {type(error).__name__}: {error}"[:_LONGEST_STATE]
            self.pulse.end(reason, self._done, self._latency_ns)
            return
        self.pulse.end(STOPPED, self._done, self._latency_ns)

    def _next(self) -> list[Message]:
        """Return the next batch, or nothing while the pace holds it back."""
        max_hz, now_s = self._max_hz, time.monotonic()
        if math.isinf(max_hz):
            return self._poll(self._batch, self._idle_s())
        if now_s < self._paced_s:
            self._wait(min(self._paced_s - now_s, self._idle_s(), _KEEP_S))
            return self._poll(0, 0.0)
        most = min(self._batch, math.ceil(max_hz * _PACED_S))
        messages = self._poll(most, self._idle_s())
        # From when it was due, so that the rate is right; from now on after a lull, so that no burst follows.
        due_s = self._paced_s if time.monotonic() - self._paced_s < _PACED_S else time.monotonic()
        self._paced_s = due_s + len(messages) / max_hz
        return messages

    def _idle_s(self) -> float:
        longest_s = self.pulse.wait_s(_IDLE_S)
        if not self._stats.uncommitted:
            return longest_s
        return min(longest_s, max(0.0, self._commit_due_s - time.monotonic()))

    def _poll(self, most: int, timeout_s: float) -> list[Message]:
        try:
            messages = self._source.poll(most, timeout_s)
        except Exception as error:  # a broker that is away comes back
            self._failed("poll", error, blocked=True)
            self._wait(_IDLE_S)
            return []
        self._goes_on("poll")
        return messages

    def _deliver(self, messages: Sequence[Message]) -> None:
        """Process a batch and hand its results to the sinks."""
        start_ns = self._clock.now_ns()
        for message in messages:
            trace = message.trace
            trace.received_ns = trace.received_ns or start_ns
            trace.dequeued_ns = start_ns
        with self._stats_lock:
            if not self._stats.uncommitted:
                self._commit_due_s = time.monotonic() + self._commit_interval_s
            self._stats.uncommitted += len(messages)
        results, done = self._process(messages)
        made_ns = self._clock.now_ns()
        letters = sum(result.topic == DEAD_LETTERS for result in results)
        written = [result for result in results if self._write(result, messages)]
        self._done += len(messages)
        with self._stats_lock:
            stats = self._stats
            stats.processed += done
            stats.failing = stats.failing + letters if letters >= len(messages) else 0
            stats.service.record(made_ns - start_ns)
            stats.published += len(written)
            for result in written:
                trace = result.trace
                stats.age.record(trace.age_ns(trace.published_ns))
                self._latency_ns = trace.latency_ns()
                stats.latency.record(self._latency_ns)

    def _process(self, messages: Sequence[Message]) -> tuple[list[Message], int]:
        """Return the results of a batch, and how many of its messages made no error."""
        start_ns = self._clock.now_ns()
        try:
            results = list(self._processor.process_batch(messages))
            made_ns = self._clock.now_ns()
            for result in results:
                trace = result.trace
                trace.inference_start_ns = trace.inference_start_ns or start_ns
                trace.inference_end_ns = trace.inference_end_ns or made_ns
            return results, len(messages)
        except Exception as error:  # one bad message must not end the node: counted and reported
            if len(messages) == 1:
                self._failed("process", error)
                return [_dead_letter(messages[0], error)], 0
        results, done = [], 0
        for message in messages:
            found, good = self._process([message])
            results += found
            done += good
        return results, done

    def _write(self, result: Message, messages: Sequence[Message]) -> bool:
        """Hand a result to its sinks and return whether one of them took it."""
        key = _key(result)
        if key is not None and key in self._published:
            with self._stats_lock:
                self._stats.repeated += 1
            return False
        sinks = self._sinks.get(result.topic)
        if sinks is None:
            self._failed("write", UnknownOutput(result.topic, self._sinks))
            return False
        result.trace.published_ns = self._clock.now_ns()
        if result.topic == DEAD_LETTERS:
            with self._stats_lock:
                self._stats.dead_letters += 1
        taken = 0
        for sink, durable in sinks:
            error = self._hand(result, sink, durable)
            if error is None:
                taken += 1
            elif durable and result.topic != DEAD_LETTERS:
                self._bury(result, messages, error)
        if key is not None and (taken or not sinks):
            self._published.add(key)
        return taken > 0

    def _hand(self, result: Message, sink: Sink, durable: bool) -> Exception | None:
        """Hand a result to a sink and return why it did not take it."""
        try:
            if durable:
                self._again(partial(sink.write, result), "write", _MAY_PASS)
            else:
                sink.write(result)
        except _GivenUp:
            raise
        except Exception as error:  # a closed socket is no reason to stop thinking
            self._failed("write", error)
            return error
        return None

    def _bury(self, result: Message, messages: Sequence[Message], error: Exception) -> None:
        """Make a dead letter of the message whose result a sink will never take."""
        for message in messages:
            if message.sequence == result.sequence:
                letter = _dead_letter(message, error)
                if self._write(letter, messages):
                    with self._stats_lock:
                        self._stats.published += 1
                return

    def _settle(self) -> None:
        """Have all sinks confirm, then commit."""
        for sink in self._durable:
            self._again(partial(sink.flush, _FLUSH_S), "flush", (Exception,))
        self._commit()
        if self._stopping.is_set() and self._stats.uncommitted:
            self._pause(_BACK_OFF_S)

    def _settle_at_once(self) -> None:
        """Commit if all sinks confirm now; what is not committed here is done again elsewhere."""
        if self._in_hand:  # a commit would be for results, too, that still wait to be written
            return
        try:
            for sink in self._durable:
                sink.flush(_FLUSH_S)
        except Exception as error:  # not now
            self._failed("flush", error)
        else:
            self._commit()

    def _commit(self) -> None:
        try:
            self._source.commit()
        except Exception as error:  # comes again, which is better than not at all
            self._failed("commit", error, blocked=True)
            self._commit_due_s = time.monotonic() + max(self._commit_interval_s, _BACK_OFF_S)
            return
        self._goes_on("commit")
        with self._stats_lock:
            self._stats.commits += 1
            self._stats.uncommitted = 0

    def _again(self, act: Callable[[], None], stage: str, passing: tuple[type[Exception], ...]) -> None:
        """Do something to a durable sink until it works.

        Raises:
            _GivenUp: If it does not before the delivery has to stop.
            Exception: What is not `passing`.
        """
        back_off_s = _BACK_OFF_S
        while True:
            try:
                act()
            except passing as error:
                self._failed(stage, error, blocked=True)
            else:
                return self._goes_on(stage)
            self._pause(back_off_s)
            back_off_s = min(2.0 * back_off_s, _BACK_OFF_MAX_S)

    def _pause(self, seconds: float) -> None:
        """Wait, and have the source keep its place.

        Raises:
            _GivenUp: If the delivery has to stop now.
        """
        stopping = self._stopping.is_set()
        if stopping and time.monotonic() >= self._give_up_s:
            raise _GivenUp
        end_s = time.monotonic() + seconds
        left_s = seconds
        while left_s > 0.0 and self._stopping.is_set() == stopping:
            if stopping:
                time.sleep(min(left_s, _KEEP_S, max(0.0, self._give_up_s - time.monotonic())))
                left_s = min(end_s, self._give_up_s) - time.monotonic()
            else:
                self._wait(min(left_s, _KEEP_S))
                left_s = end_s - time.monotonic()
            self._poll(0, 0.0)

    def _wait(self, seconds: float) -> None:
        """Wait, for less if the delivery has to stop, and beat meanwhile."""
        end_s = time.monotonic() + seconds
        while (left_s := end_s - time.monotonic()) > 0.0:
            self._turn(IDLE)
            if self._stopping.wait(self.pulse.wait_s(left_s)):
                return

    def _turn(self, state: str) -> None:
        if self._blocked:
            state = f"waits for {next(iter(self._blocked.values()))}"[:_LONGEST_STATE]
        self.pulse.turn(state, self._done, self._latency_ns)

    def _failed(self, stage: str, error: Exception, *, blocked: bool = False) -> None:
        kind = f"{stage}: {type(error).__name__}"
        with self._stats_lock:
            self._failures.add(kind)
            self._stats.last_failure = f"{kind}: {error}"
            if blocked:
                self._blocked[stage] = f"{kind}: {error}"

    def _goes_on(self, stage: str) -> None:
        if stage in self._blocked:
            with self._stats_lock:
                self._blocked.pop(stage, None)


def _dead_letter(message: Message, error: Exception) -> Message:
    return message.derive(DEAD_LETTERS, DeadLetter(message.payload, f"{type(error).__name__}: {error}"))


def _key(result: Message) -> tuple[str, bytes | str] | None:
    """Return what two results that say the same have in common, None if nothing tells."""
    payload = result.payload
    if isinstance(payload, Record):
        return (result.topic, payload.key) if payload.key else None
    if isinstance(payload, DeadLetter):
        return (result.topic, payload.packet.origin) if payload.packet.origin else None
    return None
