# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes a bag on ROS topics, each message at its time."""

from __future__ import annotations

import math
import re
import struct
import threading
import time
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from lowlat_nodes.nodes.bag_qos import to_publish
from lowlat_nodes.nodes.realtime import sleep_until
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.transport.bag import BagReader, Recorded, Tally, Topic
from lowlat_nodes.transport.bag.names import absolute, require
from lowlat_nodes.transport.bag.record import CDR
from lowlat_nodes.transport.ros import message_type

CLOCK_TOPIC = "/clock"
CLOCK_TYPE = "rosgraph_msgs/msg/Clock"
FULL_SPEED = math.inf

_MESSAGE_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*\Z")
_CLOCK = struct.Struct("<4siI")  # encapsulation header, seconds, nanoseconds
_PLAIN_CDR = (b"\x00\x00", b"\x00\x01")
_S = 1_000_000_000
_LAST_SECOND = (1 << 31) - 1  # that a ROS stamp can hold
_COARSE_NS = 2_000_000  # the last part of a wait is left to the kernel's precise timers
_CONFIRM_S = 5.0  # Fast DDS repeats a request for confirmation that was not heeded after 3 s
_PAUSE_S = 0.05  # so a confirmation that is this late says nothing about the subscription
_POLL_S = 0.02
_SETTLE_S = 0.2  # a subscription may learn of us later than we of it
_WINDOW = 100
_WINDOW_BYTES = 16 << 20


@dataclass(slots=True)
class PlayReport:
    """What was played.

    Attributes:
        tally: What became of the messages of the bag.
        late: By how much each message was published after its time, ns; empty at full speed.
        seconds: How long it took.
        unconfirmed: Topics with messages that a reliable subscription did not confirm in time.
    """

    tally: Tally
    late: Histogram = field(default_factory=Histogram)
    seconds: float = 0.0
    unconfirmed: list[str] = field(default_factory=list)


