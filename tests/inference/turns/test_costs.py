# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from lowlat_nodes.inference.turns.costs import MAX_BUCKETS, Costs


def test_the_first_job_counts_only_until_the_second() -> None:
    costs = Costs()
    costs.add("", 900, 800)
    assert (costs.job_ns, costs.segment_ns) == (900, 800)
    costs.add("", 100, 10)
    assert (costs.job_ns, costs.segment_ns) == (100, 10)
    costs.add("", 90, 12)
    assert (costs.job_ns, costs.segment_ns) == (100, 12)


def test_the_longest_of_all_buckets_counts() -> None:
    costs = Costs()
    for _ in range(2):
        costs.add("small", 10, 9)
        costs.add("large", 100, 5)
    assert (costs.job_ns, costs.segment_ns) == (100, 9)


def test_a_maximum_is_forgotten_slowly_and_raised_at_once() -> None:
    costs = Costs()
    for job_ns in (0, 2_000_000, 1_000_000):
        costs.add("", job_ns, 0)
    assert costs.job_ns == 2_000_000 - (1_000_000 >> 10)
    for _ in range(2000):
        costs.add("", 1_000_000, 0)
    assert 1_100_000 < costs.job_ns < 1_200_000
    costs.add("", 3_000_000, 0)
    assert costs.job_ns == 3_000_000


def test_buckets_beyond_the_bound_are_one() -> None:
    costs = Costs()
    for index in range(10 * MAX_BUCKETS):
        costs.add(f"{index}", index, index)
    assert len(costs._worst) == MAX_BUCKETS
    assert costs.job_ns == 10 * MAX_BUCKETS - 1
