# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A budget: it settles, it never goes below the floor, it does not flap, and it says what it cannot do."""

from __future__ import annotations

import math
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from budget_plant import Plant, S, run, used

from lowlat_nodes.energy.budget import Budget, Leeway, Level, Order
from lowlat_nodes.energy.headline import Headline
from lowlat_nodes.energy.settings import BudgetSettings
from lowlat_nodes.stream.meter import Kind

UNKNOWN = Headline(Kind.UNAVAILABLE, why="nobody samples")


def budget(w: float = 0.0, **given: Any) -> Budget:
    """A budget of so many watts."""
    return Budget(BudgetSettings(w=w, **given))


def switches(history: list[tuple[Order, float, float]]) -> int:
    """How often the model changed."""
    return sum(a[0].model != b[0].model for a, b in pairwise(history))


def turns(values: list[float], least: float) -> int:
    """How often values turn round, by more than `least` of themselves."""
    count, direction, extreme = 0, 0, values[0]
    for value in values[1:]:
        if (direction >= 0 and value > extreme) or (direction <= 0 and value < extreme):
            if direction == 0 and abs(value / extreme - 1.0) > least:
                direction = 1 if value > extreme else -1
            if direction:
                extreme = value
        elif abs(value / extreme - 1.0) > least:
            count, direction, extreme = count + 1, -direction, value
    return count


plants = st.one_of(
    st.builds(
        Plant,
        natural_hz=st.floats(2.0, 500.0),
        joules=st.floats(0.01, 10.0).map(lambda joules: [joules]),
        power=st.floats(0.6, 1.5),
        late=st.integers(0, 2),
        noise=st.floats(0.0, 0.05),
        seed=st.integers(0, 1000),
    ),
    st.builds(
        lambda base, natural_hz, joules, regression, **given: Plant(
            natural_hz,
            [joules],
            base_w=base * joules * natural_hz,
            regression=regression,
            **given,
        ),
        base=st.floats(0.0, 0.25),  # of what results use: half of a budget of 40 % of all
        natural_hz=st.floats(2.0, 500.0),
        joules=st.floats(0.01, 10.0),
        regression=st.one_of(st.just(math.nan), st.floats(0.8, 1.2)),
        late=st.integers(0, 2),
        noise=st.floats(0.0, 0.05),
        seed=st.integers(0, 1000),
    ),
)


@settings(max_examples=300, deadline=None)
@given(plant=plants, share=st.floats(0.4, 0.9))
def test_the_power_settles_within_a_tenth_in_half_a_minute(plant: Plant, share: float) -> None:
    watts = share * plant.watts(plant.natural_hz)
    history = run(budget(watts), plant, 120)
    later = [power / watts for _, power, _ in history[30:]]
    assert all(0.88 < each < 1.12 for each in later)  # a tenth, and a bit for the noise
    assert sum(later) / len(later) == pytest.approx(1.0, abs=0.06)


@settings(max_examples=100, deadline=None)
@given(plant=plants, share=st.floats(0.4, 0.9))
def test_a_settled_rate_does_not_swing(plant: Plant, share: float) -> None:
    history = run(budget(share * plant.watts(plant.natural_hz)), plant, 300)
    assert turns([order.max_hz for order, _, _ in history[30:]], 0.12) <= 1


@settings(max_examples=200, deadline=None)
@given(
    uses=st.lists(
        st.builds(
            used,
            watts=st.one_of(st.floats(-1.0, 1e4), st.just(math.nan)),
            rate_hz=st.one_of(st.floats(-1.0, 1e4), st.just(math.nan), st.just(math.inf)),
            joules=st.one_of(st.floats(0.0, 1e4), st.just(math.nan)),
            error_j=st.one_of(st.floats(0.0, 10.0), st.just(math.nan)),
            method=st.sampled_from(["", "share", "regression"]),
        ),
        max_size=60,
    ),
    leeways=st.lists(
        st.builds(Leeway, st.one_of(st.floats(0.0, 100.0), st.just(math.inf)), st.integers(1, 3)),
        min_size=60,
        max_size=60,
    ),
    own=st.floats(0.0, 100.0),
    w=st.floats(0.0, 100.0),
    j=st.floats(0.0, 10.0),
    gaps=st.lists(st.floats(-5.0, 100.0), min_size=60, max_size=60),
)
def test_whatever_the_figures_an_order_is_above_both_floors_and_names_a_model(
    uses: list[Headline], leeways: list[Leeway], own: float, w: float, j: float, gaps: list[float]
) -> None:
    judge = budget(w, j_per_result=j, floor_hz=own)
    now_ns = 0
    for use, leeway, gap_s in zip(uses, leeways, gaps, strict=False):
        now_ns += round(gap_s * S)
        order = judge.judge(use, leeway, now_ns)
        assert order.max_hz >= max(leeway.floor_hz, own)
        assert order.model in range(leeway.models)


