# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the edges of windows do, and what they do not."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.energy.window_fit import Key, WindowFit

A: Key = ("/a", "")
IDLE_W = 70.0
COUNT = 2000


def blurred(rates: np.ndarray, blur: float, seed: int = 0) -> np.ndarray:
    """Counts whose edges are uncertain: what is too much in one window is too little in the next."""
    edges = np.random.default_rng(seed).normal(scale=blur, size=len(rates) + 1)
    return np.maximum(rates + np.diff(edges), 0.0)


def fit(counts: np.ndarray, joules: np.ndarray) -> WindowFit:
    found = WindowFit(half_life_s=1e6)
    for count, energy in zip(counts, joules, strict=True):
        found.add({A: float(count)}, 1.0, float(energy))
    return found


@pytest.mark.parametrize("memory", [1, 5, 20])
def test_blurred_edges_bias_least_squares_and_not_this(memory: int) -> None:
    random = np.random.default_rng(1)
    rates = 10.0 + np.repeat(random.normal(scale=1.5, size=COUNT // memory), memory)
    counts, joules = blurred(rates, 1.0), IDLE_W + 4.0 * rates
    plain = np.polyfit(counts, joules, 1)[0]
    cost = fit(counts, joules).solution()[0][A]
    assert plain < 2.5
    assert cost.joules == pytest.approx(4.0, abs=4.0 * cost.error_j)
    assert cost.error_j < 0.3
    assert cost.why == ""


def test_blur_alone_is_no_variation() -> None:
    counts = blurred(np.full(COUNT, 20.0), 1.0)
    random = np.random.default_rng(3)
    cost = fit(counts, IDLE_W + 80.0 + random.normal(size=COUNT)).solution()[0][A]
    assert "hardly varies" in cost.why
    assert abs(cost.joules - 4.0) <= cost.error_j + 4.0


def test_windows_may_differ_in_length() -> None:
    random = np.random.default_rng(4)
    found = WindowFit(half_life_s=1e6)
    for seconds, rate in zip(random.uniform(0.5, 3.0, 200), random.uniform(0.0, 20.0, 200), strict=True):
        found.add({A: rate * seconds}, seconds, (IDLE_W + 2.0 * rate) * seconds)
    costs, idle = found.solution()
    assert costs[A].joules == pytest.approx(2.0)
    assert idle.joules == pytest.approx(IDLE_W)


def test_a_host_that_uses_nothing_when_idle() -> None:
    random = np.random.default_rng(5)
    rates = random.uniform(0.0, 20.0, 200)
    costs, idle = fit(rates, 2.0 * rates).solution()
    assert costs[A].joules == pytest.approx(2.0)
    assert idle.joules == pytest.approx(0.0, abs=1e-6)
    assert idle.why == ""


def test_noise_that_lasts_makes_errors_larger() -> None:
    random = np.random.default_rng(6)
    rates = 10.0 + np.repeat(random.normal(scale=3.0, size=COUNT // 10), 10)
    lasting = np.repeat(random.normal(scale=3.0, size=COUNT // 8), 8)
    brief = random.permutation(lasting)
    joules = IDLE_W + 2.0 * rates
    assert (
        fit(rates, joules + lasting).solution()[0][A].error_j
        > 1.8 * fit(rates, joules + brief).solution()[0][A].error_j
    )
