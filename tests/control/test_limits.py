# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the targets, commands keep the limits; targets that keep them pass unchanged."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.limits import JointLimits, LimitCounts, Limiter
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

DT_S = 0.01
LIMITS = JointLimits(lower=(-1.0, -0.5), upper=(2.0, 0.5), velocity=(1.5, 0.7), acceleration=(8.0, 3.0))
LOWER, UPPER = np.array(LIMITS.lower), np.array(LIMITS.upper)
VELOCITY, ACCELERATION = np.array(LIMITS.velocity), np.array(LIMITS.acceleration)

targets = st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)), min_size=1, max_size=120)
held_targets = st.lists(st.tuples(st.floats(-3.0, 3.0), st.integers(1, 40)), min_size=1, max_size=8)
periods = st.lists(st.floats(0.001, 0.03), min_size=1, max_size=30)
pushes = st.lists(
    st.tuples(st.floats(-1.0, 1.0), st.floats(-1.0, 1.0), st.integers(1, 30)), min_size=1, max_size=20
)


def limiter(start: float = 0.0) -> Limiter:
    made = Limiter(LIMITS, 2)
    made.reset(np.full(2, start))
    return made


def follow(made: Limiter, rows: Floats, dt_s: float = DT_S) -> tuple[Floats, Floats]:
    commands = [made.limit(row, dt_s) for row in rows]
    return np.array([position for position, _ in commands]), np.array([velocity for _, velocity in commands])


def assert_kept(positions: Floats, velocities: Floats, dts: Floats | float, start: float = 0.0) -> None:
    before = np.vstack([np.full((1, 2), start), positions[:-1]])
    dt = np.broadcast_to(np.asarray(dts, dtype=float), len(positions))[:, None]
    assert (positions >= LOWER).all()
    assert (positions <= UPPER).all()
    np.testing.assert_allclose((positions - before) / dt, velocities, atol=1e-9)
    assert (np.abs(velocities) <= VELOCITY * (1 + 1e-6)).all()
    changes = np.diff(velocities, axis=0, prepend=np.zeros((1, 2)))
    assert (np.abs(changes) <= ACCELERATION * dt * (1 + 1e-6) + 1e-9).all()


@given(targets)
def test_any_targets_keep_the_limits(rows: list[tuple[float, float]]) -> None:
    assert_kept(*follow(limiter(), np.array(rows)), DT_S)


@given(held_targets)
def test_targets_that_hold_and_jump_keep_the_limits(holds: list[tuple[float, int]]) -> None:
    rows = np.repeat([[value, -value] for value, _ in holds], [count for _, count in holds], axis=0)
    assert_kept(*follow(limiter(), rows), DT_S)


@given(held_targets, periods)
def test_irregular_ticks_keep_the_limits(holds: list[tuple[float, int]], dts: list[float]) -> None:
    rows = np.repeat([[value, -value] for value, _ in holds], [count for _, count in holds], axis=0)
    dt = np.resize(dts, len(rows))
    made = limiter()
    commands = [made.limit(row, float(dt_s)) for row, dt_s in zip(rows, dt, strict=True)]
    assert_kept(np.array([c[0] for c in commands]), np.array([c[1] for c in commands]), dt)


@given(targets, st.floats(-0.5, 0.5))
def test_converges_to_a_constant_target_and_stays(rows: list[tuple[float, float]], goal: float) -> None:
    made = limiter()
    follow(made, np.array(rows))
    # Longest: brake, cross the whole range at the top speed, brake.
    ticks = math.ceil((3.0 / 1.5 + 1.0 / 0.7 + 4 * 1.5 / 3.0) / DT_S)
    positions, velocities = follow(made, np.full((ticks + 20, 2), goal))
    np.testing.assert_allclose(positions[-20:], goal, atol=1e-9)
    np.testing.assert_allclose(velocities[-19:], 0.0, atol=1e-6)


@given(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5))
def test_a_step_from_rest_neither_overshoots_nor_turns_back(start: float, goal: float) -> None:
    positions, _ = follow(limiter(start), np.full((400, 2), goal))
    path = np.vstack([np.full((1, 2), start), positions])
    forward = np.diff(path, axis=0) * math.copysign(1.0, goal - start)
    assert (forward >= -1e-12).all()
    np.testing.assert_allclose(positions[-1], goal, atol=1e-9)


