# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Command-line arguments of more than one subcommand."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence

ROS_ARGUMENTS = "--ros-args"


def split_ros_arguments(argv: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return our own arguments, and those after `--ros-args`."""
    arguments = list(argv)
    if ROS_ARGUMENTS not in arguments:
        return arguments, []
    at = arguments.index(ROS_ARGUMENTS)
    return arguments[:at], arguments[at + 1 :]


def positive(text: str) -> float:
    """Return a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return value


def not_negative(text: str) -> float:
    """Return a number that is 0 or above."""
    return 0.0 if text.strip() in {"0", "0.0"} else positive(text)


def whole(text: str) -> int:
    """Return a whole number above 0."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0, got {text!r}")
    return int(text)


def assignment(text: str) -> tuple[str, str]:
    """Return name and value of `name:=value`, as ROS writes it."""
    name, found, value = text.partition(":=")
    if not found or not name or not value:
        raise argparse.ArgumentTypeError(f"expected NAME:=VALUE, got {text!r}")
    return name, value
