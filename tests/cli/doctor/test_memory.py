# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Room in /dev/shm, with file systems of several sizes really mounted there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes import resources
from lowlat_nodes.cli.doctor.finding import Level
from lowlat_nodes.cli.doctor.memory import judge, segment_size

Doctor = Callable[..., Any]

MB = 1 << 20


@pytest.mark.parametrize(
    ("megabytes", "filled", "level", "words"),
    [
        (64, 0, "problem", "67 MB, of which 67 MB are free"),
        (300, 0, "warning", "room for 4 publishing processes"),
        (300, 260, "problem", "It is full"),
        (1024, 0, "ok", "1074 MB"),
    ],
)
def test_a_file_system_of_its_own(
    doctor: Doctor, megabytes: int, filled: int, level: str, words: str
) -> None:
    mount = f"mount -t tmpfs -o size={megabytes}m tmpfs /dev/shm"
    fill = f" && head -c {filled}M /dev/zero > /dev/shm/full" if filled else ""
    found = doctor("memory", inside=mount + fill)["/dev/shm"]
    assert (found["level"], words in found["found"]) == (level, True), found
    assert bool(found["mend"]) == (level != "ok")
    assert found["figures"]["total_bytes"] == megabytes * MB


def test_a_folder_that_nobody_may_write(doctor: Doctor) -> None:
    found = doctor("memory", inside="mount -t tmpfs -o ro tmpfs /dev/shm")["/dev/shm"]
    assert (found["level"], "may not write" in found["found"]) == ("problem", True)


@pytest.mark.parametrize(
    ("container", "command"), [(True, "docker run --shm-size=1g"), (False, "sudo mount -o remount")]
)
def test_who_can_make_it_larger(container: bool, command: str) -> None:
    found = judge(64 * MB, 64 * MB, 64 * MB, container=container)
    assert found.level is Level.PROBLEM
    assert found.mend[0].startswith(command)


def test_what_the_profile_takes(tmp_path: Path) -> None:
    assert segment_size(resources.path("config", "fastdds_shm.xml")) == 64 * MB
    (tmp_path / "other.xml").write_text("<profiles/>")
    with pytest.raises(ValueError, match="gives no segment_size"):
        segment_size(tmp_path / "other.xml")
