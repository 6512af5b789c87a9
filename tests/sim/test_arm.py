# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.arm import ArmConfig, ArmSim
from lowlat_nodes.stream.errors import ConfigurationError

pytest.importorskip("mujoco")
pytestmark = pytest.mark.sim


def _wander(arm: ArmSim, steps: int = 50) -> np.ndarray:
    random = np.random.default_rng(3)
    states = []
    for _ in range(steps):
        arm.step(arm.q + random.normal(0.0, 0.2, 3), 20_000_000)
        reading = arm.read()
        states.append(np.concatenate([arm.q, arm.qd, reading.position, reading.velocity]))
    return np.array(states)


def test_same_seed_and_commands_give_the_same_bits() -> None:
    assert np.array_equal(_wander(ArmSim(seed=7)), _wander(ArmSim(seed=7)))


def test_the_seed_moves_the_readings_and_not_the_arm() -> None:
    one, other = _wander(ArmSim(seed=7)), _wander(ArmSim(seed=8))
    assert np.array_equal(one[:, :6], other[:, :6])
    assert not np.array_equal(one[:, 6:], other[:, 6:])


@pytest.mark.parametrize("joint", [0, 1, 2])
def test_a_servo_lags_by_its_time_constant(joint: int) -> None:
    arm = ArmSim()
    start = arm.q
    command = start.copy()
    command[joint] += 0.2
    while arm.q[joint] - start[joint] < 0.2 * (1.0 - np.exp(-1.0)):
        arm.step(command, 2_000_000)
    lag_ns = arm.config.lag_ns[joint]
    assert 0.95 * lag_ns <= arm.time_ns <= lag_ns + 15_000_000  # inertia comes on top of the lag
    arm.step(command, 1_000_000_000)
    assert arm.q == pytest.approx(command, abs=1e-3)


def test_speed_is_limited_by_the_drive() -> None:
    arm = ArmSim()
    top = np.zeros(3)
    for _ in range(150):
        arm.step(arm.q + np.array([2.0, 0.0, 0.0]), 2_000_000)
        top = np.maximum(top, np.abs(arm.qd))
    assert 0.8 * arm.config.speed_limit_rad_s[0] < top[0] <= 1.02 * arm.config.speed_limit_rad_s[0]


def test_an_arm_at_rest_stays_exactly_where_it_is_told_to() -> None:
    arm = ArmSim()
    start = arm.q
    arm.step(start, 2_000_000_000)
    assert arm.q == pytest.approx(start, abs=1e-9)


def test_time_that_is_no_multiple_of_the_physics_step_is_not_lost() -> None:
    fine, coarse = ArmSim(), ArmSim()
    command = fine.q + 0.1
    for _ in range(100):
        fine.step(command, 3_000_000)
    coarse.step(command, 300_000_000)
    assert fine.time_ns == coarse.time_ns == 300_000_000
    assert np.array_equal(fine.q, coarse.q)


def test_a_fork_goes_its_own_way() -> None:
    arm = ArmSim(seed=1)
    arm.step(arm.q + 0.2, 50_000_000)
    fork = arm.fork()
    before = arm.q
    fork.step(before + 0.5, 100_000_000)
    assert np.array_equal(arm.q, before)
    arm.step(before + 0.5, 100_000_000)
    assert np.array_equal(arm.q, fork.q)
    assert np.array_equal(arm.read().position, fork.read().position)


def test_a_push_moves_the_arm_until_it_ends() -> None:
    arm = ArmSim()
    start, place = arm.q, arm.tip
    arm.push((0.0, -20.0))
    arm.step(start, 200_000_000)
    fork = arm.fork()
    assert arm.tip[1] < place[1] - 0.01
    for each in (arm, fork):
        each.step(start, 20_000_000)
    assert np.array_equal(arm.q, fork.q)  # the fork is pushed as well
    arm.push((0.0, 0.0))
    arm.step(start, 1_000_000_000)
    assert arm.q == pytest.approx(start, abs=1e-3)


@pytest.mark.parametrize("command", [[0.0, 0.0], [0.0, np.nan, 0.0], [np.inf, 0.0, 0.0]])
def test_bad_commands_are_refused(command: list[float]) -> None:
    with pytest.raises(ValueError, match="3 finite joint targets"):
        ArmSim().step(command, 1_000_000)


def test_impossible_servos_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="lags longer than the physics step"):
        ArmConfig(lag_ns=(1_000_000, 70_000_000, 60_000_000))
