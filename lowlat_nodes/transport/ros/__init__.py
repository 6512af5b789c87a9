# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS 2 topics as sources and sinks; needs rclpy."""

from __future__ import annotations

from lowlat_nodes.transport.ros.clock import RosClock
from lowlat_nodes.transport.ros.process import prepare_process
from lowlat_nodes.transport.ros.sink import RosSink
from lowlat_nodes.transport.ros.source import RosSource
from lowlat_nodes.transport.ros.topics import Input, Output, message_type

__all__ = ["Input", "Output", "RosClock", "RosSink", "RosSource", "message_type", "prepare_process"]
