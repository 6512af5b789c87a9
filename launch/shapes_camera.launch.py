# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the simulated camera before moving shapes: `ros2 launch lowlat_nodes shapes_camera.launch.py`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("shapes_camera_node", params_file="detector_demo.yaml")
