# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Segments that nobody writes are removed, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.transport import leftovers
from lowlat_nodes.transport.abandoned import Reaped
from lowlat_nodes.transport.shm import stale
from lowlat_nodes.transport.shm.layout import segment_name
from lowlat_nodes.transport.shm.writer import Writer

DEAD = segment_name("camera", 1, 2, 3)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_what_nobody_writes_is_removed(folder: Path) -> None:
    writer = Writer(folder=folder)
    place = writer.put([np.zeros(5)])
    assert place is not None
    (folder / DEAD).write_bytes(bytes(1000))
    assert stale.stale(folder) == [folder / DEAD]
    assert stale.reap(folder) == Reaped(1, 1000)
    assert names(folder) == {place.segment}
    assert stale.reap(folder) == Reaped(0, 0)


def test_both_kinds_of_segments_are_removed_at_once(folder: Path) -> None:
    (folder / DEAD).write_bytes(bytes(1000))
    for name in ("fastrtps_00112233aabbccdd", "fastrtps_00112233aabbccdd_el"):
        (folder / name).write_bytes(bytes(500))
        os.utime(folder / name, (0, 0))
    reaped = leftovers.reap(folder)
    assert reaped.segments >= 1
    assert DEAD not in names(folder)


def test_other_files_are_left_alone(folder: Path) -> None:
    others = {"lowlat", "lowlat_", "lowlat_1_2_3", DEAD + ".bak", "x" + DEAD, "fastrtps_0011", "psm_1234"}
    for name in others:
        (folder / name).touch()
    (folder / DEAD).symlink_to(folder / "psm_1234")
    directory = segment_name("", 1, 2, 4)
    (folder / directory).mkdir()
    pipe = segment_name("", 1, 2, 5)
    os.mkfifo(folder / pipe)
    assert stale.reap(folder) == Reaped(0, 0)
    assert names(folder) == others | {DEAD, directory, pipe}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make files of another user")
def test_files_of_other_users_are_left_alone(folder: Path) -> None:
    (folder / DEAD).touch()
    os.chown(folder / DEAD, 12345, 12345)
    assert stale.reap(folder) == Reaped(0, 0)
    assert names(folder) == {DEAD}


def test_a_machine_without_shared_memory_has_nothing_to_remove(tmp_path: Path) -> None:
    assert leftovers.reap(tmp_path / "missing") == Reaped(0, 0)
