# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The last command of a tick process arrives before the process ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.context import Context
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray

from lowlat_nodes.nodes.policy.commands import CommandPublisher

pytestmark = pytest.mark.ros


def test_a_command_that_is_confirmed_is_there_when_its_publisher_has_gone(robot: Any) -> None:
    heard: list[Any] = []
    robot.outside.create_subscription(Float64MultiArray, "commands", heard.append, QoSProfile(depth=1))
    # Another participant, as the tick process is one.
    context = Context()
    rclpy.init(args=[], context=context, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("tick", context=context)
    publisher = CommandPublisher(node, "commands", "positions", ("a", "b"))
    robot.spin_until(lambda: robot.outside.count_publishers("commands"))
    robot.spin_until(lambda: node.count_subscribers("commands"))
    publisher.publish(np.array([1.0, 2.0]))
    confirmed = publisher.confirm(60.0)
    node.destroy_node()
    rclpy.shutdown(context=context)
    assert confirmed
    robot.spin_until(lambda: heard)
    assert heard[-1].data.tolist() == [1.0, 2.0]


def test_nobody_is_waited_for_in_vain(robot: Any) -> None:
    publisher = CommandPublisher(robot.outside, "commands", "positions", ("a",))
    publisher.publish(np.array([1.0]))
    assert publisher.confirm(0.0)
