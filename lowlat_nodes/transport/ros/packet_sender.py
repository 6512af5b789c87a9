# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of other systems to a ROS topic, at the pace of its subscriptions."""

from __future__ import annotations

import time

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.packets import TYPE_NAME
from lowlat_nodes.transport.ros.serialised import publish
from lowlat_nodes.transport.ros.topics import message_type, overridable, profile

_POLL_S = 0.02
_NS = 1_000_000_000


class RosPacketSender:
    """A reliable publisher that waits until subscriptions have confirmed what fills its history.

    They confirm what has reached their own history, read or not: a subscription with a shorter one than
    what waits still loses the oldest.

    Args:
        node: Owns the publisher; it need not be spun.
        name: Of the ROS topic, of std_msgs/UInt8MultiArray. The key of a packet has no place in it.
        depth: Packets in the history.

    Raises:
        ConfigurationError: If the message type is not installed.
    """

    def __init__(self, node: Node, name: str, *, depth: int = 100) -> None:
        self._node = node
        self._depth = depth
        self._unconfirmed = 0
        self._publisher = node.create_publisher(
            message_type(TYPE_NAME),
            name,
            profile(depth, ReliabilityPolicy.RELIABLE),
            qos_overriding_options=overridable(),
        )

    def send(self, packet: Packet, timeout_s: float) -> None:
        """Publish a packet once somebody has subscribed, and once there is room.

        Raises:
            UndeliveredError: If that takes too long; nothing was sent.
        """
        deadline = time.monotonic() + timeout_s
        while not self._publisher.get_subscription_count():
            if time.monotonic() > deadline:
                raise UndeliveredError(
                    f"nobody subscribed to {self._publisher.topic_name} for {timeout_s:g} s"
                )
            time.sleep(_POLL_S)
        if self._unconfirmed >= self._depth:
            self.flush(max(0.0, deadline - time.monotonic()))
        publish(self._publisher, cdr.encode(TYPE_NAME, 0, "", packet))
        self._unconfirmed += 1

    def flush(self, timeout_s: float) -> None:
        """Wait until the subscriptions have confirmed everything.

        Raises:
            UndeliveredError: If they have not within the time.
        """
        if not self._publisher.wait_for_all_acked(Duration(nanoseconds=int(timeout_s * _NS))):
            raise UndeliveredError(f"{self._publisher.topic_name}: a subscription did not confirm in time")
        self._unconfirmed = 0

    def close(self) -> None:
        """Withdraw the publisher."""
        self._node.destroy_publisher(self._publisher)