def test_without_a_budget_a_node_is_free_and_nothing_is_said() -> None:
    assert budget().judge(used(1e3, 1.0), Leeway(), S) == Order()


def test_a_node_below_its_budget_is_left_alone() -> None:
    history = run(budget(12.0), Plant(10.0, [1.0], noise=0.05), 100)
    assert all(order.max_hz == math.inf and order.level is Level.OK for order, _, _ in history)
    assert history[-1][0].summary.endswith(" of 12 W")


def test_a_breach_is_warned_of_until_it_is_over() -> None:
    history = run(budget(5.0), Plant(10.0, [1.0]), 40)
    assert history[0][0].level is Level.WARN
    last, watts, rate_hz = history[-1]
    assert last.level is Level.OK
    assert (watts, rate_hz) == (pytest.approx(5.0, rel=0.05), pytest.approx(5.0, rel=0.05))
    assert last.summary.startswith("5.02 of 5 W; at most 5.01 Hz")


def test_who_may_only_warn_does_only_that() -> None:
    history = run(budget(5.0, respond=("warn",)), Plant(10.0, [1.0, 0.1]), 60)
    assert {(order.max_hz, order.model, order.level) for order, _, _ in history} == {
        (math.inf, 0, Level.WARN)
    }


def test_at_the_floor_a_budget_that_cannot_be_met_is_an_error_with_its_size() -> None:
    history = run(budget(5.0), Plant(10.0, [1.0]), 60, floor_hz=8.0)
    order, watts, _ = history[-1]
    assert order.level is Level.ERROR
    assert order.max_hz == pytest.approx(8.0)
    assert watts == pytest.approx(8.0)
    assert "cannot be met: 8 of 5 W, 60 % too much at the floor of 8 Hz" in order.summary


def test_the_cheaper_model_comes_where_the_rate_alone_would_fall_below_the_floor() -> None:
    plant = Plant(10.0, [1.0, 0.5, 0.1], noise=0.03)
    history = run(budget(5.0), plant, 120, floor_hz=8.0)
    order, watts, rate_hz = history[-1]
    assert order.model == 1
    assert order.level is Level.OK
    assert rate_hz >= 8.0
    assert watts == pytest.approx(5.0, rel=0.1)
    assert all(0.85 * 5.0 < watts < 1.12 * 5.0 for _, watts, _ in history[30:])
    assert switches(history) == 1
    assert "model 2 of 3" in order.summary


def test_a_rate_that_suffices_changes_no_model() -> None:
    history = run(budget(5.0), Plant(10.0, [1.0, 0.5, 0.1], noise=0.05), 200, floor_hz=2.0)
    assert switches(history) == 0


def test_a_result_that_is_too_dear_changes_the_model_and_not_the_rate() -> None:
    plant = Plant(10.0, [1.0, 0.5, 0.1], noise=0.05)
    history = run(budget(j_per_result=0.6), plant, 120, floor_hz=2.0)
    assert [history[-1][0].model, switches(history)] == [1, 1]
    assert all(order.max_hz == math.inf for order, _, _ in history)
    assert history[-1][0].level is Level.OK


def test_where_no_model_is_cheap_enough_that_is_an_error() -> None:
    history = run(budget(j_per_result=0.05), Plant(10.0, [1.0, 0.1]), 60)
    order = history[-1][0]
    assert (order.model, order.level) == (1, Level.ERROR)
    assert "cannot be met: 0.1 of 0.05 J a result, 100 % too much" in order.summary


def test_a_regression_counts_for_the_cost_of_a_result_unless_it_remembers_another_model() -> None:
    plant = Plant(10.0, [1.0, 0.5], base_w=10.0, regression=1.0)  # 2 J by share, 1 J by regression
    order = run(budget(j_per_result=1.2), plant, 60)[-1][0]
    assert (order.model, order.level) == (0, Level.OK)
    assert order.summary == "1 of 1.2 J a result"
    plant = Plant(10.0, [1.0, 0.5], base_w=10.0)
    assert run(budget(j_per_result=1.2), plant, 60)[-1][0].model == 1


def test_what_a_node_uses_without_results_counts_at_the_floor_whatever_regression_says() -> None:
    plant = Plant(10.0, [1.0, 0.1], base_w=4.0, regression=1.0)  # 6 W at the floor, and 4.2
    history = run(budget(5.0), plant, 600, floor_hz=2.0)
    assert sum(order.model for order, _, _ in history) > 0.75 * len(history)
    assert switches(history) <= 11  # at a higher rate the dear one seems to fit; ever more rarely


