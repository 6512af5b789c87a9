# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What programs of plain rclpy run with, to compare ours with them."""

from __future__ import annotations

import os
from importlib import metadata

_OURS_TO_SET = (
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTDDS_BUILTIN_TRANSPORTS",
    "MALLOC_MMAP_THRESHOLD_",
    "MALLOC_TRIM_THRESHOLD_",
    "MALLOC_TOP_PAD_",
)


def plain_environment(logs: str) -> dict[str, str]:
    """Return the machine's own environment, without what tunes Fast DDS or malloc."""
    environment = {name: value for name, value in os.environ.items() if name not in _OURS_TO_SET}
    environment.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 100))
    return environment | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_LOG_DIR": logs}


def rclpy_version() -> str:
    """Return the version of rclpy, of an installation or of its wheel.

    Raises:
        importlib.metadata.PackageNotFoundError: If there is none.
    """
    try:
        return metadata.version("rclpy")
    except metadata.PackageNotFoundError:
        return metadata.version("ros-rclpy")
