# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether all nodes at a device can meet their deadlines, before they run.

The processor demand criterion for sporadic tasks under earliest deadline first that are interrupted only
between segments: for each length t of time, the jobs that must be done within it and the longest segment of a
task with a longer deadline have to fit,

    sum over i of max(0, floor((t - D_i) / T_i) + 1) C_i  +  max over D_j > t of q_j  <=  t

(Jeffay, Stanat and Martel 1991, "On non-preemptive scheduling of periodic and sporadic tasks", for jobs of
one segment; Baruah 2005, "The limited-preemption uniprocessor scheduling of sporadic task systems"). It
changes only where t is a deadline, and holds for all t if it does up to a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import ConfigurationError

HANDOVER_NS = 200_000
"""From the end of a segment to the begin of the next one in another process: what a busy machine takes."""

_MOST_POINTS = 1 << 18
_MOST_NS = 1 << 58  # nine years; sums of such times are still whole numbers of 64 bits
_MS = 1e-6

_Int64s = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a node asks of the device.

    Attributes:
        name: Of the node.
        cost_ns: Longest time that one job has the device, C.
        segment_ns: Longest time without giving way, q; the whole job if it does not give way.
        period_ns: Shortest time between two jobs, T; 0 for a node without a deadline.
        deadline_ns: From a request to its deadline, D; 0 for a node without one, that only holds up others.
    """

    name: str
    cost_ns: int
    segment_ns: int
    period_ns: int = 0
    deadline_ns: int = 0

    def __str__(self) -> str:
        """Return the figures for people."""
        when = (
            f"every {self.period_ns * _MS:.4g} ms, done within {self.deadline_ns * _MS:.4g} ms"
            if self.deadline_ns
            else "without a deadline"
        )
        cost_ms, segment_ms = self.cost_ns * _MS, self.segment_ns * _MS
        return f"{self.name} ({cost_ms:.4g} ms, {when}, longest segment {segment_ms:.4g} ms)"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the criterion says of a set of nodes.

    Attributes:
        blocking_ns: For each node, how long a job of a later deadline can hold it up: the longest segment of
            nodes with a longer deadline, and a handover; 0 where there is none.
        load: Share of the device that jobs with deadlines ask for.
        missed_ns: The shortest time in which not everything fits, 0 if there is none.
        over_ns: By how much it does not fit.
        missed: The node whose deadline that is, -1 if there is none.
        blocker: The node whose segment holds it up, -1 if there is none.
        decided: Whether it could be told at all; not where the load is within a hair of the whole device.
    """

    blocking_ns: tuple[int, ...]
    load: float
    missed_ns: int = 0
    over_ns: int = 0
    missed: int = -1
    blocker: int = -1
    decided: bool = True

    @property
    def feasible(self) -> bool:
        """Whether each deadline is met."""
        return self.load < 1.0 and not self.missed_ns and self.decided


def judge(demands: Sequence[Demand], handover_ns: int = HANDOVER_NS) -> Verdict:
    """Return whether all nodes meet their deadlines, and how long each can be held up.

    Args:
        demands: Of the nodes at a device.
        handover_ns: What it takes to go on in another process; each job needs two of them, each segment one.
    """
    blocking_ns = tuple(
        max(
            (
                other.segment_ns + handover_ns
                for other in demands
                if demand.deadline_ns and not 0 < other.deadline_ns <= demand.deadline_ns
            ),
            default=0,
        )
        for demand in demands
    )
    timed = [demand for demand in demands if demand.deadline_ns]
    costs = [demand.cost_ns + 2 * handover_ns for demand in timed]
    load = sum(cost / demand.period_ns for cost, demand in zip(costs, timed, strict=True))
    if not timed or load >= 1.0:
        return Verdict(blocking_ns, load)
    bound_ns = _bound_ns(timed, costs, load, max(blocking_ns))
    points = _deadlines(timed, min(bound_ns, _MOST_NS))
    over = _demand_ns(points, timed, costs) + _blocking_ns(points, demands, handover_ns) - points
    late = np.flatnonzero(over > 0)
    if not late.size:
        return Verdict(blocking_ns, load, decided=points.size < _MOST_POINTS and bound_ns <= _MOST_NS)
    missed_ns = int(points[late[0]])
    return Verdict(
        blocking_ns,
        load,
        missed_ns,
        int(over[late[0]]),
        _whose(missed_ns, demands),
        _blocker(missed_ns, demands),
    )


