# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Open files and disks, with limits that are really set and file systems that are really full."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.doctor import limits
from lowlat_nodes.cli.doctor.finding import Level

Doctor = Callable[..., Any]


@pytest.mark.parametrize(
    ("nofile", "level", "command"),
    [
        ("128:4096", "problem", "ulimit -n 4096"),
        ("512:512", "warning", "limits.conf"),
        ("1024:1024", "ok", ""),
    ],
)
def test_open_files(doctor: Doctor, nofile: str, level: str, command: str) -> None:
    found = doctor("limits", limits=(f"--nofile={nofile}",))["open files"]
    assert found["level"] == level
    assert command in " ".join(found["mend"])


def test_a_disk_that_is_full(doctor: Doctor, tmp_path: Path) -> None:
    full = tmp_path / "logs"
    full.mkdir()
    found = doctor(
        "limits", {"ROS_LOG_DIR": str(full)}, inside=f"mount -t tmpfs -o size=50m tmpfs {full}", code=1
    )
    assert found["logs of ROS"]["level"] == "problem"
    assert found["logs of ROS"]["figures"]["free_bytes"] < 60e6


def test_a_folder_that_is_still_to_be_made(doctor: Doctor, tmp_path: Path) -> None:
    found = doctor("limits", {"ROS_LOG_DIR": str(tmp_path / "a" / "b")})
    assert found["logs of ROS"]["figures"]["writable"] is True


def test_a_folder_that_this_user_may_not_write(doctor: Doctor, tmp_path: Path) -> None:
    mount = f"mount -t tmpfs -o ro tmpfs {tmp_path}"
    found = doctor("limits", {"ROS_LOG_DIR": str(tmp_path)}, inside=mount)["logs of ROS"]
    assert (found["level"], "may not write" in found["found"]) == ("warning", True)


@pytest.mark.parametrize(
    ("free", "level"), [(10**10, Level.OK), (10**9, Level.WARNING), (10**7, Level.PROBLEM)]
)
def test_disk(free: int, level: Level) -> None:
    assert limits.judge_disk("bags", Path("/data"), free, writable=True).level is level


@pytest.mark.parametrize(("most", "level"), [(212992, Level.NOTE), (4 << 20, Level.OK)])
def test_buffers(most: int, level: Level) -> None:
    assert limits.judge_buffer(most).level is level
