# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where a row of nodes is cut: compared with every way to cut it."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lowlat_nodes.inference.segments.plan import plan

NOWHERE = math.inf


def longest(times: list[float], cuts: tuple[int, ...]) -> float:
    return max(sum(times[begin:end]) for begin, end in itertools.pairwise([0, *cuts, len(times)]))


def cost(costs: list[float], cuts: tuple[int, ...]) -> float:
    return sum(costs[index] for index in cuts)


def every_way(times: list[float], costs: list[float]) -> list[tuple[int, ...]]:
    places = [index for index in range(1, len(times)) if math.isfinite(costs[index])]
    return [cuts for count in range(len(places) + 1) for cuts in itertools.combinations(places, count)]


@pytest.mark.parametrize("seed", range(40))
def test_no_other_way_is_cheaper(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = random.integers(0, 9, 9).astype(float).tolist()
    costs = random.integers(1, 50, 9).astype(float).tolist()
    for index in np.flatnonzero(random.random(9) < 0.3).tolist():
        costs[index] = NOWHERE
    bound = float(random.integers(3, 30))
    found = plan(times, costs, bound, most=9)
    ways = every_way(times, costs)
    reachable = max(bound, min(longest(times, cuts) for cuts in ways))
    good = [cuts for cuts in ways if longest(times, cuts) <= reachable]
    assert found in good
    assert cost(costs, found) == min(cost(costs, cuts) for cuts in good)


@pytest.mark.parametrize("seed", range(20))
def test_where_the_cheapest_are_too_many_there_are_as_few_as_will_do(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = random.integers(1, 4, 12).astype(float).tolist()
    costs = random.integers(0, 3, 12).astype(float).tolist()
    bound = float(random.integers(6, 12))
    good = [cuts for cuts in every_way(times, costs) if longest(times, cuts) <= bound]
    fewest = min(len(cuts) for cuts in good)
    found = plan(times, costs, bound, most=fewest + 1)
    assert longest(times, found) <= bound
    assert len(found) == fewest
    assert cost(costs, found) == min(cost(costs, cuts) for cuts in good if len(cuts) == fewest)


@pytest.mark.parametrize("seed", range(20))
def test_with_too_many_parts_the_longest_is_as_short_as_so_many_allow(seed: int) -> None:
    random = np.random.default_rng(seed)
    times = random.integers(1, 9, 10).astype(float).tolist()
    costs = [1.0] * 10
    for most in (1, 2, 3):
        found = plan(times, costs, 0.5, most)
        assert len(found) < most
        shortest = min(longest(times, cuts) for cuts in every_way(times, costs) if len(cuts) < most)
        assert longest(times, found) == pytest.approx(shortest, rel=1e-6)


def test_what_is_short_enough_is_not_cut() -> None:
    assert plan([1.0, 2.0, 3.0], [0.0, 1.0, 1.0], 6.0, 8) == ()
    assert plan([], [], 1.0, 8) == ()
    assert plan([7.0], [0.0], 1.0, 8) == ()


def test_no_parts_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least 1 part"):
        plan([1.0], [0.0], 1.0, 0)
