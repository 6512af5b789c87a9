# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to what the nodes of a ROS graph say about themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions

from lowlat_nodes.nodes.stop import StopRequest

Hear = Callable[[str, int, str, Mapping[str, str]], None]
"""Takes the name, level, message and values of one status."""

_DEPTH = 100  # many nodes may report at once
_SLICE_S = 0.1  # how late a signal may be noticed


class DiagnosticsMonitor:
    """A node of its own, in a ROS context of its own, that reads one diagnostics topic.

    Args:
        hear: Called for each status of each message, in the thread that calls `listen`.
        topic: The topic; nodes of all namespaces share the default one.
        name: What the node is called, with the number of the process behind it.

    Attributes:
        node: For whoever looks at more of the graph; it is spun by `listen`.
    """

    def __init__(self, hear: Hear, topic: str = "/diagnostics", *, name: str = "lowlat_top") -> None:
        self._hear = hear
        self._context = rclpy.Context()
        rclpy.init(args=[], context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node(
            f"{name}_{os.getpid()}",
            context=self._context,
            start_parameter_services=False,
            enable_rosout=False,
        )
        self.node.create_subscription(DiagnosticArray, topic, self._on_message, QoSProfile(depth=_DEPTH))
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)

    def listen(self, duration_s: float, stop: StopRequest) -> None:
        """Hear messages for this long, or until `stop` is set."""
        end_s = time.monotonic() + duration_s
        while not stop.is_set() and (left_s := end_s - time.monotonic()) > 0.0:
            self._executor.spin_once(timeout_sec=min(left_s, _SLICE_S))

    def present(self) -> set[str]:
        """Return the fully qualified names of the nodes in the graph.

        The middleware answers for them: a process that hangs is there, and so is one that was killed, for
        the 20 s after which Fast DDS misses it.
        """
        return {
            f"{namespace.rstrip('/')}/{name}" for name, namespace in self.node.get_node_names_and_namespaces()
        }

    def close(self) -> None:
        """Leave the graph."""
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def _on_message(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {item.key: item.value for item in status.values}
            self._hear(status.name, status.level[0], status.message, values)
