# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.energy.regression import MAX_KEYS, Estimate, Key, Regression
from lowlat_nodes.sim.power import NodeConfig, Work

A: Key = ("/a", "")
B: Key = ("/b", "640x640")
IDLE_W = 70.0
TRUE_J = {A: 1.5, B: 8.0}


def windows(regression: Regression, rates: dict[Key, np.ndarray], noise_j: float = 0.0) -> None:
    random = np.random.default_rng(7)
    for row in zip(*rates.values(), strict=True):
        counts = dict(zip(rates, map(float, row), strict=True))
        joules = IDLE_W + sum(TRUE_J.get(key, 0.0) * count for key, count in counts.items())
        regression.add(counts, 1.0, joules + noise_j * random.normal())


def varying(seed: int, count: int = 120) -> dict[Key, np.ndarray]:
    random = np.random.default_rng(seed)
    return {A: random.integers(5, 35, count), B: random.integers(0, 7, count)}


@given(seed=st.integers(0, 2**32), scale=st.floats(1e-6, 1e6))
@settings(max_examples=30, deadline=None)
def test_without_noise_it_is_exact_in_any_unit(seed: int, scale: float) -> None:
    regression = Regression()
    rates = varying(seed)
    for a, b in zip(rates[A], rates[B], strict=True):
        regression.add({A: float(a), B: float(b)}, 1.0, scale * (IDLE_W + 1.5 * a + 8.0 * b))
    costs, idle = regression.costs(), regression.idle()
    for key, joules in TRUE_J.items():
        assert costs[key].joules == pytest.approx(scale * joules, rel=1e-6)
    assert idle.joules == pytest.approx(scale * IDLE_W, rel=1e-6)


def test_rates_that_vary_are_seldom_doubted() -> None:
    """Rates that jump at random look like blur by chance; not one host in ten may be told so."""
    doubted = 0
    for seed in range(60):
        regression = Regression()
        windows(regression, varying(seed), 1.0)
        doubted += any(found.why for found in regression.costs().values())
    assert doubted <= 6


@given(seed=st.integers(0, 2**32), noise_j=st.floats(0.0, 1000.0))
@settings(max_examples=30, deadline=None)
def test_nothing_is_ever_negative(seed: int, noise_j: float) -> None:
    random = np.random.default_rng(seed)
    regression = Regression()
    for _ in range(40):
        regression.add({A: float(random.integers(0, 9))}, 1.0, abs(noise_j * random.normal()))
    for estimate in (regression.costs()[A], regression.idle()):
        assert estimate.joules >= 0.0
        assert estimate.error_j >= 0.0


def test_the_error_is_as_large_as_it_says() -> None:
    misses = []
    for seed in range(100):
        regression = Regression()
        random = np.random.default_rng(seed)
        for a, b in zip(*varying(seed).values(), strict=True):
            regression.add(
                {A: float(a), B: float(b)}, 1.0, IDLE_W + 1.5 * a + 8.0 * b + 2.0 * random.normal()
            )
        misses += [(found.joules - TRUE_J[key]) / found.error_j for key, found in regression.costs().items()]
    assert 0.7 < float(np.std(misses)) < 1.4


def test_constant_rates_are_told() -> None:
    regression = Regression()
    even = {A: np.diff(np.floor(20.37 * np.arange(201))), B: np.full(200, 3)}
    windows(regression, even, 1.0)
    costs = regression.costs()
    assert "hardly varies" in costs[A].why
    assert "hardly varies" in costs[B].why
    assert regression.idle().why


def test_rates_that_go_together_are_told_with_the_name_of_the_other() -> None:
    regression = Regression()
    rates = varying(5)
    windows(regression, {A: rates[A], B: rates[A] / 4}, 1.0)
    assert "/b 640x640" in regression.costs()[A].why
    assert "/a" in regression.costs()[B].why


def test_a_key_that_comes_late_and_one_that_goes() -> None:
    regression = Regression()
    windows(regression, {A: varying(1)[A]})
    windows(regression, {B: varying(1)[B]})
    assert regression.costs()[A] == Estimate(pytest.approx(1.5), pytest.approx(0.0, abs=1e-3), "")
    assert regression.costs()[B] == Estimate(pytest.approx(8.0), pytest.approx(0.0, abs=1e-3), "")


@pytest.mark.parametrize("busy_s", [0.4, 1.0, 2.0])
def test_results_that_take_longer_than_a_window(busy_s: float) -> None:
    found = []
    for seed in range(5):
        config = NodeConfig(joules=100.0 * busy_s, busy_s=busy_s, rate_hz=0.4 / busy_s, variation=0.5)
        work, edges_s = Work(config, 400.0, seed), np.arange(0.0, 400.0)
        regression = Regression()
        for joules, count in zip(np.diff(work.joules(edges_s)), np.diff(work.counts(edges_s)), strict=True):
            regression.add({A: float(count)}, 1.0, IDLE_W + joules)
        found.append(regression.costs()[A].joules / config.joules)
    assert float(np.median(found)) == pytest.approx(1.0, abs=0.06)