class BagPlayer:
    """Publishes the serialised messages of a bag as they are, with the quality of service of their recording.

    Deadlines are absolute: a message that is late does not delay those after it. A topic whose type is not
    installed here is skipped.

    Args:
        node: Publishes; it need not be spun.
        bag: What to play.
        rate: 2 plays twice as fast. `FULL_SPEED` does not wait for the time of a message, only for reliable
            subscriptions that fall behind.
        topics: The topics to play; empty plays all.
        remap: Bag topic to the name to publish it as.
        clock_hz: Publishes the time of the bag on /clock so many times a second, in place of a recorded
            /clock; 0 does not.

    Raises:
        ConfigurationError: For a rate that is not positive, or a topic that is not in the bag.
    """

    def __init__(
        self,
        node: Node,
        bag: BagReader,
        *,
        rate: float = 1.0,
        topics: Collection[str] = (),
        remap: Mapping[str, str] | None = None,
        clock_hz: float = 0.0,
    ) -> None:
        if not rate > 0.0:
            raise ConfigurationError(f"expected a rate above 0, got {rate:g}")
        self._node = node
        self._bag = bag
        self._rate = rate
        known = [topic.name for topic in bag.topics]
        self._chosen = {absolute(name) for name in topics} or set(known)
        self._names = {absolute(name): absolute(target) for name, target in (remap or {}).items()}
        for name in (*self._chosen, *self._names):
            require(name, known, f"{bag.path}: there is no topic")
        self._clock = _Clock(node, rate, clock_hz) if clock_hz else None
        self._lanes = {(topic.name, topic.type): self._lane(topic) for topic in bag.topics}

    @property
    def skipped(self) -> dict[str, str]:
        """Return why each topic that is not played is not."""
        return {name: lane for (name, _), lane in self._lanes.items() if isinstance(lane, str)}

    def wait_for_subscriptions(self, timeout_s: float, stop: StopRequest) -> list[str]:
        """Wait until somebody listens to every topic that will be played, so that its first message is heard.

        Returns:
            The topics that nobody listens to when the time is over.
        """
        deadline = time.monotonic() + timeout_s
        lanes = self._playing()
        while alone := [lane for lane in lanes if not lane.publisher.get_subscription_count()]:
            if time.monotonic() >= deadline or stop.wait(_POLL_S):
                break
        if len(alone) < len(lanes):
            stop.wait(_SETTLE_S)
        return [lane.publisher.topic_name for lane in alone]

    def play(self, stop: StopRequest, loops: int = 1) -> PlayReport:
        """Publish the bag until its end, so many times, or until `stop` is set.

        Raises:
            BagError: If none of the bag can be read.
        """
        report = PlayReport(Tally(self._bag.topics))
        begin_ns = time.monotonic_ns()
        for _ in range(loops):
            if stop.is_set():
                break
            self._play_once(report, stop)
        report.unconfirmed = [
            lane.publisher.topic_name for lane in self._playing() if not lane.confirmed(_CONFIRM_S)
        ]
        report.seconds = (time.monotonic_ns() - begin_ns) / _S
        return report

    def _play_once(self, report: PlayReport, stop: StopRequest) -> None:
        timeline: _Timeline | None = None
        with _ReadAhead(self._bag.messages()) as messages:
            for recorded in messages:
                if timeline is None:
                    timeline = _Timeline(recorded.stamp_ns, self._rate, stop)
                if self._clock is not None and not self._clock.advance(recorded.stamp_ns, timeline):
                    return
                lane = self._lanes.get((recorded.topic, recorded.type), "the bag does not list it")
                if isinstance(lane, str):
                    report.tally.skip(recorded.topic, recorded.type, lane)
                    continue
                if not timeline.wait_until(recorded.stamp_ns):
                    return
                late_ns = timeline.late_ns(recorded.stamp_ns)
                if problem := lane.publish(recorded.data):
                    report.tally.skip(recorded.topic, recorded.type, problem)
                    continue
                report.tally.publish(recorded.topic, recorded.type)
                if late_ns is not None:
                    report.late.record(late_ns)

    def _playing(self) -> list[_Lane]:
        return [lane for lane in self._lanes.values() if isinstance(lane, _Lane)]

    def _lane(self, topic: Topic) -> _Lane | str:
        """Return a way out for a topic, or why there is none."""
        if topic.name not in self._chosen:
            return "not chosen"
        if self._clock is not None and topic.name == CLOCK_TOPIC:
            return "replaced by the time of the bag"
        if topic.encoding != CDR:
            return f"serialised as {topic.encoding!r}; expected {CDR!r}"
        if not _MESSAGE_TYPE.match(topic.type):
            return f"type {topic.type!r} is no message type"
        try:
            kind = message_type(topic.type)
        except ConfigurationError:
            return f"type {topic.type} is not installed here"
        at_full_speed = math.isinf(self._rate)
        try:
            profile = to_publish(topic.qos)
            if at_full_speed and profile.durability != DurabilityPolicy.TRANSIENT_LOCAL:
                profile.depth = max(profile.depth, _WINDOW)
            name = self._names.get(topic.name, topic.name)
            publisher = self._node.create_publisher(kind, name, profile)
        except (NameValidationException, ValueError, rclpy_implementation.RCLError) as error:
            return f"cannot be published: {error}"
        return _Lane(publisher, profile.depth if at_full_speed else 0)


class _Lane:
    """The way out of one topic.

    At full speed it pauses after as many messages as the middleware keeps, until reliable subscriptions have
    confirmed them: more would push the first ones out before they are sent.
    """

    def __init__(self, publisher: Any, window: int) -> None:
        self.publisher = publisher
        self._window = window
        self._sent = 0
        self._sent_bytes = 0

    def publish(self, data: bytes) -> str:
        """Publish a message; return why it was not, empty if it was."""
        if data[:2] not in _PLAIN_CDR:
            return f"expected plain CDR (0000 or 0001), got {data[:4].hex() or 'no byte'}"
        try:
            self.publisher.publish(data)
        except rclpy_implementation.RCLError as error:
            return f"cannot be published: {error}"
        self._sent += 1
        self._sent_bytes += len(data)
        if self._window and (self._sent >= self._window or self._sent_bytes >= _WINDOW_BYTES):
            self.confirmed(_PAUSE_S)
            self._sent = self._sent_bytes = 0
        return ""

    def confirmed(self, timeout_s: float) -> bool:
        """Wait until reliable subscriptions have everything, and return whether they do."""
        return bool(self.publisher.wait_for_all_acked(Duration(nanoseconds=int(timeout_s * _S))))


