# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts everything at once: `ros2 launch lowlat_nodes full.launch.py recorder:=false`; see docs/full.md."""

from __future__ import annotations

from launch import LaunchDescription

from lowlat_nodes.nodes.launching import Part, graph_description

PARTS = [
    Part("sim_arm_node", "sim_arm", "the simulated arm, its camera and its lights; false on a robot"),
    Part("policy_node"),
    Part("shapes_camera_node", "shapes_camera", "the simulated camera of the detector; false for a real one"),
    Part("detector_node", "detector", "detects things in the images of that camera"),
    Part("alert_node", "alerts", "classifies astronomical alerts"),
    Part("alert_replay_node", "alert_replay", "sends it a recorded night; false for a stream of your own"),
    Part("bridge_node", "bridge", "carries detections and images to programs without ROS"),
    Part("energy_node", "energy", "says which node uses how much; one for each host"),
    Part("recorder_node", "recorder", "records a bag"),
]


def generate_launch_description() -> LaunchDescription:
    return graph_description(PARTS, params_file="full.yaml")
