# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Nodes of one process that are spun together, and a plain rclpy node as the rest of the robot."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# So that tests can import what they share, and what the tests of control, vision and cli have.
sys.path[:0] = [
    str(Path(__file__).parent),
    *(str(Path(__file__).parents[1] / part) for part in ("control", "vision", "cli")),
]

_ANSWER_S = 5.0


class Robot:
    """A context with an executor; `outside` is a plain node."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        self.executor = SingleThreadedExecutor()
        self.nodes: list[Any] = []
        self.outside = self.add(rclpy.create_node("outside"))

    def add(self, node: Any) -> Any:
        self.nodes.append(node)
        self.executor.add_node(node)
        return node

    def spin_until(self, condition: Callable[[], Any], timeout_s: float = 60.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, "what the test waits for did not happen"
            self.executor.spin_once(timeout_sec=0.05)

    def publish_until(self, publisher: Any, message: Any, condition: Callable[[], Any]) -> None:
        """Publish a message again and again: the first may come before the reader."""

        def again() -> bool:
            publisher.publish(message)
            return bool(condition())

        self.spin_until(again)

    def call(self, kind: Any, name: str, request: Any) -> Any:
        """Call a service from outside and return its response.

        A server that has not heard of the client yet drops the response, so the call is repeated.
        """
        client = self.outside.create_client(kind, name)
        self.spin_until(client.service_is_ready)
        calls: list[Any] = []

        def answered() -> bool:
            if len(calls) < 1 + (time.monotonic() - start) // _ANSWER_S:
                calls.append(client.call_async(request))
            return any(call.done() for call in calls)

        start = time.monotonic()
        self.spin_until(answered)
        self.outside.destroy_client(client)
        return next(call.result() for call in calls if call.done())

    def listen(self, kind: Any, topic: str) -> list[Any]:
        """Return the list that the messages of a topic are put into."""
        messages: list[Any] = []
        self.outside.create_subscription(kind, topic, messages.append, 10)
        return messages


@pytest.fixture
def robot(ros_domain_id: int) -> Iterator[Robot]:
    import rclpy
    from rclpy.signals import SignalHandlerOptions

    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = Robot()
    yield made
    made.executor.shutdown()
    for node in made.nodes:
        node.destroy_node()
    rclpy.shutdown()


@pytest.fixture
def rig(shared_rig: Any) -> Iterator[Any]:
    """The policy node that the tests of a module share: it moves its robot, and has to be left so."""
    robot = shared_rig.robot
    shared_rig.until_moving()
    yield shared_rig
    robot.joints, robot.image = robot.good_joints, robot.good_image
    robot.set_task("move")
