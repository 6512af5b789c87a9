# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the detector node: `ros2 launch lowlat_nodes detector.launch.py params_file:=my_robot.yaml`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("detector_node", params_file="detector.yaml", respawn=True)
