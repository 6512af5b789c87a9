# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The wall-clock half of the control suite: its figures, and one short run of its processes."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.benchmarks._wall import (
    LATENCIES,
    STRATEGIES,
    cell_figures,
    command_jerk,
    light_reactions_take_s,
    ratio,
    ratio_ci95,
    reaction_figures,
    wall_takes_s,
)
from lowlat_nodes.cli.demo.energy import unavailable
from lowlat_nodes.cli.demo.recording import Inference, Recording
from lowlat_nodes.cli.demo.result import StrategyResult
from lowlat_nodes.cli.demo.ways import NAMES
from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.sim.score import CommandTrack, Score, Target
from lowlat_nodes.stream.config import build

MS = 1_000_000
END_NS = 2_000 * MS


def recording(tip_m: np.ndarray | None = None, **policy: int) -> Recording:
    """Return a run of two seconds with a command every 10 ms."""
    stamps = np.arange(0, END_NS, 10 * MS)
    tips = np.zeros((len(stamps), 2)) if tip_m is None else tip_m
    target = Target(0, 5 * MS, END_NS, 0.1, 0.1, True)
    return Recording(
        start_ns=0,
        end_ns=END_NS,
        targets=(target,) * 4,
        wrong=0,
        track=CommandTrack(stamps, tips),
        tip_stamp_ns=stamps,
        tip_m=tips,
        inferences=(Inference(10 * MS, 10 * MS, 150 * MS, 160 * MS, "scheduled"),),
        policy=policy,
        sim={},
        messages={},
    )


def result(*reaction_ms: float, **policy: int) -> StrategyResult:
    reactions = np.array(reaction_ms) * 1e6
    score = Score(4, 3, (0.3, 0.95), reactions, np.zeros(1), 9)
    return StrategyResult("vlash", recording(**policy), score, unavailable("not sampled"))


def test_a_cell_says_how_often_it_held_and_missed() -> None:
    figures = cell_figures(
        result(100.0, 200.0, 300.0, np.nan, stalled_ticks=20, ticks=200, misses=2, chunks_trimmed=3)
    )

    assert (figures["hits"], figures["targets"], figures["hit_rate_ci95"]) == (3, 4, [0.3, 0.95])
    assert (figures["reaction_p50_ms"], figures["reactions_missed"]) == (200.0, 1)
    assert (figures["stalled_ticks"], figures["held_share"]) == (20, 0.1)
    assert (figures["misses"], figures["late_chunks"]) == (2, 3)
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


def test_the_distribution_of_reactions_leaves_out_what_did_not_happen_and_counts_it() -> None:
    figures = reaction_figures(result(100.0, 200.0, 300.0, np.nan))

    assert figures["reaction_p50_ms"] == figures["reaction_mean_ms"] == 200.0
    assert figures["reaction_p10_ms"] < figures["reaction_p90_ms"]
    assert figures["reactions_missed"] == 1
    assert reaction_figures(result(*[np.nan] * 4))["reaction_p50_ms"] is None


def test_ratios_are_of_medians_and_none_where_one_is_missing() -> None:
    assert ratio({"reaction_p50_ms": 600.0}, {"reaction_p50_ms": 120.0}) == 5.0
    assert ratio({"reaction_p50_ms": 600.0}, {"problem": "it did not come to its end"}) is None


def test_the_interval_of_a_ratio_narrows_with_the_number_of_lights() -> None:
    random = np.random.default_rng(1)
    widths = []
    for lights in (20, 500):
        slow, fast = (
            {"reaction_ms": random.uniform(low, high, lights).tolist()}
            for low, high in ((300, 900), (100, 140))
        )
        low, high = ratio_ci95(slow, fast) or (0.0, 0.0)
        assert low < 5.0 < high
        widths.append(high - low)

    assert widths[1] < widths[0] / 2
    assert ratio_ci95({"reaction_ms": []}, {"problem": "none"}) is None


def test_the_jerk_is_that_of_the_commands() -> None:
    times_s = np.arange(0.0, 2.0, 0.01)
    cubic = np.stack([times_s**3, np.zeros_like(times_s)], axis=1)

    assert command_jerk(recording(cubic)) == pytest.approx(6.0, rel=1e-3)
    assert command_jerk(recording()) == 0.0


@pytest.mark.parametrize("latency", LATENCIES)
def test_latencies_are_parameters_of_the_policy(latency: str) -> None:
    delay_ms, varies = LATENCIES[latency]
    values = {name.removeprefix("policy."): value for name, value in varies.items()}
    config = build(PolicyConfig, values | {"inference_delay_ms": delay_ms})

    assert config.latency.typical_ns == round(delay_ms * 1e6)
    assert set(STRATEGIES) <= set(NAMES)


def test_the_time_that_it_takes_is_told_before() -> None:
    assert wall_takes_s(lights=50) - wall_takes_s(lights=10) == pytest.approx(18 * 40 * 1.46)
    assert light_reactions_take_s(("sync",), lights=100) > 146.0


@pytest.mark.ros
@pytest.mark.sim
@pytest.mark.slow
def test_a_cell_is_run_and_scored() -> None:
    command = [sys.executable, "-m", "lowlat_nodes.benchmarks._wall", "wall"]
    command += ["--strategies", "vlash", "--latencies", "log_normal", "--lights", "8"]

    ended = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    [cell] = figures["cells"]
    assert (cell["latency"], cell["strategy"]) == ("log_normal", "vlash")
    # A machine that stands still for seconds may spoil a run; the cell says so then.
    if "problem" not in cell:
        assert cell["targets"] == 8
        assert 0 <= cell["held_share"] <= 1
        assert cell["inferences"] > 0