def test_a_step_takes_the_shortest_time() -> None:
    made = limiter()
    positions, _ = follow(made, np.full((300, 2), [1.5, 0.4]))
    arrived = np.argmax(np.abs(positions - [1.5, 0.4]) < 1e-9, axis=0) * DT_S
    # Trapezoids in continuous time: d / v + v / a.
    np.testing.assert_allclose(arrived, [1.5 / 1.5 + 1.5 / 8.0, 0.4 / 0.7 + 0.7 / 3.0], atol=2.1 * DT_S)


def feasible(accelerations: list[tuple[float, float]]) -> Floats:
    """Return a trajectory from rest at 0 that keeps the limits: shares of the acceleration, integrated."""
    rows, position, velocity = [], np.zeros(2), np.zeros(2)
    for share in accelerations:
        wish = velocity + np.array(share) * ACCELERATION * DT_S
        # The speed that leaves room to stop, as a limiter must know it too.
        for end, sign in ((UPPER - position, 1.0), (position - LOWER, -1.0)):
            top = 2.0 * end / (DT_S + np.sqrt(DT_S**2 + 2.0 * end / ACCELERATION))
            top = np.minimum(top, VELOCITY)
            wish = np.where(sign * wish > top, sign * top, wish)
        velocity = np.clip(wish, velocity - ACCELERATION * DT_S, velocity + ACCELERATION * DT_S)
        position = position + velocity * DT_S
        rows.append(position)
    return np.array(rows)


@given(pushes)
def test_a_trajectory_within_the_limits_passes_unchanged(pieces: list[tuple[float, float, int]]) -> None:
    rows = feasible([(a, b) for a, b, count in pieces for _ in range(count)])
    positions, _ = follow(limiter(), rows)
    np.testing.assert_allclose(positions, rows, rtol=0.0, atol=1e-9)


def test_a_sine_is_followed_without_lag_and_without_a_count() -> None:
    made = limiter()
    time = np.arange(0.0, 6.0, DT_S)
    rows = 0.4 * np.sin(1.5 * time)[:, None] * [1.0, 1.0]
    rows -= rows[0]
    follow(made, rows[:200])
    made.counts = LimitCounts()
    positions, _ = follow(made, rows[200:])
    np.testing.assert_allclose(positions, rows[200:], rtol=0.0, atol=1e-9)
    assert made.counts == LimitCounts()


def test_a_moving_target_is_caught_up_and_met_moving() -> None:
    made = limiter()
    ramp = 0.3 + 0.5 * DT_S * np.arange(80)
    rows = np.stack([ramp, ramp], axis=1)
    positions, velocities = follow(made, rows)
    assert np.abs(positions[-20:, 0] - ramp[-20:]).max() < 1e-9
    np.testing.assert_allclose(velocities[-20:, 0], 0.5, atol=1e-6)
    assert (positions[:, 0] <= ramp + 1e-9).all()


def test_the_last_command_as_target_brakes_to_a_stand_without_turning_back() -> None:
    made = limiter()
    follow(made, np.full((40, 2), [2.0, 0.5]))
    speed = made.velocity
    assert (speed > 0.3).all()
    path = [made.position, *(made.limit(made.position, DT_S)[0] for _ in range(60))]
    steps = np.diff(path, axis=0)
    assert (steps >= 0.0).all()
    assert (made.velocity == 0.0).all()
    # v^2 / 2a, less what the first tick already sheds.
    assert (path[-1] - path[0] <= speed**2 / (2 * ACCELERATION) + 1e-9).all()


@pytest.mark.parametrize("bad", [[math.nan, 0.3], [math.inf, 0.3], [0.3, -math.inf], [1e300, 0.3], [0.3]])
def test_a_target_that_makes_no_sense_is_refused_and_braked_for(bad: list[float]) -> None:
    made, reference = limiter(), limiter()
    rows = np.cumsum(np.full((20, 2), 0.004), axis=0)
    follow(made, rows)
    follow(reference, rows)
    for _ in range(30):
        braked = reference.limit(reference.position, DT_S)
        np.testing.assert_array_equal(made.limit(np.array(bad), DT_S), braked)
    assert (made.velocity == 0.0).all()
    assert made.counts.refused == 30
    # And nothing of it stays behind.
    np.testing.assert_array_equal(made.limit(rows[-1], DT_S), reference.limit(rows[-1], DT_S))


