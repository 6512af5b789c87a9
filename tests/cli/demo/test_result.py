# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From recorded runs to figures, checks and comparison."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.cli.demo.energy import unavailable
from lowlat_nodes.cli.demo.recording import read
from lowlat_nodes.cli.demo.result import StrategyResult, checks, comparison, evaluate
from lowlat_nodes.cli.demo.settings import DemoSettings

Make = Callable[..., Any]
SETTINGS = DemoSettings(strategies=("vlash",), targets=12)
NO_METER = unavailable("nobody samples")

# What `lowlat demo --json` promises.
PROMISED = {
    "hit_rate",
    "hit_rate_ci95",
    "reaction_p50_ms",
    "reaction_p99_ms",
    "stalled_ticks",
    "stalls",
    "inferences",
    "targets",
}


def result(run: Any, name: str = "vlash") -> StrategyResult:
    return evaluate(name, read(run.in_order()), NO_METER)


def failing(settings: DemoSettings, *results: StrategyResult) -> list[str]:
    found = checks(settings, {item.name: item for item in results})
    return [check.sentence for check in found if not check.passed]


def test_figures_are_those_that_were_made(fake_run: Make) -> None:
    figures = result(fake_run(targets=12, hits=9, reaction_ms=250.0, stalled_ticks=4, stalls=1)).figures()

    assert set(figures) >= PROMISED
    assert (figures["targets"], figures["hits"], figures["hit_rate"]) == (12, 9, 0.75)
    assert figures["hit_rate_ci95"] == pytest.approx([0.4677, 0.9111], abs=1e-3)
    assert figures["reaction_p50_ms"] == pytest.approx(255.0, abs=10.0)
    assert (figures["stalled_ticks"], figures["stalls"]) == (4, 1)
    assert figures["inference_p50_ms"] == 150.0
    assert (figures["energy"]["kind"], figures["energy"]["j_per_action"]) == ("unavailable", None)
    assert figures["energy"]["why"] == "nobody samples"


def test_reactions_before_any_chunk_that_knew_are_counted(fake_run: Make) -> None:
    # An image every 160 ms whose chunk takes over 180 ms later, and one in ten refused: known by 500 ms.
    assert result(fake_run(reaction_ms=520.0)).figures()["reactions_before_cause"] == 0
    assert result(fake_run(reaction_ms=100.0)).figures()["reactions_before_cause"] == 12


def test_the_first_chunk_that_knew_is_found(fake_run: Make) -> None:
    causes_ms = result(fake_run()).cause_ns() * 1e-6

    assert causes_ms.min() > 180.0 - 1e-6
    assert 180.0 < np.median(causes_ms) < 340.0


def test_figures_are_json_even_without_reactions(fake_run: Make) -> None:
    run = result(fake_run())
    blind = replace(run, score=replace(run.score, reaction_ns=np.full(12, math.nan)))

    text = json.dumps(blind.figures(), allow_nan=False)

    assert json.loads(text)["reaction_p50_ms"] is None
    assert json.loads(text)["reactions_missed"] == 12


def test_a_good_run_passes_every_check(fake_run: Make) -> None:
    assert failing(SETTINGS, result(fake_run())) == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({"hits": 3}, "3 of 12 targets were touched"),
        ({"stalled_ticks": 9}, "9 ticks were not served"),
        ({"stalls": 12}, "12 commands came later"),
        ({"steps_skipped": 400}, "the simulation made"),
        ({"targets": 10, "hits": 10}, "10 of 12 targets were decided"),
        ({"reaction_ms": 1750.0}, "it reacted to"),
    ],
)
def test_each_fault_fails_its_check(fake_run: Make, fault: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in failing(SETTINGS, result(fake_run(**fault))))


def test_a_pause_of_the_machine_is_told_and_no_failure(fake_run: Make) -> None:
    run = result(fake_run(stalled_ticks=1, stalls=2))

    assert failing(SETTINGS, run) == []
    assert (run.figures()["stalled_ticks"], run.figures()["stalls"]) == (1, 2)


def test_lost_commands_and_images_fail(fake_run: Make) -> None:
    run = fake_run()
    thinned = [
        record
        for number, record in enumerate(run.in_order())
        if record.topic not in {"/arm/commands", "/camera/image"} or number % 8
    ]

    failed = failing(SETTINGS, evaluate("vlash", read(thinned), NO_METER))

    assert any("commands were recorded" in sentence for sentence in failed)
    assert any("images were recorded" in sentence for sentence in failed)
    without = replace(SETTINGS, record_images=False)
    assert not any(
        "images" in sentence for sentence in failing(without, evaluate("vlash", read(thinned), NO_METER))
    )


def test_stalls_of_the_other_strategies_are_no_failure(fake_run: Make) -> None:
    settings = DemoSettings(strategies=("sync",), targets=12)

    assert failing(settings, result(fake_run(hits=2, stalled_ticks=300), "sync")) == []


def test_comparison_is_of_vlash_against_the_others(fake_run: Make) -> None:
    runs = [
        result(fake_run(reaction_ms=600.0, hits=6), "sync"),
        result(fake_run(reaction_ms=300.0, hits=9), "naive_async"),
        result(fake_run(reaction_ms=240.0), "vlash"),
    ]

    compared = comparison({run.name: run for run in runs})

    assert compared["hit_rate_vlash_minus_naive_async"] == 0.25
    assert compared["hit_rate_vlash_minus_sync"] == 0.5
    assert compared["reaction_p50_vlash_to_sync"] == pytest.approx(0.4, abs=0.02)
    assert comparison({"sync": runs[0]}) == {}
