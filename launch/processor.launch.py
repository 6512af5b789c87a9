# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Hosts a processor: `ros2 launch lowlat_nodes processor.launch.py params_file:=my_processor.yaml`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("processor_node", params_file="processor.yaml", respawn=True)
