# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the alert replay node: `ros2 launch lowlat_nodes alert_replay.launch.py`."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import node_description


def generate_launch_description() -> LaunchDescription:
    return node_description("alert_replay_node", params_file="alert_replay.yaml", respawn=True)
