# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The distance of two clocks from the two stamps of messages."""

from __future__ import annotations

import random

import pytest

from lowlat_nodes.transport.bag.clock_offset import _SAMPLES, ClockOffset


def test_the_least_and_the_median_difference() -> None:
    offset = ClockOffset()
    for received_ns, published_ns in ((1_000, 900), (2_000, 1_990), (3_000, 2_500)):
        offset.add(received_ns, published_ns)
    assert (offset.count, offset.least_ns, offset.median_ns) == (3, 10, 100)
    assert offset.as_json() == {"messages": 3, "least_ms": 0.0, "median_ms": 0.0}


def test_a_publisher_whose_clock_is_ahead() -> None:
    offset = ClockOffset()
    offset.add(1_000_000_000, 3_500_000_000)
    assert offset.as_json() == {"messages": 1, "least_ms": -2500.0, "median_ms": -2500.0}


def test_without_stamps_nothing_is_known() -> None:
    offset = ClockOffset()
    offset.add(1_000, 0)
    assert offset.as_json() == {"messages": 0, "least_ms": None, "median_ms": None}


def test_many_messages_take_no_more_memory_and_hardly_change_the_median() -> None:
    numbers = random.Random(1)
    differences = [5_000_000 + round(numbers.expovariate(1e-6)) for _ in range(10 * _SAMPLES)]
    offset = ClockOffset()
    for index, difference_ns in enumerate(differences):
        offset.add(10**18 + index + difference_ns, 10**18 + index)
    assert offset.count == len(differences)
    assert offset.least_ns == min(differences)
    assert offset.median_ns == pytest.approx(sorted(differences)[len(differences) // 2], rel=0.02)
    assert len(offset._kept) < _SAMPLES
