# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The time of a node: wall time, or simulated time where use_sim_time is set."""

from __future__ import annotations

from rclpy.node import Node


class RosClock:
    """The clock of a node's stamps, in nanoseconds; 0 until simulated time begins."""

    def __init__(self, node: Node) -> None:
        self._handle = node.get_clock().handle

    def now_ns(self) -> int:
        """Return the present ROS time."""
        with self._handle:  # as `Clock.now` does, which makes a Time around it
            now: int = self._handle.get_now().nanoseconds
        return now
