# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the recorder node: `ros2 launch lowlat_nodes recorder.launch.py params_file:=my_robot.yaml`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("recorder_node", params_file="recorder.yaml", respawn=True)
