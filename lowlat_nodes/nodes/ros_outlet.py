# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS topics as a place to play a bag to, and the time of the bag on /clock."""

from __future__ import annotations

import math
import re
import struct
from typing import TYPE_CHECKING, Any

from rclpy.duration import Duration
from rclpy.exceptions import NameValidationException
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile

from lowlat_nodes.nodes.bag.qos import to_publish
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.bag import Recorded, Topic
from lowlat_nodes.transport.bag.names import CLOCK_TOPIC, CLOCK_TYPE, absolute
from lowlat_nodes.transport.bag.record import CDR
from lowlat_nodes.transport.ros import message_type

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag.player import Schedule

_MESSAGE_TYPE = re.compile(r"[a-z][a-z0-9_]*/msg/[A-Z][A-Za-z0-9]*\Z")
_CLOCK = struct.Struct("<4siI")  # encapsulation header, seconds, nanoseconds
_PLAIN_CDR = (b"\x00\x00", b"\x00\x01")
_S = 1_000_000_000
_LAST_SECOND = (1 << 31) - 1  # that a ROS stamp can hold
_PAUSE_S = 0.05  # so a confirmation that is this late says nothing about the subscription
_WINDOW = 100
_WINDOW_BYTES = 16 << 20


class RosOutlet:
    """Publishes ROS topics with the quality of service of their recording.

    A topic whose type is not installed here is skipped.

    Args:
        node: Publishes; it need not be spun.
        clock_hz: Publishes the time of the bag on /clock so many times a second, in place of a recorded
            /clock; 0 does not.
    """

    def __init__(self, node: Node, *, clock_hz: float = 0.0) -> None:
        self._node = node
        self._clock = _Clock(node, clock_hz) if clock_hz else None

    def takes(self, topic: Topic) -> bool:
        """Return whether a topic is one of ROS."""
        return not topic.framed

    def lane(self, topic: Topic, name: str, *, full_speed: bool) -> RosLane | str:
        """Return the way out of a topic, or why there is none."""
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
        try:
            profile = to_publish(topic.qos)
            if full_speed and profile.durability != DurabilityPolicy.TRANSIENT_LOCAL:
                profile.depth = max(profile.depth, _WINDOW)
            publisher = self._node.create_publisher(kind, absolute(name or topic.name), profile)
        except (NameValidationException, ValueError, rclpy_implementation.RCLError) as error:
            return f"cannot be published: {error}"
        return RosLane(publisher, profile.depth if full_speed else 0)

    def advance(self, stamp_ns: int, schedule: Schedule) -> bool:
        """Publish the time up to a stamp; return False if playing is to stop."""
        return self._clock is None or self._clock.advance(stamp_ns, schedule)


class RosLane:
    """The way out of one topic.

    At full speed it pauses after as many messages as the middleware keeps, until reliable subscriptions have
    confirmed them: more would push the first ones out before they are sent.
    """

    def __init__(self, publisher: Any, window: int) -> None:
        self.name: str = publisher.topic_name
        self._publisher = publisher
        self._window = window
        self._sent = 0
        self._sent_bytes = 0

    def publish(self, recorded: Recorded) -> str:
        """Publish a message; return why it was not, empty if it was."""
        data = recorded.data
        if data[:2] not in _PLAIN_CDR:
            return f"expected plain CDR (0000 or 0001), got {data[:4].hex() or 'no byte'}"
        try:
            self._publisher.publish(data)
        except rclpy_implementation.RCLError as error:
            return f"cannot be published: {error}"
        self._sent += 1
        self._sent_bytes += len(data)
        if self._window and (self._sent >= self._window or self._sent_bytes >= _WINDOW_BYTES):
            self.confirmed(_PAUSE_S)
            self._sent = self._sent_bytes = 0
        return ""

    def heard(self) -> bool:
        """Return whether somebody listens."""
        return bool(self._publisher.get_subscription_count())

    def confirmed(self, timeout_s: float) -> bool:
        """Wait until reliable subscriptions have everything, and return whether they do."""
        return bool(self._publisher.wait_for_all_acked(Duration(nanoseconds=int(timeout_s * _S))))


class _Clock:
    """Publishes the time of the bag, at regular times of the wall (of the bag, at full speed)."""

    def __init__(self, node: Node, rate_hz: float) -> None:
        self._publisher = node.create_publisher(message_type(CLOCK_TYPE), CLOCK_TOPIC, QoSProfile(depth=10))
        self._rate_hz = rate_hz
        self._period_ns = self._next_ns = 0
        self._schedule: Schedule | None = None

    def advance(self, stamp_ns: int, schedule: Schedule) -> bool:
        """Publish what is due up to a stamp, waiting for its time; return False if playing is to stop."""
        if schedule is not self._schedule:  # the bag begins, or begins again
            self._schedule = schedule
            self._next_ns = schedule.first_ns
            rate = 1.0 if math.isinf(schedule.rate) else schedule.rate
            self._period_ns = max(round(_S / self._rate_hz * rate), 1)
        while self._next_ns <= stamp_ns:
            if not schedule.wait_until(self._next_ns):
                return False
            seconds, nanoseconds = divmod(self._next_ns, _S)
            self._publisher.publish(_CLOCK.pack(_PLAIN_CDR[1], min(seconds, _LAST_SECOND), nanoseconds))
            self._next_ns += self._period_ns
        return True
