# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.energy.meters.counting import HIGHEST_W, Counting

RANGE_UJ = 262_143_328_850
LONGEST_S = 100.0  # of a pause: the counter cannot go round in it


@given(
    st.integers(0, RANGE_UJ - 1),
    st.lists(st.tuples(st.floats(0.001, LONGEST_S), st.floats(0.0, HIGHEST_W)), max_size=60),
)
def test_no_wrap_is_lost(start_uj: int, steps: list[tuple[float, float]]) -> None:
    counting = Counting(RANGE_UJ, 0.0)
    counting.hear(start_uj, 0)
    now_ns, total_uj = 0, 0
    for seconds, watts in steps:
        elapsed_ns = round(seconds * 1e9)
        now_ns, total_uj = now_ns + elapsed_ns, total_uj + int(watts * elapsed_ns * 1e-3)
        counting.hear((start_uj + total_uj) % RANGE_UJ, now_ns)
    assert (counting.microjoules, counting.breaks) == (total_uj, 0)


@given(st.lists(st.tuples(st.integers(0, 2**64), st.integers(0, 10**12), st.booleans()), max_size=40))
def test_whatever_a_counter_says_joules_never_fall(steps: list[tuple[int, int, bool]]) -> None:
    counting = Counting(RANGE_UJ, 0.0)
    now_ns, seen = 0, [0.0]
    for counter_uj, elapsed_ns, gone in steps:
        now_ns += elapsed_ns
        if gone:
            counting.interrupt()
        counting.hear(counter_uj, now_ns)
        seen.append(counting.microjoules)
    assert all(before <= after for before, after in itertools.pairwise(seen))
    assert seen[-1] <= HIGHEST_W * (now_ns * 1e-3 + 1e5 * len(steps))


@pytest.mark.parametrize(
    ("counter_uj", "elapsed_s"),
    [
        (0, 1.0),  # it was reset
        (90_000_000_000, 1.0),  # it fell a little, and no processor goes round in a second
        (110_000_000_000, 1.0),  # it leapt ahead by 10 kJ
        (100_001_000_000, 200.0),  # it may have gone round in the meantime
    ],
)
def test_what_cannot_be_is_a_break(counter_uj: int, elapsed_s: float) -> None:
    counting = Counting(RANGE_UJ, 0.0)
    counting.hear(100_000_000_000, 0)
    counting.hear(counter_uj, round(elapsed_s * 1e9))
    assert (counting.microjoules, counting.breaks) == (0, 1)
    counting.hear(counter_uj + 5_000_000, round(elapsed_s * 1e9) + 1_000_000_000)
    assert (counting.microjoules, counting.breaks) == (5_000_000, 1)


def test_what_it_gains_while_it_is_away_is_not_counted() -> None:
    counting = Counting(RANGE_UJ, 0.0)
    counting.interrupt()  # before the first reading there is nothing to break
    counting.hear(1_000_000, 0)
    counting.interrupt()
    counting.interrupt()
    counting.hear(3_000_000, 1_000_000_000)
    counting.hear(4_000_000, 2_000_000_000)
    assert (counting.microjoules, counting.breaks) == (1_000_000, 1)
