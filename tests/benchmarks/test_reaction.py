# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reaction times: the formula, the score of a made-up run, and a short real one."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.benchmarks._reaction import (
    answered_ns,
    distribution,
    disturbed,
    figures_of,
    formula,
    reaction_takes_s,
)
from lowlat_nodes.benchmarks._reaction_policy import JOINTS, ROWS, Echo
from lowlat_nodes.control.policies.policy import Observation, infer

MS = 1_000_000


@pytest.mark.parametrize(
    ("inference_ms", "sync_ms", "ratio"), [(30.4, 530.4, 17.4), (36.1, 536.1, 14.9), (64.1, 564.1, 8.8)]
)
def test_the_formula_gives_the_published_figures(inference_ms: float, sync_ms: float, ratio: float) -> None:
    assert formula(inference_ms) == {"sync_ms": sync_ms, "async_ms": inference_ms, "ratio": ratio}


def test_an_event_is_answered_by_the_first_command_that_knows_of_it_or_of_a_later_one() -> None:
    changes = [(5, 0.0), (40, 1.0), (80, 3.0)]
    assert answered_ns([10, 45, 70, 75], changes) == [40, 80, 80, None]
    assert answered_ns([41], changes) == [80]  # a command before the event cannot know of it
    assert answered_ns([], changes) == []


def test_a_late_empty_loop_marks_what_it_overlaps() -> None:
    late = [(100, 140), (20, 25), (90, 200)]
    intervals = [(0, 10), (10, 21), (21, 24), (25, 90), (30, 99), (150, 160), (200, 300)]
    assert disturbed(intervals, late) == [False, True, True, False, True, True, False]
    assert disturbed(intervals, []) == [False] * len(intervals)


def test_a_distribution_of_nothing_has_no_figures() -> None:
    assert distribution([]) == {
        "n": 0, "min_ms": None, "p50_ms": None, "mean_ms": None, "p99_ms": None, "worst_ms": None,
    }  # fmt: skip
    assert distribution([4.0, 1.0, 1.0])["mean_ms"] == 2.0


def run(times_ms: list[float], *, late_at_ms: float = -100.0, answered: int | None = None) -> dict[str, Any]:
    """Return the figures of events at 0, 100, 200 ms ... with these reactions, and an inference per 32 ms."""
    events = [100 * number * MS for number in range(len(times_ms))]
    changes = [
        (e + round(t * MS), float(k)) for k, (e, t) in enumerate(zip(events, times_ms, strict=True), 1)
    ]
    seen = {"events_ns": events, "changes": changes[:answered], "commands": 50}
    inferences = [{"launched_ns": 32 * number * MS, "inference_ms": 30.5} for number in range(10)]
    late_ns = round(late_at_ms * MS)
    return figures_of(seen, inferences, [(late_ns, late_ns + 3 * MS)], tick_hz=500.0, bounded=True)


def test_the_bound_comes_of_the_measured_launch_period_and_inference() -> None:
    figures = run([40.0, 69.4])
    assert figures["bound_ms"] == 30.5 + 32.0 + 2.0 + 5.0
    assert figures["worst_ms"] == 69.4
    assert figures["within_bound"]
    assert figures["undisturbed_within_bound"]


def test_what_the_machine_spoilt_is_told_and_not_dropped() -> None:
    figures = run([40.0, 85.0], late_at_ms=110.0)
    assert (figures["worst_ms"], figures["undisturbed_worst_ms"]) == (85.0, 40.0)
    assert (figures["n"], figures["disturbed_events"], figures["events_beyond_bound"]) == (2, 1, 1)
    assert not figures["within_bound"]
    assert figures["undisturbed_within_bound"]


def test_an_event_without_an_answer_is_told_and_breaks_the_bound() -> None:
    figures = run([40.0, 50.0], answered=1)
    assert (figures["n"], figures["unanswered"], figures["worst_ms"]) == (1, 1, 40.0)
    assert not figures["within_bound"]
    assert not figures["undisturbed_within_bound"]


def test_the_policy_answers_with_the_number_of_the_event() -> None:
    actions = infer(Echo(), Observation(np.array([3.0, 17.0], np.float32)))
    assert actions.shape == (ROWS, len(JOINTS))
    assert np.unique(actions[:, 0]) == [17.0]


def test_the_time_that_it_takes_is_told_before() -> None:
    few, many = (reaction_takes_s(("sync",), events=events, fewer_events=0) for events in (10, 310))
    assert many - few == pytest.approx(300 * 0.3)


@pytest.mark.ros
def test_a_real_node_answers_each_event_after_an_inference() -> None:
    program = (
        "import json\n"
        "from lowlat_nodes.benchmarks._reaction import Setting, at\n"
        "from lowlat_nodes.benchmarks._ros_session import ros_session\n"
        "with ros_session() as folder:\n"
        "    print(json.dumps(at(Setting(30.4, tick_hz=100.0, events=5), ['vlash'], folder)))\n"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=280, check=False
    )

    assert ended.returncode == 0, ended.stderr
    figures = json.loads(ended.stdout)
    vlash = figures["measured"]["vlash"]
    assert vlash["n"] + vlash["unanswered"] == 5
    assert vlash["n"] > 0
    assert 30.4 < vlash["min_ms"] <= vlash["p50_ms"] <= vlash["worst_ms"]
    assert figures["measured_worst_ms"] == {"vlash": vlash["worst_ms"]}
    assert vlash["inference_p50_ms"] >= 30.4
    assert vlash["launch_period_p50_ms"] > 30.4
