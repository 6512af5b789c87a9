# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of budgets: what it makes of a run, and that a short run of it works."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytest.importorskip("rclpy")
pytest.importorskip("onnx")

from lowlat_nodes.benchmarks._energy_budget import Power, Run, fields, run


def made(rates_hz: list[tuple[float, float]], **changes: Any) -> Run:
    """A run in which results of 1 J came at these rates until these times; a budget of 5 W at 100 s."""
    power, at_s = Power(), 90.0
    for until_s, rate_hz in rates_hz:
        while at_s < until_s:
            at_s += 1.0 / rate_hz
            power.times_s.append(at_s)
            power.joules.append(1.0)
    tick = {"p50_ms": 0.1, "p99_ms": 0.3, "ticks": 1000, "stalls": 0}
    values: dict[str, Any] = {
        "power": power,
        "published": [(at_s, 5.0) for at_s in range(130, 160)],
        "begun_s": 90.0,
        "budget_s": 100.0,
        "end_s": 160.0,
        "natural_w": 10.0,
        "budget_w": 5.0,
        "ticks": (tick, tick, tick),
        "told": "5 of 5 W",
    }
    return Run(**values | changes)


def test_a_power_that_falls_to_the_budget_has_settled_when_its_mean_has() -> None:
    figures = fields(made([(107.0, 10.0), (170.0, 5.0)]))
    assert 10.0 < figures["settle_s"] <= 13.0
    assert figures["watts_ratio"] == pytest.approx(1.0, abs=0.03)
    assert figures["published_ratio"] == 1.0
    assert figures["ok"] is True
    assert "simulated" in figures["power"]


def test_a_power_that_does_not_stay_is_not_kept() -> None:
    figures = fields(made([(107.0, 10.0), (145.0, 5.0), (170.0, 10.0)]))
    assert figures["settle_s"] < 15.0
    assert figures["within_share"] < 0.8
    assert figures["ok"] is False
    assert fields(made([(170.0, 10.0)]))["settle_s"] is None


def test_what_keeps_a_detector_from_its_work_for_seconds_is_no_breach() -> None:
    figures = fields(made([(107.0, 10.0), (158.0, 5.0), (160.0, 2.0)]))
    assert 0.9 <= figures["within_share"] <= 1.0
    assert figures["ok"] is True


def test_ticks_are_disturbed_where_they_are_later_than_without_a_budget() -> None:
    tick = {"p50_ms": 0.1, "p99_ms": 0.3, "ticks": 1000, "stalls": 0}
    for during_ms, disturbed in ((0.5, False), (2.0, True)):
        done = made([(107.0, 10.0), (170.0, 5.0)], ticks=(tick, tick | {"p99_ms": during_ms}, tick))
        assert done.disturbed() is disturbed
        assert fields(done)["ok"] is not disturbed


@pytest.mark.ros
@pytest.mark.sim
def test_a_short_run_has_all_figures() -> None:
    figures = fields(run(2.0, 4.0))
    assert figures["natural_w"] > 0.0
    assert math.isclose(figures["budget_w"], figures["natural_w"] / 2.0, abs_tol=0.02)
    assert "W (fake: simulated)" in figures["told"]
    assert all(figures[name]["ticks"] > 0 for name in ("tick_without", "tick_with", "tick_without_again"))
