# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of other systems from a ROS topic, one per std_msgs/UInt8MultiArray."""

from __future__ import annotations

import time
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.fleeting import Fleeting
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.topics import message_type, overridable, profile
from lowlat_nodes.transport.ros.waiting import NO_EVENTS, OutsideExecutor

TYPE_NAME = "std_msgs/msg/UInt8MultiArray"

_NS = 1_000_000_000
_BATCH_BYTES = 32 << 20  # as from a ZeroMQ socket: what is taken waits in memory


class RosPackets(Fleeting):
    """A reliable subscription as a source of packets that is asked.

    Packets wait in the history of the subscription, and where that is full the oldest go: a topic cannot make
    its publishers wait, so whoever may lose nothing uses ZeroMQ or Kafka. What goes is counted, by the
    numbers that the middleware gives the messages of a publisher, while there is only one.

    The subscription needs no executor. It is waited for and read by the thread that polls.

    Args:
        node: Owns the subscription.
        name: Of the ROS topic. Publishers must be reliable.
        clock: Stamps the receipt.
        topic: Of the messages.
        depth: How many packets wait in the history.

    Attributes:
        drops: Packets that were `lost` on the way or in the history, and messages that are `malformed`.
        last_failure: Why the newest malformed message was refused.
    """

    def __init__(
        self, node: Node, name: str, clock: Clock, *, topic: str = "packets", depth: int = 1000
    ) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self._node = node
        self._name = name
        self._clock = clock
        self._topic = topic
        self._received = 0
        self._newest = 0
        self._type = message_type(TYPE_NAME)
        self._subscription = node.create_subscription(
            self._type,
            name,
            _never_called,
            profile(depth, ReliabilityPolicy.RELIABLE),
            qos_overriding_options=overridable(reliability=False),
            raw=True,
            callback_group=OutsideExecutor(),
            event_callbacks=NO_EVENTS,
        )

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` packets, those that wait or the first that come in time, or 32 MB of them."""
        if most <= 0 or not self._node.context.ok():
            return []
        messages = self._take(most)
        deadline_ns = time.monotonic_ns() + int(timeout_s * _NS)
        while not messages and (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            self._wait(left_ns)
            messages = self._take(most)
        return messages

    def close(self) -> None:
        """Unsubscribe; what waits in the history is lost."""
        self._node.destroy_subscription(self._subscription)

    def _wait(self, timeout_ns: int) -> None:
        context, subscription = self._node.context, self._subscription
        with context.handle, subscription.handle:
            wait_set = rclpy_implementation.WaitSet(1, 0, 0, 0, 0, 0, context.handle)
            wait_set.clear_entities()
            wait_set.add_subscription(subscription.handle)
            wait_set.wait(timeout_ns)

    def _take(self, most: int) -> list[Message]:
        messages: list[Message] = []
        size = 0
        handle, now_ns = self._subscription.handle, self._clock.now_ns()
        with handle:
            while (
                len(messages) < most
                and size < _BATCH_BYTES
                and (taken := handle.take_message(self._type, True)) is not None
            ):
                data, info = taken
                self._count(info)
                try:
                    packet = cdr.decode(TYPE_NAME, data).payload
                except cdr.CdrError as error:
                    self.drops.add("malformed")
                    self.last_failure = f"{self._name}: {error}"
                    continue
                messages.append(Message(self._topic, packet, Trace(received_ns=now_ns), self._received))
                self._received += 1
                size += len(data)
        return messages

    def _count(self, info: dict[str, Any]) -> None:
        """Count what was lost before a message."""
        number = info.get("publication_sequence_number") or 0
        missing = number - self._newest - 1
        if self._newest and missing > 0 and self._node.count_publishers(self._name) == 1:
            self.drops.add("lost", missing)
        self._newest = number


def _never_called(_message: Any) -> None:
    """Stand where rclpy wants a callback."""
