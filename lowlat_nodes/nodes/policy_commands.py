# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands on the wire, as the command contract has them."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.control.contract import CommandConfig
from lowlat_nodes.control.loop import ControlLoop, Served, Tick
from lowlat_nodes.stream.payload import NO_FLOATS, Floats, Trajectory
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.topics import message_type, overridable, profile

_TYPES = {
    "positions": "std_msgs/msg/Float64MultiArray",
    "point": "trajectory_msgs/msg/JointTrajectory",
    "chunk": "trajectory_msgs/msg/JointTrajectory",
}


class CommandPublisher:
    """Publishes the answer of each tick.

    With `chunk`, a stamped trajectory goes out when a chunk takes over, with velocities, and with zero
    velocity in its last point: released joint trajectory controllers interpolate positions linearly without
    velocities, and reject a trajectory that ends in motion. While no chunk is in force, every tick that
    still moves and the first that stands sends one point.

    Args:
        node: Owns the publisher.
        topic: Full topic name.
        config: The command contract.
        names: Joint names.
        loop: Limits the rows of chunks.
        tick_ns: Time between ticks.
    """

    def __init__(
        self,
        node: Node,
        topic: str,
        config: CommandConfig,
        names: tuple[str, ...],
        loop: ControlLoop,
        *,
        tick_ns: int,
    ) -> None:
        type_name = _TYPES[config.kind]
        self._publisher: Any = node.create_publisher(
            message_type(type_name),
            topic,
            profile(1, ReliabilityPolicy.RELIABLE),
            qos_overriding_options=overridable(),
        )
        self._kind = config.kind
        self._names = names
        self._loop = loop
        self._lead_ns = round(config.lead_ms * 1e6) or tick_ns
        self._array = cdr.Float64MultiArrayWriter(len(names))
        self._point = cdr.TrajectoryPointWriter(names, velocities=True)
        self._standing = False

    def publish(self, tick: Tick, now_ns: int, ros_ns: int) -> None:
        """Send the command of a tick.

        Args:
            tick: The answer.
            now_ns: Its time on the loop's timeline.
            ros_ns: The same instant as a ROS stamp.
        """
        if self._kind == "positions":
            self._publisher.publish(self._array.write(tick.position))
        elif self._kind == "point":
            self._publisher.publish(self._point.write(ros_ns, self._lead_ns, tick.position, tick.velocity))
        else:
            self._publish_chunk(tick, now_ns, ros_ns)

    def _publish_chunk(self, tick: Tick, now_ns: int, ros_ns: int) -> None:
        if tick.swapped is not None:
            times_ns, rows = self._loop.limited_rows(tick.swapped, now_ns)
            payload = Trajectory(
                self._names, ros_ns, times_ns, rows, _velocities(times_ns, rows, tick), NO_FLOATS
            )
            self._publisher.publish(cdr.encode("trajectory_msgs/msg/JointTrajectory", ros_ns, "", payload))
            self._standing = False
        elif tick.served is not Served.CHUNK and not self._standing:
            self._publisher.publish(
                self._point.write(ros_ns, self._lead_ns, tick.position, np.zeros(len(tick.position)))
            )
            self._standing = not tick.velocity.any()


def _velocities(times_ns: np.ndarray, rows: Floats, tick: Tick) -> Floats:
    """Return the slope at each row between its neighbours, zero at the last."""
    times_s = np.concatenate([[0.0], times_ns * 1e-9])
    path = np.concatenate([tick.position[None], rows])
    velocities = np.zeros_like(rows)
    velocities[:-1] = (path[2:] - path[:-2]) / (times_s[2:] - times_s[:-2])[:, None]
    return velocities
