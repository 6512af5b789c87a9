# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat interfaces`: builds the messages that a ROS installation brings and the wheels lack."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence

from lowlat_nodes import resources

PACKAGE = "vision_msgs"


def main(argv: Sequence[str]) -> int:
    """Build what is missing, from the definitions that ship with this package, into this environment.

    Returns:
        0 if the packages can be imported; 1 if not, after a message that says what is missing.
    """
    parser = argparse.ArgumentParser(
        prog="lowlat interfaces",
        description=f"Build {PACKAGE}, the messages of detectors, where ROS comes from wheels. It takes g++,"
        " cmake, make and python3-dev, and half a minute once; where it is installed, nothing is done.",
    )
    parser.parse_args(argv)
    script = resources.path("interfaces", "build.py")
    code = subprocess.run([sys.executable, script], check=False).returncode
    if code == 0:
        # In a process of its own: this one may have looked for the package before it was there.
        code = subprocess.run([sys.executable, "-c", f"import {PACKAGE}.msg"], check=False).returncode
    if code == 0:
        print(f"{PACKAGE} is installed")
    return code
