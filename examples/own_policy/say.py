# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tells the policy its task until Ctrl-C: `python3 examples/own_policy/say.py fold`.

Where ROS is installed, `ros2 topic pub /pose std_msgs/msg/String "data: fold"` does the same.
"""

import contextlib
import sys

import rclpy
from rclpy.executors import ExternalShutdownException
from std_msgs.msg import String

rclpy.init()
node = rclpy.create_node("say")
publisher = node.create_publisher(String, "pose", 1)
# Again and again, for whoever is discovered late: a text that is known already changes nothing.
node.create_timer(0.5, lambda: publisher.publish(String(data=sys.argv[1])))
with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
    rclpy.spin(node)
