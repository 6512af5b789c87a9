# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The criterion against a simulation that plays every decision."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.inference.turns.admission import HANDOVER_NS, Demand, admit, judge
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000

POLICY = Demand("/policy", 300_000, 300_000, 20 * MS, 20 * MS)
WHOLE = Demand("/detector", 70 * MS, 70 * MS)
CUT = Demand("/detector", 70 * MS, 3 * MS)


def missed(demands: list[Demand], releases: list[list[int]]) -> list[int]:
    """Return the deadlines that are missed if jobs of each task come at these times and cost what they may.

    A job is cut into segments of the longest length, and what is left; who goes on is decided between them.
    """
    found = []
    coming = sorted((time, index) for index, times in enumerate(releases) for time in times)
    now, present = 0, []  # deadline, index, rest
    while coming or present:
        if not present:
            now = max(now, coming[0][0])
        while coming and coming[0][0] <= now:
            time, index = coming.pop(0)
            deadline_ns = demands[index].deadline_ns
            present.append((time + deadline_ns if deadline_ns else 1 << 60, index, demands[index].cost_ns))
        deadline, index, rest = min(present)
        present.remove((deadline, index, rest))
        step = min(rest, demands[index].segment_ns)
        now += step
        if rest > step:
            present.append((deadline, index, rest - step))
        elif now > deadline:
            found.append(deadline)
    return found


