# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ROS node of `lowlat record` and `lowlat replay`: it neither spins nor says anything itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import rclpy
from rclpy.context import Context
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.ros import prepare_process


@contextmanager
def bag_node(name: str, ros_arguments: Sequence[str] = ()) -> Iterator[Node]:
    """Make a node in a context of its own, and end both.

    Args:
        name: Its name, unless remapped.
        ros_arguments: What follows `--ros-args` on the command line.

    Raises:
        ConfigurationError: If ROS refuses the arguments.
    """
    prepare_process()
    context = Context()
    try:
        rclpy.init(
            args=["lowlat", "--ros-args", *ros_arguments] if ros_arguments else [],
            context=context,
            signal_handler_options=SignalHandlerOptions.NO,
        )
        # Without /rosout and parameter services: a recording of all topics is to show the robot, not us.
        node = rclpy.create_node(name, context=context, enable_rosout=False, start_parameter_services=False)
    except rclpy_implementation.RCLError as error:
        rclpy.try_shutdown(context=context)
        raise ConfigurationError(f"expected ROS arguments, got {' '.join(ros_arguments)}: {error}") from error
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown(context=context)