class _Timeline:
    """When each stamp of the bag is due on CLOCK_MONOTONIC."""

    def __init__(self, first_ns: int, rate: float, stop: StopRequest) -> None:
        self.first_ns = first_ns
        self._rate = rate
        self._stop = stop
        self._begin_ns = time.monotonic_ns()

    def wait_until(self, stamp_ns: int) -> bool:
        """Wait for the time of a stamp; return False if playing is to stop."""
        due_ns = self._due_ns(stamp_ns)
        while due_ns is not None and (left_ns := due_ns - time.monotonic_ns()) > 0:
            if left_ns <= _COARSE_NS:
                sleep_until(due_ns)
            elif self._stop.wait((left_ns - _COARSE_NS) / _S):
                break
        return not self._stop.is_set()

    def late_ns(self, stamp_ns: int) -> int | None:
        """Return how late it is for a stamp, None at full speed, where nothing is."""
        due_ns = self._due_ns(stamp_ns)
        return None if due_ns is None else time.monotonic_ns() - due_ns

    def _due_ns(self, stamp_ns: int) -> int | None:
        if math.isinf(self._rate):
            return None
        return self._begin_ns + round((stamp_ns - self.first_ns) / self._rate)


class _Clock:
    """Publishes the time of the bag, at regular times of the wall (of the bag, at full speed)."""

    def __init__(self, node: Node, rate: float, rate_hz: float) -> None:
        self._publisher = node.create_publisher(message_type(CLOCK_TYPE), CLOCK_TOPIC, QoSProfile(depth=10))
        self._period_ns = max(round(_S / rate_hz * (1.0 if math.isinf(rate) else rate)), 1)
        self._next_ns = -1
        self._timeline: _Timeline | None = None

    def advance(self, stamp_ns: int, timeline: _Timeline) -> bool:
        """Publish what is due up to a stamp, waiting for its time; return False if playing is to stop."""
        if timeline is not self._timeline:  # the bag begins, or begins again
            self._timeline = timeline
            self._next_ns = timeline.first_ns
        while self._next_ns <= stamp_ns:
            if not timeline.wait_until(self._next_ns):
                return False
            seconds, nanoseconds = divmod(self._next_ns, _S)
            self._publisher.publish(_CLOCK.pack(_PLAIN_CDR[1], min(seconds, _LAST_SECOND), nanoseconds))
            self._next_ns += self._period_ns
        return True


class _ReadAhead:
    """Reads the bag in a thread of its own, so that unpacking a chunk makes no message late."""

    MESSAGES = 1000
    BYTES = 64 << 20

    def __init__(self, messages: Iterator[Recorded]) -> None:
        self._messages = messages
        self._ready: deque[Recorded] = deque()
        self._bytes = 0
        self._done = False
        self._error: Exception | None = None
        self._condition = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="read-ahead", daemon=True)

    def __enter__(self) -> Iterator[Recorded]:
        self._thread.start()
        return self._taken()

    def __exit__(self, *_: object) -> None:
        with self._condition:
            self._done = True
            self._condition.notify_all()
        self._thread.join()

    def _taken(self) -> Iterator[Recorded]:
        while True:
            with self._condition:
                self._condition.wait_for(lambda: self._ready or self._done)
                if not self._ready:
                    break
                message = self._ready.popleft()
                self._bytes -= len(message.data)
                self._condition.notify_all()
            yield message
        if self._error is not None:
            raise self._error

    def _read(self) -> None:
        try:
            for message in self._messages:
                with self._condition:
                    self._condition.wait_for(self._room)
                    if self._done:
                        return
                    self._ready.append(message)
                    self._bytes += len(message.data)
                    self._condition.notify_all()
        except Exception as error:  # it belongs to who reads
            self._error = error
        finally:
            with self._condition:
                self._done = True
                self._condition.notify_all()

    def _room(self) -> bool:
        full = len(self._ready) >= self.MESSAGES or (self._ready and self._bytes >= self.BYTES)
        return self._done or not full
