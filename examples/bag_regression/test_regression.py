# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Our processor says of a recorded drive what it said when golden.mcap was made: for CI, without ROS."""

from __future__ import annotations

import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPLAY = [
    "lowlat", "replay", HERE / "drive.mcap", "--processor", "nearest_obstacle",
    "--params", HERE.parent / "own_processor" / "nearest_obstacle.yaml",
]  # fmt: skip


def test_the_results_are_those_of_the_golden_bag() -> None:
    run = subprocess.run(
        [*REPLAY, "--check", HERE / "golden.mcap"], capture_output=True, text=True, check=False
    )
    # A failure says where: first difference: /nearest_obstacle/nearest [12] at ... data[0]: expected ...
    assert run.returncode == 0, run.stderr


def test_two_replays_are_the_same_byte_for_byte(tmp_path: Path) -> None:
    outs = [tmp_path / "first.mcap", tmp_path / "second.mcap"]
    for out in outs:
        subprocess.run([*REPLAY, "--out", out], capture_output=True, check=True)
    assert outs[0].read_bytes() == outs[1].read_bytes()