def test_it_follows_a_cost_that_changes() -> None:
    regression = Regression(half_life_s=20.0)
    random = np.random.default_rng(0)
    for number in range(400):
        count = float(random.integers(0, 9))
        regression.add({A: count}, 1.0, 10.0 + count * (2.0 if number < 200 else 4.0))
    assert regression.costs()[A].joules == pytest.approx(4.0, rel=0.01)


def test_what_was_not_seen_for_long_is_forgotten() -> None:
    regression = Regression(half_life_s=1.0)
    windows(regression, varying(0, 30))
    windows(regression, {A: varying(0, 30)[A]})
    assert set(regression.costs()) == {A}
    assert regression.costs()[A].joules == pytest.approx(1.5, rel=1e-3)


def test_memory_is_bounded() -> None:
    regression = Regression()
    random = np.random.default_rng(0)
    for _ in range(300):
        counts = {(f"/{number}", ""): float(random.integers(0, 5)) for number in range(2 * MAX_KEYS)}
        regression.add(counts, 1.0, 10.0 + sum(counts.values()))
    assert len(regression.costs()) == MAX_KEYS - 1
    assert max(found.joules for found in regression.costs().values()) == pytest.approx(1.0, rel=1e-3)


@pytest.mark.parametrize(
    ("counts", "seconds", "joules"),
    [
        ({A: math.nan}, 1.0, 1.0),
        ({A: -1.0}, 1.0, 1.0),
        ({A: 1.0}, 0.0, 1.0),
        ({A: 1.0}, math.inf, 1.0),
        ({A: 1.0}, 1.0, -1.0),
        ({A: 1.0}, 1.0, math.nan),
    ],
)
def test_what_no_counter_has_is_refused(counts: dict[Key, float], seconds: float, joules: float) -> None:
    regression = Regression()
    windows(regression, varying(2))
    before = regression.costs()
    regression.add(counts, seconds, joules)
    assert regression.refused == 1
    assert regression.costs() == before


def test_before_anything_is_known() -> None:
    regression = Regression()
    assert regression.costs() == {}
    assert math.isnan(regression.idle().joules)
    assert regression.idle().why
    regression.add({A: 1.0}, 1.0, 10.0)
    assert math.isnan(regression.costs()[A].joules)
    windows(regression, varying(2, 10))
    assert "windows yet" in regression.costs()[A].why


def test_a_new_key_is_not_relied_on_at_once() -> None:
    regression = Regression()
    windows(regression, {A: varying(1)[A]})
    windows(regression, varying(2, 10))
    assert regression.costs()[A].why == ""
    assert "windows yet" in regression.costs()[B].why


def test_the_error_says_when_nothing_can_be_told() -> None:
    regression = Regression()
    windows(regression, {A: np.full(100, 20), B: np.full(100, 3)}, 1.0)
    for key, found in regression.costs().items():
        assert abs(found.joules - TRUE_J[key]) < 2.0 * found.error_j
    assert abs(regression.idle().joules - IDLE_W) < 2.0 * regression.idle().error_j


def test_a_gap_costs_no_accuracy() -> None:
    regression = Regression()
    for seed in range(6):
        windows(regression, varying(seed, 20))
        regression.interrupt()
    assert regression.costs()[B].joules == pytest.approx(8.0)


NUMBERS = st.one_of(
    st.floats(), st.floats(0.0, 30.0), st.sampled_from([0.0, 1.0, 1e-300, 1e-3, 1e9, 1e15, 1e300])
)


@given(
    rows=st.lists(
        st.tuples(
            st.dictionaries(st.sampled_from([A, B, ("/c", "")]), NUMBERS), NUMBERS, NUMBERS, st.booleans()
        ),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=300, deadline=None)
def test_whatever_comes_is_survived(rows: list[tuple[dict[Key, float], float, float, bool]]) -> None:
    regression = Regression()
    for counts, seconds, joules, gap in rows:
        if gap:
            regression.interrupt()
        regression.add(counts, seconds, joules)
        for found in (*regression.costs().values(), regression.idle()):
            assert found.why or found.joules >= 0.0
            assert found.why or found.error_j >= 0.0


def test_no_energy_at_all() -> None:
    regression = Regression()
    for count in varying(0)[A]:
        regression.add({A: float(count)}, 1.0, 0.0)
    assert regression.costs()[A].joules == 0.0
    assert regression.idle().joules == 0.0