def test_the_dearer_model_returns_once_there_is_room_for_long_enough() -> None:
    plant = Plant(10.0, [1.0, 0.5], noise=0.03)
    judge = budget(5.0, hold_s=20.0)
    assert run(judge, plant, 60, floor_hz=8.0)[-1][0].model == 1
    judge.settings = BudgetSettings(w=15.0, hold_s=20.0)
    history = run(judge, plant, 120, start_s=60, floor_hz=8.0)
    changed_s = next(second for second, (order, _, _) in enumerate(history) if order.model == 0)
    assert changed_s >= 20
    assert history[-1][0] == Order(summary=history[-1][0].summary)
    assert switches(history) == 1


def test_the_rate_rises_again_only_after_hold_s_and_is_free_in_the_end() -> None:
    plant = Plant(10.0, [1.0])
    judge = budget(5.0, hold_s=20.0)
    run(judge, plant, 60)
    judge.settings = BudgetSettings(w=15.0, hold_s=20.0)
    history = run(judge, plant, 100, start_s=60)
    assert all(order.max_hz < 5.6 for order, _, _ in history[:20])
    assert history[-1][0].max_hz == math.inf


@pytest.mark.parametrize("seed", range(5))
def test_noise_at_the_edge_of_a_switch_makes_few(seed: int) -> None:
    for watts in (4.0, 5.0, 8.0, 10.0):  # the dear model needs 8 W at the floor, the cheap one 4
        plant = Plant(10.0, [1.0, 0.5], base_w=0.5, noise=0.1, seed=seed)
        history = run(budget(watts), plant, 1000, floor_hz=8.0)
        assert switches(history) <= 3, watts


def test_a_cost_that_swings_makes_returns_that_do_not_last_rarer() -> None:
    plant = Plant(10.0, [1.0, 0.5], noise=0.02)
    judge = budget(6.0)
    history = []
    for minute in range(60):  # the scene is simple in one minute, and not in the next
        plant.joules = [1.0, 0.5] if minute % 2 else [0.4, 0.2]
        history += run(judge, plant, 60, start_s=60 * minute, floor_hz=8.0)
    assert switches(history) <= 20


def test_without_figures_the_last_order_stands_for_a_while_and_then_none() -> None:
    judge, plant = budget(5.0), Plant(10.0, [1.0])
    limit_hz = run(judge, plant, 60)[-1][0].max_hz
    assert limit_hz == pytest.approx(5.0, rel=0.05)
    for second in range(60, 85):
        order = judge.judge(UNKNOWN, Leeway(1.0), second * S)
        assert (order.max_hz, order.level) == (limit_hz, Level.WARN)
        assert "the last order stands: nobody samples" in order.summary
    order = judge.judge(UNKNOWN, Leeway(1.0), 100 * S)
    assert (order.max_hz, order.model, order.level) == (math.inf, 0, Level.WARN)
    assert order.summary == "no budget is kept: nobody samples"
    assert run(judge, plant, 60, start_s=101)[-1][1] == pytest.approx(5.0, rel=0.05)


def test_a_node_whose_input_ends_keeps_its_model_and_its_limit() -> None:
    plant = Plant(10.0, [1.0, 0.5], base_w=1.0)
    judge = budget(6.0, j_per_result=1.3)
    before = run(judge, plant, 60, floor_hz=2.0)[-1][0]
    assert before.model == 0
    for second in range(60, 65):
        order = judge.judge(used(1.0, 0.0), Leeway(2.0, 2), second * S)
        assert (order.model, order.max_hz) == (0, before.max_hz)
    for second in range(65, 300):
        order = judge.judge(used(1.0, 0.0), Leeway(2.0, 2), second * S)
    assert (order.model, order.max_hz) == (0, math.inf)


def test_a_node_that_can_do_nothing_is_warned_of_only() -> None:
    judge = budget(5.0)
    for second in range(60):
        order = judge.judge(used(10.0, 10.0), Leeway(), second * S)
        assert order == Order(math.inf, 0, Level.WARN, "10 of 5 W")


def test_a_floor_that_rises_lifts_the_limit_at_once() -> None:
    judge, plant = budget(5.0), Plant(10.0, [1.0])
    run(judge, plant, 60, floor_hz=1.0)
    assert judge.judge(UNKNOWN, Leeway(9.0), 60 * S).max_hz == 9.0


def test_a_floor_of_the_user_counts_as_that_of_the_node_does() -> None:
    history = run(budget(5.0, floor_hz=7.0), Plant(10.0, [1.0]), 60, floor_hz=2.0)
    assert history[-1][0].max_hz == pytest.approx(7.0)


def test_a_meter_that_is_modelled_or_none_is_good_for_a_budget_and_that_is_said() -> None:
    order = budget(5.0).judge(used(4.0, 1.0, kind=Kind.MODELLED), Leeway(), S)
    assert order.summary == "4 of 5 W (modelled)"
    fake = Headline(Kind.MEASURED, ("meter",), watts=4.0, rate_hz=1.0, fake="simulated")
    assert budget(5.0).judge(fake, Leeway(), S).summary == "4 of 5 W (fake: simulated)"
