# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Trajectories as a joint trajectory controller carries them out: within the limits at every instant."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from cubic_controller import Controller
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.miss import MISS_POLICIES, MissPolicy
from lowlat_nodes.control.trajectory import TrajectoryPlanner

TICK = 10_000_000
PERIOD = 20_000_000
VELOCITY, ACCELERATION, UPPER = 3.0, 20.0, 0.8
LIMITS = JointLimits(lower=(-0.8,), upper=(UPPER,), velocity=(VELOCITY,), acceleration=(ACCELERATION,))


def planner(miss: str = "decay", limits: JointLimits = LIMITS, *, waits: bool = False) -> TrajectoryPlanner:
    policy = MissPolicy(miss, deadline_ns=60_000_000, decay_ns=80_000_000)
    return TrajectoryPlanner(Limiter(limits, 1), policy, period_ns=PERIOD, waits=waits)


def ramp(start_ns: int, start: float, rate: float, rows: int) -> Chunk:
    return Chunk(0, start_ns, PERIOD, start + rate * PERIOD * 1e-9 * np.arange(1, rows + 1)[:, None])


events = st.lists(
    st.tuples(
        st.integers(1, 40),  # ticks until then
        st.sampled_from(["chunk", "chunk", "chunk", "stop", "drop"]),
        st.floats(-6.0, 6.0),  # rad/s
        st.integers(1, 30),  # rows
        st.integers(0, PERIOD),  # how late it takes over
    ),
    min_size=1,
    max_size=12,
)


@given(events, st.sampled_from(MISS_POLICIES), st.booleans())
def test_limits_are_kept_at_every_instant(
    changes: list[tuple[int, str, float, int, int]], miss: str, waits: bool
) -> None:
    made, robot, now_ns = planner(miss, waits=waits), Controller(), 0
    for ticks, event, rate, rows, late_ns in changes:
        robot.run(now_ns, now_ns + ticks * TICK)
        now_ns += ticks * TICK
        chunk = ramp(now_ns - late_ns, robot.at(now_ns * 1e-9)[0], rate, rows) if event == "chunk" else None
        points = made.plan(now_ns, chunk, brake=event == "stop")
        if points is not None:
            robot.take(now_ns, points)
            assert (np.diff(points.times_ns, prepend=0) > 0).all()
            assert not points.velocities[-1].any()
    robot.run(now_ns, now_ns + 3_000_000_000)
    position, velocity, acceleration = np.abs(robot.samples).max(axis=0)
    assert velocity <= VELOCITY * (1 + 1e-6)
    assert acceleration <= ACCELERATION * (1 + 1e-5)
    assert position <= UPPER + ACCELERATION * (PERIOD * 1e-9) ** 2 / 16


def test_a_motion_within_the_limits_is_followed_on_time() -> None:
    made, robot = planner(), Controller()
    rows = 60
    times = np.arange(rows) * PERIOD * 1e-9
    chunk = Chunk(0, 0, PERIOD, 0.3 * (1.0 - np.cos(3.0 * times))[:, None])
    points = made.plan(0, chunk, brake=False)
    assert points is not None
    robot.take(0, points)
    for time_s in np.linspace(0.1, 1.1, 50):
        truth = 0.3 * (1.0 - np.cos(3.0 * time_s))
        assert robot.at(float(time_s))[0] == pytest.approx(truth, abs=5e-4)


def test_nothing_to_do_is_nothing_to_send() -> None:
    made = planner()
    assert made.plan(0, None, brake=True) is None
    assert made.plan(0, None, brake=False) is None
    assert made.plan(10**9, ramp(0, 0.0, 1.0, 3), brake=False) is None


def test_time_may_go_back_with_a_robot_that_stands() -> None:
    made = planner()
    assert made.plan(10**12, ramp(10**12, 0.0, 1.0, 9), brake=False) is not None
    made.stand_at(np.array([0.5]))
    points = made.plan(10**6, ramp(10**6, 0.5, 1.0, 9), brake=False)
    assert points is not None
    assert points.positions[0, 0] == pytest.approx(0.5, abs=0.02)


def test_a_stop_brakes_as_hard_as_the_limits_allow() -> None:
    made = planner()
    assert made.plan(0, ramp(0, 0.0, 2.0, 40), brake=False) is not None
    points = made.plan(300_000_000, None, brake=True)
    assert points is not None
    # 2 rad/s at 20 rad/s^2, and one step for what is less than a step.
    assert points.times_ns[-1] <= 120_000_000 + PERIOD
    assert points.positions[-1, 0] == pytest.approx(0.64 + 2.0**2 / 2 / ACCELERATION, abs=0.03)


@pytest.mark.parametrize("miss", MISS_POLICIES)
def test_a_plan_that_runs_out_ends_as_the_miss_policy_says(miss: str) -> None:
    points = planner(miss).plan(0, ramp(0, 0.0, 1.0, 20), brake=False)
    assert points is not None
    far = points.positions[-1, 0] - 0.4
    # To a stand: at the limit, v tau, or as far as the deadline and then v tau.
    assert far == pytest.approx({"hold": 0.02, "decay": 0.08, "continue": 0.14}[miss], abs=0.025)


def test_a_motion_that_waits_ends_at_its_last_row() -> None:
    points = planner(waits=True).plan(0, ramp(0, 0.0, 0.5, 20), brake=False)
    assert points is not None
    assert points.positions[-1, 0] == pytest.approx(0.2, abs=0.02)


def test_long_periods_are_cut_into_steps() -> None:
    policy = MissPolicy("hold", deadline_ns=0, decay_ns=1)
    made = TrajectoryPlanner(Limiter(LIMITS, 1), policy, period_ns=320_000_000, waits=False)
    points = made.plan(0, Chunk(0, 0, 320_000_000, np.array([[0.0], [0.2], [0.4]])), brake=False)
    assert points is not None
    assert set(np.diff(points.times_ns)) == {320_000_000 // 7}


def test_a_controller_that_hears_late_bends_a_little() -> None:
    """At most 10 * delay / step of the acceleration limit more."""
    made, robot = planner(), Controller()
    random = np.random.default_rng(1)

    def swaps() -> Iterator[tuple[int, float]]:
        for index in range(60):
            yield index * 130_000_000 + int(random.integers(13)) * TICK, random.uniform(-3.0, 3.0)

    former_ns = 0
    for now_ns, rate in swaps():
        robot.run(former_ns, now_ns + 1_000_000)
        former_ns = now_ns + 1_000_000
        points = made.plan(now_ns, ramp(now_ns, robot.at(now_ns * 1e-9)[0], rate, 30), brake=False)
        assert points is not None
        robot.take(now_ns, points, delay_ns=1_000_000)
    assert np.abs(robot.samples).max(axis=0)[2] <= ACCELERATION * (1 + 10 * 1_000_000 / PERIOD)
