# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the simulated arm, its camera and its reaction task: `ros2 launch lowlat_nodes sim.launch.py`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("sim_arm_node", params_file="demo.yaml")
