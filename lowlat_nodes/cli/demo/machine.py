# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run ran on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

import lowlat_nodes

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
        "processor": _processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ros": os.environ.get("ROS_DISTRO", "from wheels"),
        "middleware": os.environ.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp"),
    }
    return found | {name: version for name in _LIBRARIES if (version := _version(name))}


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """Return the processor's name; /proc/cpuinfo has it on x86, on ARM only the architecture is told."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
