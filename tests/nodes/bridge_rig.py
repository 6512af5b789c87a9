# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Bridges and plain nodes, each in a context of its own as processes have, on one ROS domain or several."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from lowlat_nodes.nodes.bridge_node import BridgeNode
from lowlat_nodes.stream.config import flatten

PATIENCE_S = 60.0


class Side:
    """The nodes of one context."""

    def __init__(self, domain: int | None = None) -> None:
        self.context = Context()
        rclpy.init(
            args=[], context=self.context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO
        )
        self.executor = SingleThreadedExecutor(context=self.context)
        self.nodes: list[Any] = []

    def add(self, node: Any) -> Any:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def end(self) -> None:
        self.executor.shutdown()
        for node in self.nodes:
            node.destroy_node()
        rclpy.try_shutdown(context=self.context)


class Rig:
    """What a test has: sides, and a way to let all of them work until something is true."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sides: list[Side] = []

    def side(self, domain: int | None = None) -> Side:
        self.sides.append(Side(domain))
        return self.sides[-1]

    def node(self, name: str, domain: int | None = None) -> Any:
        """Return a plain node in a process of its own, as far as ROS can tell."""
        side = self.side(domain)
        return side.add(rclpy.create_node(name, context=side.context))

    def make(self, name: str = "bridge_node", domain: int | None = None, **values: Any) -> BridgeNode:
        """Return a bridge that was not started."""
        side = self.side(domain)
        flat = {"diagnostic_updater.period": 0.2, **flatten(values)}
        overrides = [Parameter(key, value=value) for key, value in flat.items()]
        made: BridgeNode = side.add(
            BridgeNode(
                overrides=overrides, context=side.context, cli_args=["--ros-args", "-r", f"__node:={name}"]
            )
        )
        return made

    def bridge(self, name: str = "bridge_node", domain: int | None = None, **values: Any) -> BridgeNode:
        """Return a bridge at work."""
        made = self.make(name, domain, **values)
        assert made.start(), made.problem
        return made

    def endpoint(self, name: str) -> str:
        return f"ipc://{self.folder}/{name}"

    def end(self, node: Any) -> None:
        """End the process of a node."""
        (side,) = [side for side in self.sides if node in side.nodes]
        self.sides.remove(side)
        side.end()

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            self.spin()

    def spin(self, seconds: float = 0.0) -> None:
        deadline = time.monotonic() + seconds
        while True:
            for side in self.sides:
                side.executor.spin_once(timeout_sec=0.0)
            time.sleep(0.002)
            if time.monotonic() >= deadline:
                return

    def publish_until(self, publisher: Any, message: Any, condition: Callable[[], Any]) -> None:
        """Publish a message again and again: the first may come before the reader."""

        def again() -> bool:
            publisher.publish(message)
            return bool(condition())

        self.spin_until(again)


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Make a rig, and end all that is in it."""
    made = Rig(folder)
    try:
        yield made
    finally:
        for side in made.sides:
            side.end()