def admit(device: str, demands: Sequence[Demand], newcomer: int) -> Verdict:
    """Return the verdict on a set of nodes.

    Args:
        device: Its name.
        demands: Of the nodes at the device.
        newcomer: Which of them is to join.

    Raises:
        ConfigurationError: If not all can meet their deadlines, with the names, the figures and the remedy.
    """
    verdict = judge(demands)
    if verdict.feasible:
        return verdict
    name = demands[newcomer].name
    nodes = "; ".join(str(demand) for demand in demands)
    if verdict.load >= 1.0:
        raise ConfigurationError(
            f"turn: {name} cannot share {device}: with it, jobs with deadlines would need "
            f"{100 * verdict.load:.0f} % of the device: {nodes}. Raise a turn.period_ms, make a model "
            f"cheaper, or give {name} another turn.device"
        )
    if not verdict.decided:
        raise ConfigurationError(
            f"turn: {name} cannot share {device}: with it, jobs with deadlines would need "
            f"{100 * verdict.load:.4g} % of the device, too much to tell whether all meet them: {nodes}. "
            f"Raise a turn.period_ms, make a model cheaper, or give {name} another turn.device"
        )
    missed, blocker = demands[verdict.missed], verdict.blocker
    over_ms = verdict.over_ns * _MS
    why, remedy = "", ""
    if blocker >= 0:
        why = f", as {demands[blocker].name} holds it up for a segment"
        allowed_ns = demands[blocker].segment_ns - verdict.over_ns
        if allowed_ns > 0:
            remedy = f"cut {demands[blocker].name} into segments of at most {allowed_ns * _MS:.3g} ms, "
    raise ConfigurationError(
        f"turn: {name} cannot share {device}: {missed.name} would miss its deadline of "
        f"{missed.deadline_ns * _MS:.4g} ms by up to {over_ms:.3g} ms{why}: {nodes}. To change that, {remedy}"
        f"raise turn.deadline_ms or turn.period_ms of {missed.name} or of those before it, or give {name} "
        f"another turn.device"
    )


def _bound_ns(timed: Sequence[Demand], costs: Sequence[int], load: float, blocking_ns: int) -> int:
    """Return a time beyond which everything fits if it does before.

    Beyond all deadlines the demand grows by no more than the load, so that the rest of the device catches up
    with what it was ahead.
    """
    ahead_ns = sum(
        max(0, demand.period_ns - demand.deadline_ns) * cost / demand.period_ns
        for cost, demand in zip(costs, timed, strict=True)
    )
    longest_ns = max(demand.deadline_ns for demand in timed)
    return max(longest_ns, int((ahead_ns + blocking_ns) / (1.0 - load)) + 1)


def _deadlines(timed: Sequence[Demand], bound_ns: int) -> _Int64s:
    """Return the first times up to a bound at which a job may have to be done, in order."""
    found = [
        np.arange(demand.deadline_ns, bound_ns + 1, demand.period_ns, dtype=np.int64)
        if (bound_ns - demand.deadline_ns) // demand.period_ns < _MOST_POINTS
        else demand.deadline_ns + demand.period_ns * np.arange(_MOST_POINTS, dtype=np.int64)
        for demand in timed
    ]
    return np.unique(np.concatenate(found))[:_MOST_POINTS]


def _demand_ns(points: _Int64s, timed: Sequence[Demand], costs: Sequence[int]) -> _Int64s:
    total = np.zeros_like(points)
    for cost, demand in zip(costs, timed, strict=True):
        jobs = (points - demand.deadline_ns) // demand.period_ns + 1
        total += np.maximum(jobs, 0) * cost
    return total


def _blocking_ns(points: _Int64s, demands: Sequence[Demand], handover_ns: int) -> _Int64s:
    longest = np.zeros_like(points)
    for demand in demands:
        holds_up = points < demand.deadline_ns if demand.deadline_ns else np.ones_like(points, np.bool_)
        longest = np.maximum(longest, np.where(holds_up, demand.segment_ns + handover_ns, 0))
    return longest


def _whose(time_ns: int, demands: Sequence[Demand]) -> int:
    for index, demand in enumerate(demands):
        beyond_ns = time_ns - demand.deadline_ns
        if demand.deadline_ns and beyond_ns >= 0 and beyond_ns % demand.period_ns == 0:
            return index
    return -1


def _blocker(time_ns: int, demands: Sequence[Demand]) -> int:
    later = [index for index, demand in enumerate(demands) if not 0 < demand.deadline_ns <= time_ns]
    return max(later, key=lambda index: demands[index].segment_ns, default=-1)
