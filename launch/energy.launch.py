# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the energy node of this host: `ros2 launch lowlat_nodes energy.launch.py`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("energy_node", params_file="energy.yaml", respawn=True)
