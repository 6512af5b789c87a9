# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A member of a consumer group as a source of packets that is asked."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.kafka.settings import Connection, Consumption

_NS_PER_MS = 1_000_000
_LATEST_MS = ((1 << 63) - 1) // _NS_PER_MS
_ASK_S = 5.0
_LAG_EVERY_S = 1.0

_Partition = tuple[str, int]


class KafkaSource:
    """Hands out the messages of Kafka topics, and commits the offsets of those that are done.

    Offsets are committed only by `commit`, so that a member that dies leaves what it had not done to the
    others. Before a partition moves, what was done of it can be committed; what was not comes again where it
    moves to.

    A group whose place in a partition has been deleted goes on with the oldest message that is left, and what
    it missed is counted; librdkafka by itself would skip it without a word.

    Args:
        connection: How to reach the cluster.
        consumption: What to read.
        clock: Stamps the receipt; the domain of Kafka's stamps is that of `SystemClock`.
        topic: Of the messages.

    Attributes:
        drops: Messages that had been deleted when their turn came (`deleted`).
        last_failure: The newest error that the client library reported.

    Raises:
        MissingExtra: Without confluent-kafka.
        ConfigurationError: If the settings are none for it.
    """

    def __init__(
        self, connection: Connection, consumption: Consumption, clock: Clock, *, topic: str = "packets"
    ) -> None:
        try:
            import confluent_kafka
        except ImportError:
            raise MissingExtra("confluent_kafka", "alerts") from None
        self.drops = Counters()
        self.last_failure = ""
        self._kafka = confluent_kafka
        self._reset = confluent_kafka.KafkaError._AUTO_OFFSET_RESET
        self._topic = topic
        self._clock = clock
        self._start = (
            confluent_kafka.OFFSET_BEGINNING
            if consumption.offset_reset == "earliest"
            else confluent_kafka.OFFSET_END
        )
        self._received = 0
        self._assigned: set[_Partition] = set()
        self._next: dict[_Partition, int] = {}  # the offset after the last one that was polled
        self._committed: dict[_Partition, int] = {}
        self._places: dict[_Partition, int] = {}  # where the group was before anything was polled
        self._lost_place: dict[_Partition, int | None] = {}  # the offset, None where the group has none yet
        self._early: list[Any] = []
        self._errors: deque[Any] = deque(maxlen=1)  # a callback does no more than that, see KafkaSink
        self._settle: Callable[[], None] = lambda: None
        self._lag: int | None = None
        self._lag_due_s = 0.0
        try:
            self._consumer = confluent_kafka.Consumer(
                connection.client() | consumption.consumer() | {"error_cb": self._errors.append}
            )
            self._consumer.subscribe(
                list(consumption.topics), on_assign=self._gained, on_revoke=self._moving, on_lost=self._gone
            )
        except (confluent_kafka.KafkaException, ValueError) as error:
            raise ConfigurationError(f"Kafka refuses these settings: {error}") from error

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` packets: those that were fetched already, or the first to come within the time.

        Raises:
            confluent_kafka.KafkaException: If a place that was lost cannot be found again yet.
        """
        if most <= 0:
            self._stay()
            return []
        while self._lost_place:
            self._find_place(next(iter(self._lost_place)))
        now_s = time.monotonic()
        if now_s >= self._lag_due_s:  # first, as nothing may raise once there are messages
            self._lag_due_s = now_s + _LAG_EVERY_S
            self._lag = self._measure_lag()
        if self._early:
            found, self._early = self._early, []
        else:
            found = self._fetch(most, timeout_s)
        if self._errors:
            self._report(self._errors.pop())
        return self._take(found)

    def commit(self) -> None:
        """Commit the offsets of all that was polled, of the partitions that are still ours.

        Raises:
            UndeliveredError: If the group is about to share its partitions anew, or no longer knows us.
            confluent_kafka.KafkaException: If the cluster cannot be reached.
        """
        done = {
            partition: offset
            for partition, offset in self._next.items()
            if partition in self._assigned and self._committed.get(partition) != offset
        }
        if not done:
            return
        offsets = [self._kafka.TopicPartition(*partition, offset) for partition, offset in done.items()]
        try:
            answers = self._consumer.commit(offsets=offsets, asynchronous=False)
        except self._kafka.KafkaException as error:
            if error.args[0].code() in self._of_the_group():
                raise UndeliveredError(f"offsets not committed: {error.args[0].str()}") from error
            raise
        refused = [answer for answer in answers if answer.error is not None]
        self._committed |= {
            (answer.topic, answer.partition): answer.offset for answer in answers if answer.error is None
        }
        if refused:
            raise UndeliveredError(
                f"offset of {refused[0].topic}[{refused[0].partition}] not committed: {refused[0].error}"
            )

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Have `settle` called before partitions move to another member."""
        self._settle = settle

    @property
    def exhausted(self) -> bool:
        """Return False: a topic may always get another message."""
        return False

    @property
    def lag(self) -> int | None:
        """Return how many messages the partitions hold that were not polled, as of the last second."""
        return self._lag

    @property
    def partitions(self) -> int:
        """Return how many partitions this member has now."""
        return len(self._assigned)

    def close(self) -> None:
        """Leave the group, so that the others take over at once."""
        self._settle = lambda: None
        self._consumer.close()

    def _fetch(self, most: int, timeout_s: float) -> list[Any]:
        with self._keeping_places():
            found: list[Any] = self._consumer.consume(most, 0.0)
            if not found:
                first = self._consumer.poll(timeout_s)
                found = [] if first is None else [first, *self._consumer.consume(most - 1, 0.0)]
        return found

    @contextlib.contextmanager
    def _keeping_places(self) -> Iterator[None]:
        """Have what an error takes with it come again: the next fetch would go on behind that."""
        try:
            yield
        except BaseException:
            for partition in self._assigned:
                self._lost_place[partition] = self._next.get(partition, self._kafka.OFFSET_STORED)
            self._early.clear()
            raise

    def _take(self, found: list[Any]) -> list[Message]:
        messages: list[Message] = []
        now_ns, unstamped = self._clock.now_ns(), self._kafka.TIMESTAMP_NOT_AVAILABLE
        for raw in found:
            error = raw.error()
            if error is not None:
                if error.code() == self._reset:
                    self._lost_place[raw.topic(), raw.partition()] = raw.offset()
                else:
                    self._report(error)
                continue
            topic, number, offset = raw.topic(), raw.partition(), raw.offset()
            if (topic, number) not in self._assigned:
                continue  # it moved while this was on its way, and comes there
            kind, stamp_ms = raw.timestamp()
            # Producers may write anything there, and nobody takes a stamp that is not of 64 bits.
            stamped = kind != unstamped and 0 <= stamp_ms <= _LATEST_MS
            trace = Trace(stamp_ms * _NS_PER_MS if stamped else 0, now_ns)
            packet = Packet(raw.value() or b"", raw.key() or b"", f"{topic}[{number}]@{offset}")
            messages.append(Message(self._topic, packet, trace, self._received))
            self._received += 1
            self._next[topic, number] = offset + 1
        return messages

    def _find_place(self, partition: _Partition) -> None:
        """Go on where a partition can be read, where the group was if that is there."""
        wanted = self._lost_place[partition]
        offset, missed, name = self._start, 0, f"{partition[0]}[{partition[1]}]"
        if wanted == self._kafka.OFFSET_STORED:
            offset = wanted
        elif wanted is not None:
            low, high = self._consumer.get_watermark_offsets(
                self._kafka.TopicPartition(*partition), timeout=_ASK_S
            )
            offset, missed = wanted if low <= wanted <= high else low, max(0, low - wanted)
            if wanted > high:
                self.last_failure = f"{name}: was made anew, it ends at {high} and we were at {wanted}"
        # A partition in this state takes no seek.
        with contextlib.suppress(self._kafka.KafkaException):  # done already, if what follows failed before
            self._consumer.incremental_unassign([self._kafka.TopicPartition(*partition)])
        self._consumer.incremental_assign([self._kafka.TopicPartition(*partition, offset)])
        del self._lost_place[partition]
        if missed:
            self.drops.add("deleted", missed)
            self.last_failure = f"{name}: {missed} messages were deleted before they were read"

    def _stay(self) -> None:
        """Show the group that we live, without asking for messages."""
        paused = [self._kafka.TopicPartition(*partition) for partition in self._assigned]
        self._consumer.pause(paused)
        try:
            with self._keeping_places():
                raw = self._consumer.poll(0.0)
        finally:
            still = [one for one in paused if (one.topic, one.partition) in self._assigned]
            self._consumer.resume(still)
        if raw is not None:
            self._early.append(raw)

    def _gained(self, _consumer: Any, partitions: list[Any]) -> None:
        self._assigned |= {(one.topic, one.partition) for one in partitions}

    def _moving(self, consumer: Any, partitions: list[Any]) -> None:
        try:
            self._settle()
        finally:
            self._gone(consumer, partitions)

    def _gone(self, _consumer: Any, partitions: list[Any]) -> None:
        for one in partitions:
            partition = (one.topic, one.partition)
            self._assigned.discard(partition)
            for known in (self._next, self._committed, self._places, self._lost_place):
                known.pop(partition, None)
        self._early = [raw for raw in self._early if (raw.topic(), raw.partition()) in self._assigned]

    def _report(self, error: Any) -> None:
        self.last_failure = f"Kafka: {error.str()}"

    def _of_the_group(self) -> set[int]:
        """Return the errors of a commit that concern who is in the group; what was done comes again."""
        error = self._kafka.KafkaError
        return {
            error.REBALANCE_IN_PROGRESS,
            error.ILLEGAL_GENERATION,
            error.UNKNOWN_MEMBER_ID,
            error.FENCED_INSTANCE_ID,
        }

    def _measure_lag(self) -> int | None:
        behind = 0
        try:
            self._ask_places()
        except self._kafka.KafkaException as error:
            self._report(error.args[0])
            return None
        for partition in self._assigned:
            low, high = self._consumer.get_watermark_offsets(
                self._kafka.TopicPartition(*partition), cached=True
            )
            if high < 0:
                return None  # nothing was fetched of it yet
            place = self._next[partition] if partition in self._next else self._places[partition]
            behind += max(0, high - max(low, place))
        return behind

    def _ask_places(self) -> None:
        """Ask where the group is in partitions of which nothing was polled yet."""
        unknown = [one for one in self._assigned if one not in self._next and one not in self._places]
        if unknown:
            asked = [self._kafka.TopicPartition(*partition) for partition in unknown]
            for one in self._consumer.committed(asked, timeout=_ASK_S):
                self._places[one.topic, one.partition] = one.offset  # below 0 where it has none
