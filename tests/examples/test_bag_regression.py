# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""examples/bag_regression: passes as it is, and fails where the results are others."""

from __future__ import annotations

from typing import Any

from lowlat_nodes.transport.bag import BagReader, Tolerance, compare

PAGE = "bag_regression/README.md"


def test_the_results_are_those_of_the_golden_bag(equipped: Any) -> None:
    run = equipped.run(equipped.documented(PAGE, "python3 -m pytest"), "-p", "no:cacheprovider")
    assert run.returncode == 0, run.stdout
    assert "2 passed" in run.stdout


def test_another_result_is_found_and_told(equipped: Any) -> None:
    command = equipped.documented(PAGE, "lowlat replay drive.mcap", "--check golden.mcap")
    run = equipped.run(command, "-p", "half_angle:=0.3", inside="examples/bag_regression")
    assert run.returncode == 1
    assert "first difference: /nearest_obstacle/nearest [" in run.stderr


def test_the_bag_can_be_made_anew(equipped: Any) -> None:
    folder = equipped.folder / "examples" / "bag_regression"
    run = equipped.run(equipped.documented(PAGE, "python3", "make_bag.py drive.mcap"))
    assert run.returncode == 0, run.stderr
    with BagReader(folder / "drive.mcap") as kept, BagReader(equipped.folder / "drive.mcap") as anew:
        comparison = compare(kept, anew, Tolerance(1e-5, 1e-6, 0))  # another processor rounds otherwise
    assert comparison.difference is None
    assert comparison.compared == 50
    assert (folder / "drive.mcap").stat().st_size < 200_000