@given(
    st.lists(
        st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.integers(1, 25)), min_size=1, max_size=8
    ),
    st.integers(0, 40),
    st.sampled_from([LIMITS, JointLimits(), JointLimits(velocity=(0.8,)), JointLimits(acceleration=(4.0,))]),
)
def test_many_rows_are_the_same_as_one_by_one(
    pieces: list[tuple[float, float, int]], before: int, limits: JointLimits
) -> None:
    speeds = np.repeat([[a, b] for a, b, _ in pieces], [count for *_, count in pieces], axis=0)
    rows = np.cumsum(np.cumsum(speeds, axis=0) * DT_S, axis=0)
    made = Limiter(limits, 2)
    follow(made, rows[:before])
    twin = made.copy()
    one_by_one = [made.limit(row, DT_S)[0] for row in rows[before:]]
    together = twin.limit_rows(rows[before:], DT_S)
    np.testing.assert_array_equal(together, np.reshape(one_by_one, (-1, 2)))
    np.testing.assert_array_equal(twin.velocity, made.velocity)
    np.testing.assert_array_equal(twin.limit(rows[0], DT_S), made.limit(rows[0], DT_S))


def test_a_copy_moves_on_its_own() -> None:
    made = limiter()
    twin = made.copy()
    twin.limit(np.array([5.0, 5.0]), DT_S)
    assert (made.position == 0.0).all()
    assert made.counts == LimitCounts()


def test_counts_say_which_limit_acted() -> None:
    made = Limiter(JointLimits(upper=(1.0,)), 1)
    made.limit(np.array([5.0]), DT_S)
    assert made.counts == LimitCounts(position=1)
    made = Limiter(JointLimits(velocity=(1.0,)), 1)
    made.limit(np.array([5.0]), DT_S)
    assert made.counts == LimitCounts(velocity=1)
    made = Limiter(JointLimits(acceleration=(1.0,)), 1)
    made.limit(np.array([5.0]), DT_S)
    assert made.counts == LimitCounts(acceleration=1)


def test_without_limits_targets_pass() -> None:
    made = Limiter(JointLimits(), 3)
    rows = np.random.default_rng(0).uniform(-5.0, 5.0, (50, 3))
    positions, _ = follow(made, rows)
    np.testing.assert_array_equal(positions, rows)
    assert made.counts == LimitCounts()


def test_a_joint_that_starts_outside_its_range_is_led_back_within_the_limits() -> None:
    made = limiter(0.8)
    positions, velocities = follow(made, np.full((200, 2), 0.8))
    assert (positions[:, 1] <= 0.8).all()
    assert (np.diff(positions[:, 1], prepend=0.8) <= 0.0).all()
    assert (np.abs(velocities[:, 1]) <= VELOCITY[1] + 1e-9).all()
    assert positions[-1, 1] == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose(positions[:, 0], 0.8)


def test_one_value_serves_all_joints() -> None:
    made = Limiter(build(JointLimits, {"velocity": [2.0], "lower": [-1.0, -2.0, -3.0]}), 3)
    positions, velocities = follow(made, np.full((1, 3), -9.0))
    np.testing.assert_allclose(velocities, -2.0)
    np.testing.assert_allclose(positions, -2.0 * DT_S)


@pytest.mark.parametrize(
    ("given_limits", "expected"),
    [
        ({"velocity": [0.0]}, "above 0"),
        ({"acceleration": [1.0, -2.0]}, "above 0"),
        ({"lower": [1.0], "upper": [0.0, 2.0]}, "lower below upper, got 1 and 0 for joint 0"),
        ({"lower": [0.0, 0.0], "upper": [1.0, 1.0, 1.0]}, "one value, or 3, got 2"),
        ({"velocty": [1.0]}, "did you mean 'velocity'"),
    ],
)
def test_limits_that_make_no_sense_are_refused(given_limits: dict[str, list[float]], expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        build(JointLimits, given_limits)


def test_nan_limits_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="NaN"):
        JointLimits(lower=(math.nan,))


def test_limits_for_another_number_of_joints_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"limits\.upper: expected one value, or 3, got 2"):
        Limiter(JointLimits(upper=(1.0, 2.0)), 3)
