# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.energy.share import Parts, Use, by_cost, by_use


def test_active_energy_goes_by_the_part_of_the_busy_time() -> None:
    parts = by_use(100.0, 40.0, Use({"/a": 1e9, "/b": 0.5e9, "/c": 0.0}, 2e9, 4e9))
    assert parts == Parts(40.0, {"/a": 30.0, "/b": 15.0}, 15.0)


def test_without_idle_power_only_the_time_at_work_is_shared_out() -> None:
    parts = by_use(100.0, math.nan, Use({"/a": 1e9}, 2e9, 4e9))
    assert parts == Parts(0.0, {"/a": 25.0}, 75.0)


def test_idle_power_above_what_was_counted_leaves_nothing() -> None:
    assert by_use(10.0, 40.0, Use({"/a": 1e9}, 2e9, 4e9)) == Parts(10.0, {"/a": 0.0}, 0.0)


def test_coarse_busy_time_never_charges_more_than_there_is() -> None:
    # The host counts ticks and the nodes nanoseconds.
    assert by_use(10.0, 0.0, Use({"/a": 3e9, "/b": 1e9}, 1e9, 8e9)) == Parts(0.0, {"/a": 7.5, "/b": 2.5}, 0.0)


def test_unknown_busy_time_is_taken_for_all_there_is() -> None:
    assert by_use(10.0, 0.0, Use({"/a": 1e9}, math.nan, 4e9)) == Parts(0.0, {"/a": 2.5}, 7.5)


def test_results_times_their_cost_where_nobody_knows_the_busy_time() -> None:
    assert by_cost(100.0, 40.0, {"/a": 20.0, "/b": 10.0}) == Parts(40.0, {"/a": 20.0, "/b": 10.0}, 30.0)
    assert by_cost(100.0, 40.0, {"/a": 90.0, "/b": 30.0}) == Parts(40.0, {"/a": 45.0, "/b": 15.0}, 0.0)
    assert by_cost(100.0, math.nan, {}) == Parts(0.0, {}, 100.0)


_AMOUNT = st.floats(0.0, 1e9)
_NODES = st.dictionaries(st.sampled_from(["/a", "/b", "/c"]), st.floats(0.0, 1e12), max_size=3)


@given(
    joules=_AMOUNT,
    idle_j=_AMOUNT | st.just(math.nan),
    nodes_ns=_NODES,
    busy_ns=st.floats(0.0, 1e12) | st.just(math.nan),
    capacity_ns=st.floats(0.0, 1e12),
)
def test_parts_are_the_whole_and_none_is_below_nothing(
    joules: float, idle_j: float, nodes_ns: dict[str, float], busy_ns: float, capacity_ns: float
) -> None:
    for parts in (
        by_use(joules, idle_j, Use(nodes_ns, busy_ns, capacity_ns)),
        by_cost(joules, idle_j, nodes_ns),
    ):
        each = [parts.idle_j, parts.unattributed_j, *parts.nodes_j.values()]
        assert math.fsum(each) == pytest.approx(joules, rel=1e-12, abs=1e-12)
        assert min(each) >= -1e-9 * joules - 1e-300
