# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the alert node: `ros2 launch lowlat_nodes alerts.launch.py params_file:=my_broker.yaml`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("alert_node", params_file="alerts.yaml", respawn=True)
