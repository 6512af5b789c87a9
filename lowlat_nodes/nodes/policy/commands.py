# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The command publisher of the tick process: preallocated messages, written in place."""

from __future__ import annotations

from typing import Any

from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.stream.payload import Floats, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.topics import message_type, overridable, profile

_TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"


class CommandPublisher:
    """Publishes the payloads of `control.commands`.

    Args:
        node: Owns the publisher.
        topic: Full topic name.
        kind: `kind` of the command contract.
        names: Joint names.
    """

    def __init__(self, node: Node, topic: str, kind: str, names: tuple[str, ...]) -> None:
        type_name = "std_msgs/msg/Float64MultiArray" if kind == "positions" else _TRAJECTORY
        self._publisher: Any = node.create_publisher(
            message_type(type_name),
            topic,
            profile(1, ReliabilityPolicy.RELIABLE),
            qos_overriding_options=overridable(),
        )
        self._array = cdr.Float64MultiArrayWriter(len(names))
        self._point = cdr.TrajectoryPointWriter(names)

    def publish(self, payload: Floats | Trajectory) -> None:
        """Send a command; never waits for a subscriber longer than the middleware's own depth of one."""
        if not isinstance(payload, Trajectory):
            data = self._array.write(payload)
        elif not payload.velocities.size:
            time_ns = int(payload.time_from_start_ns[0])
            data = self._point.write(payload.start_ns, time_ns, payload.positions[0])
        else:
            data = cdr.encode(_TRAJECTORY, payload.start_ns, "", payload)
        self._publisher.publish(data)

    def confirm(self, timeout_s: float) -> bool:
        """Wait until reliable subscriptions have the last command, which this process would take with it.

        Returns:
            Whether they have; those of best effort are not asked.
        """
        return bool(self._publisher.wait_for_all_acked(Duration(nanoseconds=round(timeout_s * 1e9))))
