# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run ran on."""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path

import lowlat_nodes
from lowlat_nodes.inference.machine import processor_name, version

FILE = "machine.json"

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


def save_machine(folder: Path) -> None:
    """Keep what this is beside the records of a run."""
    (folder / FILE).write_text(json.dumps(describe(), indent=2) + "\n", encoding="utf-8")


def load_machine(folder: Path) -> dict[str, str]:
    """Read what `save_machine` wrote; nothing where it is not there."""
    try:
        machine = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(text) for name, text in machine.items()} if isinstance(machine, dict) else {}
