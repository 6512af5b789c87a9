# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Headline figures from records that were made up here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.benchmarks import _suite_plots
from lowlat_nodes.benchmarks._suite_cells import Cell, Checkpoints, alike, plan
from lowlat_nodes.benchmarks._suite_figures import gain, headline, pool, retained, table
from lowlat_nodes.train.evaluate import TASKS
from lowlat_nodes.train.methods import METHODS

DELAYS = (0, 4, 8)
CHECKPOINTS = Checkpoints("/nowhere/seed{seed}/{variant}.onnx", (0, 1))


def record(cell: Cell, series: list[int]) -> dict[str, Any]:
    won = sum(series)
    return {
        **asdict(cell),
        "series": series,
        "reaction_ms": [100.0 + cell.delay_steps] * won,
        "reactions_missed": cell.trials - won,
        "completion_ms": [300.0] * won,
        "jerk_m_s3": 100.0 * (1 + cell.seed),
        "boundary_jump_p50_rad": 0.01,
        "boundary_jump_p95_rad": 0.1,
        "held_steps": 10,
        "steps": 100,
        "inferences": 50,
        "cpu_s": 1.0,
    }


def records(rate: Mapping[str, float]) -> dict[Cell, dict[str, Any]]:
    """Methods that are not named have a success rate of one half; delays take a tenth off every rate."""
    cells = plan(CHECKPOINTS, 80, DELAYS, tuple(METHODS))
    return {
        cell: record(cell, [round(10 * rate.get(cell.method, 0.5)) - (cell.delay_steps > 0)] * 4)
        for cell in cells
    }


def test_trials_are_shared_among_the_seeds_in_whole_series() -> None:
    cells = plan(CHECKPOINTS, 90, (0, 2), ("sync",), jitter_steps=1)
    assert {cell.trials for cell in cells} == {50}
    assert {(cell.delay_steps, cell.jitter_steps) for cell in cells} == {(0, 1), (2, 1)}
    assert len(cells) == 2 * 2 * len(TASKS)


def test_without_delay_what_is_the_same_is_played_once() -> None:
    def first(method: str, delay: int = 0, jitter: int = 0) -> str:
        return alike(Cell("insertion", method, delay, jitter, 1, 10)).method

    plain = ("oracle", "sync_short", "naive_async", "naive_aligned", "rollforward_actuator")
    assert {first(method) for method in plain} == {"oracle"}
    rolled = ("vlash_recorded_last_action", "vlash_sum_deltas", "vlash_perfect")
    assert {first(method) for method in rolled} == {rolled[0]}
    for method in ("sync", "rtc", "temporal_ensemble", "a2c2", "ours", "naive_aligned_16"):
        assert first(method) == method
    assert first("naive_async", delay=1) == first("naive_async", jitter=1) == "naive_async"


def test_headline() -> None:
    pools = pool(records({"oracle": 1.0, "ours": 1.0, "vlash_actuator": 0.9, "vlash_last_action": 0.6}))
    figures = headline(pools)
    assert figures["retained"]["best_ours"] == pytest.approx(0.9)
    assert figures["retained"]["best_ours_method"] == "ours"
    assert figures["retained"]["naive_async"] == pytest.approx(0.4)
    assert figures["gain_over_vlash_last_action"] == pytest.approx(0.4)
    assert figures["low_delay_cost"] == pytest.approx(0.0)
    assert figures["low_delay_costs"]["vlash_actuator"] == pytest.approx(0.1)
    assert retained(pools, "vlash_actuator", 8) == pytest.approx(0.8)


def test_a_gain_is_paired_by_series_and_its_interval_covers_it() -> None:
    made = records({"ours": 0.8, "vlash_last_action": 0.8})
    random = np.random.default_rng(1)
    for cell, found in made.items():
        if cell.method in ("ours", "vlash_last_action"):
            # Hard and easy series are so for both; only a pairing sees the difference of a tenth.
            hard = np.random.default_rng(cell.seed).integers(2, 9, size=len(found["series"]))
            found["series"] = (hard + (cell.method == "ours")).tolist()
    one = gain(pool(made), "ours", "vlash_last_action", 4)
    assert one["gain"] == pytest.approx(0.1)
    assert one["ci95"] == pytest.approx([0.1, 0.1])
    assert set(one["by_task"]) == set(TASKS)
    for cell, found in made.items():
        if cell.method == "ours":
            found["series"] = random.integers(0, 11, size=len(found["series"])).tolist()
    one = gain(pool(made), "ours", "vlash_last_action", 4)
    assert one["ci95"][0] < one["gain"] < one["ci95"][1]


def test_a_pool_has_intervals_seeds_and_distributions() -> None:
    (key,) = [key for key in pool(records({})) if key == ("insertion", "rtc", 8, 0)]
    figures = pool(records({}))[key].figures()
    assert figures["trials"] == 80
    assert figures["success"] == pytest.approx(0.4)
    low, high = figures["success_ci95"]
    assert low < 0.4 < high
    assert figures["success_by_seed"] == [0.4, 0.4]
    assert (figures["reaction_p50_ms"], figures["reactions_missed"]) == (108.0, 48)
    assert figures["jerk_m_s3"] == pytest.approx(np.sqrt((100.0**2 + 200.0**2) / 2))
    assert (figures["held_share"], figures["inferences_per_step"]) == (0.1, 0.5)


def test_the_table_leaves_out_what_was_not_played() -> None:
    lines = table(pool(records({"sync": 1.0})), (0, 4, 12), ["sync"]).splitlines()
    assert lines[0] == "| method | 0 steps | 4 steps | 12 steps |"
    assert lines[2] == "| `sync` | 1.000 | 0.900 |  |"


def test_plots_are_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    written = _suite_plots.draw(pool(records({})), DELAYS, tmp_path)
    assert [path.suffix for path in written] == [".svg"] * 3
    assert all(b"<svg" in path.read_bytes()[:1000] for path in written)
