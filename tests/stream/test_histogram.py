# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Quantiles to 1 % of exact order statistics, in fixed memory."""

from __future__ import annotations

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.stream.histogram import Histogram

LIMIT = 2**50
SHARES = [0.0, 0.001, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0]


def filled(values: list[int]) -> Histogram:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    return histogram


def order_statistic(values: list[int], q: float) -> int:
    return sorted(values)[max(1, math.ceil(q * len(values))) - 1]


def assert_accurate(values: list[int]) -> None:
    histogram = filled(values)
    assert histogram.quantile(0.0) == min(values)
    assert histogram.quantile(1.0) == max(values)
    for q, found in zip(SHARES, histogram.quantiles(SHARES), strict=True):
        exact = order_statistic(values, q)
        assert abs(found - exact) <= exact / 256, f"quantile {q}"


@given(st.lists(st.integers(0, LIMIT - 1), min_size=1, max_size=200))
def test_quantiles_are_within_one_part_in_256_of_the_order_statistic(values: list[int]) -> None:
    assert_accurate(values)


@pytest.mark.parametrize(
    "latencies_ns",
    [
        np.random.default_rng(1).lognormal(13, 2, 20_000),
        np.random.default_rng(2).exponential(150e6, 20_000),
        np.concatenate([np.random.default_rng(3).normal(2e6, 1e4, 19_900), np.full(100, 5e9)]),
    ],
    ids=["lognormal", "exponential", "two modes"],
)
def test_quantiles_of_latencies(latencies_ns: np.ndarray) -> None:
    assert_accurate([int(value) for value in latencies_ns])


@given(st.lists(st.integers(0, LIMIT - 1), max_size=50), st.lists(st.integers(0, LIMIT - 1), max_size=5))
def test_counts_up_to_a_limit_are_those_of_a_limit_not_much_above(
    values: list[int], limits: list[int]
) -> None:
    for limit, found in zip(limits, filled(values).at_most(limits), strict=True):
        assert sum(value <= limit for value in values) <= found
        assert found <= sum(value <= limit * (1 + 1 / 128) for value in values)


@given(st.integers(0, 255))
def test_values_below_256_are_exact(value: int) -> None:
    assert filled([0, value, 255]).quantile(0.5) == value


@pytest.mark.parametrize("bits", range(50))
def test_neighbours_of_every_power_of_two_stay_in_order_and_accurate(bits: int) -> None:
    values = sorted({max(0, 2**bits + step) for step in (-1, 0, 1)})
    found = [filled([0, value, LIMIT]).quantile(0.5) for value in values]
    assert found == sorted(found)
    assert all(abs(got - value) <= value / 256 for got, value in zip(found, values, strict=True))


def test_moments_are_exact() -> None:
    histogram = filled([3, 10**9, 10**15])
    assert (histogram.count, histogram.total) == (3, 3 + 10**9 + 10**15)
    assert (histogram.minimum, histogram.maximum) == (3, 10**15)
    assert histogram.mean == pytest.approx((3 + 10**9 + 10**15) / 3)


def test_negative_values_count_as_zero_and_show() -> None:
    histogram = filled([-5, -1, 7])
    assert (histogram.count, histogram.negative) == (3, 2)
    assert histogram.quantile(0.5) == 0
    assert histogram.minimum == 0


def test_values_beyond_the_range_are_kept_in_the_last_bucket() -> None:
    histogram = filled([1, 2**50, 2**63, 10**30])
    assert histogram.count == 4
    assert histogram.maximum == 10**30
    assert histogram.quantile(0.5) >= LIMIT * 255 // 256


def test_empty_histogram_has_zero_quantiles() -> None:
    histogram = Histogram()
    assert histogram.quantiles(SHARES) == [0] * len(SHARES)
    assert histogram.mean == 0.0


def test_a_histogram_that_started_with_large_values_still_finds_its_minimum() -> None:
    assert filled([500, 0]).minimum == 0
    assert filled([500, 600]).minimum == 500


def test_copy_is_independent() -> None:
    histogram = filled([1000])
    copied = histogram.copy()
    histogram.record(5_000_000)
    assert (copied.count, copied.quantile(1.0)) == (1, 1000)
    copied.clear()
    assert histogram.count == 2


def test_clear_forgets_everything() -> None:
    histogram = filled([-1, 5, 10**12])
    histogram.clear()
    assert histogram.quantiles(SHARES) == [0] * len(SHARES)
    assert (histogram.count, histogram.total, histogram.maximum, histogram.negative) == (0, 0, 0, 0)
    histogram.record(42)
    assert histogram.quantile(0.5) == histogram.minimum == 42


def test_memory_does_not_grow_with_what_is_recorded() -> None:
    histogram = Histogram()
    empty = sys.getsizeof(histogram._slots)
    for value in range(0, 10**9, 10**4):
        histogram.record(value)
    assert sys.getsizeof(histogram._slots) == empty
    assert empty < 50_000


@pytest.mark.parametrize("shares", [[-0.1], [1.1], [0.9, 0.5], [float("nan")]])
def test_impossible_shares_are_refused(shares: list[float]) -> None:
    with pytest.raises(ValueError, match="shares between 0 and 1"):
        Histogram().quantiles(shares)