@st.composite
def task_sets(draw: st.DrawFn) -> list[Demand]:
    demands = []
    for index in range(draw(st.integers(1, 4))):
        period = draw(st.integers(3, 24))
        cost = draw(st.integers(1, max(1, period // 2)))
        segment = draw(st.integers(1, cost))
        deadline = draw(st.integers(cost, period + 6))
        demands.append(Demand(f"/task{index}", cost, segment, period, deadline))
    if draw(st.booleans()):
        cost = draw(st.integers(1, 40))
        demands.append(Demand("/best", cost, draw(st.integers(1, min(cost, 8)))))
    return demands


@given(task_sets(), st.integers(0, 1 << 32))
@settings(max_examples=300)
def test_a_set_that_is_let_in_misses_nothing(demands: list[Demand], seed: int) -> None:
    if not judge(demands, handover_ns=0).feasible:
        return
    rng = random.Random(seed)
    for late in (0, 5):
        releases = []
        for demand in demands:
            period = demand.period_ns or demand.cost_ns
            gaps = (period + rng.randint(0, late) for _ in range(200))
            releases.append(list(itertools.accumulate(gaps, initial=rng.randint(0, 30))))
        assert missed(demands, releases) == []


@given(task_sets())
@settings(max_examples=300)
def test_a_set_that_is_refused_misses_the_deadline_that_was_said(demands: list[Demand]) -> None:
    """With all jobs at once, just after the segment began that holds them up."""
    verdict = judge(demands, handover_ns=0)
    if verdict.feasible or verdict.load >= 1.0 or (verdict.over_ns == 1 and verdict.blocker >= 0):
        return  # in whole numbers, a segment can only have begun one before, so that much is not missed
    within = [
        list(range(1, verdict.missed_ns + 2, demand.period_ns))
        if 0 < demand.deadline_ns <= verdict.missed_ns
        else []
        for demand in demands
    ]
    if verdict.blocker >= 0:
        within[verdict.blocker] = [0]
    found = missed(demands, within)
    assert found
    assert min(found) <= verdict.missed_ns + 1


@given(task_sets(), st.integers(0, 1 << 32))
@settings(max_examples=100)
def test_no_job_is_held_up_by_later_deadlines_for_longer_than_the_bound(
    demands: list[Demand], seed: int
) -> None:
    """A task alone against those with longer deadlines: what it waits for is one segment."""
    verdict = judge(demands, handover_ns=0)
    rng = random.Random(seed)
    for index, demand in enumerate(demands):
        if not demand.deadline_ns:
            assert verdict.blocking_ns[index] == 0
            continue
        longer = [each for each in demands if not 0 < each.deadline_ns <= demand.deadline_ns]
        assert verdict.blocking_ns[index] == max((each.segment_ns for each in longer), default=0)
        if not longer:
            continue
        # Only its first job, somewhere into a job of a longer deadline, whose own is far away.
        blocker = rng.choice(longer)
        at = rng.randint(1, blocker.cost_ns)
        alone = Demand("/probe", 1, 1, 1 << 30, verdict.blocking_ns[index] + 1)
        assert missed([alone, Demand("", blocker.cost_ns, blocker.segment_ns)], [[at], [0]]) == []


@pytest.mark.parametrize(
    ("demands", "missed_ns"),
    [
        ([Demand("", 5, 4, 11, 8), Demand("", 11, 1, 23, 18)], 19),
        ([Demand("", 4, 3, 21, 11), Demand("", 4, 2, 7, 7), Demand("", 9, 3)], 14),
        ([Demand("", 1, 1, 2, 7), Demand("", 3, 3, 10, 3)], 3),
    ],
)
def test_the_first_miss_may_come_late_and_jobs_overlap(demands: list[Demand], missed_ns: int) -> None:
    verdict = judge(demands, handover_ns=0)
    assert (verdict.missed_ns, verdict.feasible) == (missed_ns, False)


def test_a_long_job_of_one_piece_is_refused_beside_a_policy() -> None:
    with pytest.raises(ConfigurationError) as caught:
        admit("cpu0", [WHOLE, POLICY], 1)
    assert str(caught.value) == (
        "turn: /policy cannot share cpu0: /policy would miss its deadline of 20 ms by up to 50.9 ms, as "
        "/detector holds it up for a segment: /detector (70 ms, without a deadline, longest segment 70 ms); "
        "/policy (0.3 ms, every 20 ms, done within 20 ms, longest segment 0.3 ms). To change that, cut "
        "/detector into segments of at most 19.1 ms, raise turn.deadline_ms or turn.period_ms of /policy or "
        "of those before it, or give /policy another turn.device"
    )


def test_the_advice_helps() -> None:
    verdict = judge([WHOLE, POLICY])
    allowed_ns = WHOLE.segment_ns - verdict.over_ns
    assert judge([Demand("/detector", 70 * MS, allowed_ns), POLICY]).feasible
    assert not judge([Demand("/detector", 70 * MS, allowed_ns + 1), POLICY]).feasible


def test_the_same_job_in_segments_is_let_in() -> None:
    verdict = admit("cpu0", [CUT, POLICY], 0)
    assert verdict.blocking_ns == (0, 3 * MS + HANDOVER_NS)
    assert verdict.load == pytest.approx(0.7 / 20)


def test_more_than_the_device_is_refused_by_name() -> None:
    heavy = Demand("/heavy", 15 * MS, MS, 20 * MS, 20 * MS)
    other = Demand("/other", 15 * MS, MS, 40 * MS, 40 * MS)
    with pytest.raises(ConfigurationError, match=r"/other cannot share cpu0: .* need 116 % of the device: "):
        admit("cpu0", [heavy, other], 1)


def test_a_deadline_that_others_fill_is_refused_without_a_blocker() -> None:
    first = Demand("/first", 8 * MS, MS, 100 * MS, 10 * MS)
    second = Demand("/second", 8 * MS, MS, 100 * MS, 10 * MS)
    with pytest.raises(ConfigurationError, match=r"miss its deadline of 10 ms by up to 6.8 ms: /first"):
        admit("cpu0", [first, second], 1)


def test_a_set_too_near_to_the_whole_device_to_be_judged_is_refused() -> None:
    demands = [
        Demand("/fast", 500 - 2, 10, 1_000, 1_000),
        Demand("/slow", 499_999_999, 10, 1_000_000_007, 999_999_937),
        Demand("/best", 10**9, 400),
    ]
    verdict = judge(demands, handover_ns=1)
    assert verdict.load < 1.0
    assert not verdict.decided
    assert not verdict.feasible


def test_nodes_without_deadlines_are_always_let_in() -> None:
    verdict = admit("cpu0", [WHOLE, WHOLE, CUT], 2)
    assert verdict.blocking_ns == (0, 0, 0)
    assert verdict.load == 0.0


def test_figures_of_a_page_that_anybody_may_have_written_are_judged_in_time() -> None:
    most = 10**15
    for demand in (Demand("", most, most, 1, 1), Demand("", 1, 1, 1, most), Demand("", 0, most, most, 1)):
        judge([demand, POLICY])
