# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run ran on."""

from __future__ import annotations

import os
import platform

import lowlat_nodes
from lowlat_nodes.inference.machine import processor_name, version

_LIBRARIES = (
    "numpy",
    "onnxruntime",
    "mujoco",
    "opencv-python-headless",
    "rosbags",
    "ros-jazzy-rclpy",
    "ros-kilted-rclpy",
)


def describe() -> dict[str, str]:
    """Return hardware, system and versions in words, by name."""
    found = {
        "lowlat_nodes": lowlat_nodes.__version__,
        "processor": processor_name(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "from wheels"),
        "middleware": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
    }
    return found | {name: installed for name in _LIBRARIES if (installed := version(name))}
