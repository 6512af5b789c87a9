# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which middleware ROS 2 runs on: the RMW implementation that RMW_IMPLEMENTATION names, or the default."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from lowlat_nodes.stream.errors import ConfigurationError

VARIABLE = "RMW_IMPLEMENTATION"

# Where each implementation leaves a file of its name in the ament index.
_REGISTERED = Path("share", "ament_index", "resource_index", "rmw_typesupport")
_NOT_ONE = "rmw_implementation"  # the package that loads one


def is_fast_dds(environment: Mapping[str, str]) -> bool:
    """Return whether ROS runs on Fast DDS, its default, as far as an environment says."""
    name = environment.get(VARIABLE, "")
    return not name or name.startswith("rmw_fastrtps")


def installed(environment: Mapping[str, str]) -> set[str]:
    """Return the implementations that are registered below AMENT_PREFIX_PATH and this Python's prefix."""
    prefixes = [*environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep), sys.prefix]
    folders = [Path(prefix) / _REGISTERED for prefix in prefixes if prefix]
    return {file.name for folder in folders if folder.is_dir() for file in folder.iterdir()} - {_NOT_ONE}


def require_installed(environment: Mapping[str, str]) -> None:
    """Check that the middleware that an environment names is there.

    rcl, the C library below rclpy, ends the process while rclpy is imported if it is not.

    Raises:
        ConfigurationError: If others are installed and the named one is not.
    """
    name, found = environment.get(VARIABLE, ""), installed(environment)
    if not name or not found or name in found:
        return
    package = name.replace("_", "-")
    raise ConfigurationError(
        f"{VARIABLE}: expected an installed middleware, {' or '.join(sorted(found))}, got {name!r}; try: "
        f"unset {VARIABLE}, or apt install ros-{environment.get('ROS_DISTRO', 'DISTRO')}-{package}"
    )
