# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of the transport ran on."""

from __future__ import annotations

import importlib.util
import os
import platform
from importlib import metadata
from typing import Any

import zmq

from lowlat_nodes.benchmarks._plain_ros import rclpy_version


def machine() -> dict[str, Any]:
    """Return cores, load and versions."""
    versions = {name: metadata.version(name) for name in ("numpy", "msgpack", "pyzmq")}
    return {
        "cpus": os.cpu_count(),
        "load_1min": round(os.getloadavg()[0], 2),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "libzmq": zmq.zmq_version(),
        **versions,
        **({} if missing_ros() else {"rclpy": rclpy_version()}),
    }


def missing_ros() -> str:
    """Return why rclpy cannot be compared with, nothing if it can."""
    return "" if importlib.util.find_spec("rclpy") else "it is not installed (extra: ros)"
