# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.insertion import Slot
from lowlat_nodes.sim.interception import LINE_Y_M, Ball, CrossingLine
from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.sim.reaction import Light
from lowlat_nodes.sim.scene import Thing
from lowlat_nodes.train.expert import READY_M, ExpertConfig, aim, plan

CONFIG = ExpertConfig()
HORIZON = 60
NOWHERE = np.full((1, 3), np.nan)


def _plan(q: object, qd: object, goal: object) -> np.ndarray:
    return plan(
        np.array([q], dtype=np.float64), np.array([qd], dtype=np.float64), np.array(goal), HORIZON, CONFIG
    )[0]


def test_a_plan_ends_at_its_goal_and_stays() -> None:
    commands = _plan([0.5, 1.0, 0.5], [0.0, 0.0, 0.0], [[1.7, 0.4, 0.2]])
    assert commands[-10:] == pytest.approx(np.tile([1.7, 0.4, 0.2], (10, 1)), abs=2e-3)


def test_without_a_goal_an_arm_at_rest_is_told_to_stay() -> None:
    assert _plan([0.5, 1.0, 0.5], [0.0] * 3, NOWHERE) == pytest.approx(np.tile([0.5, 1.0, 0.5], (HORIZON, 1)))


def test_without_a_goal_a_moving_arm_brakes_at_the_limit() -> None:
    commands = _plan([0.5, 1.0, 0.5], [3.0, 0.0, 0.0], NOWHERE)
    stop = 0.5 + 3.0**2 / (2 * CONFIG.acceleration_rad_s2[0])
    assert commands[-1, 0] == pytest.approx(stop, abs=0.02)
    assert commands[:, 1:] == pytest.approx(np.tile([1.0, 0.5], (HORIZON, 1)))


def test_plans_of_a_batch_do_not_mix() -> None:
    random = np.random.default_rng(0)
    q, qd, goal = random.normal(size=(3, 5, 3))
    goal[2] = np.nan
    together = plan(q, qd, goal, HORIZON, CONFIG)
    alone = [plan(q[i : i + 1], qd[i : i + 1], goal[i : i + 1], HORIZON, CONFIG)[0] for i in range(5)]
    assert np.array_equal(together, np.array(alone))


@pytest.mark.parametrize(
    ("things", "place"),
    [
        ([Light(0, "red", True, 0.3, 0.4, 0, 1), Light(1, "blue", False, -0.3, 0.4, 0, 1)], (0.3, 0.4)),
        ([CrossingLine()], READY_M),
        ([CrossingLine(), Ball(0.1, LINE_Y_M + 0.2, 0.25, -0.5)], (0.2, LINE_Y_M)),
        ([Slot(-0.2, 0.45, 1.0, 0.03, 0.012)], (-0.2, 0.45)),
    ],
)
def test_it_aims_at_what_the_task_is_about(things: list[Thing], place: tuple[float, float]) -> None:
    assert forward(aim(things))[-1] == pytest.approx(place, abs=1e-6)


@pytest.mark.parametrize("things", [[], [Light(0, "blue", False, 0.3, 0.4, 0, 1)]])
def test_it_stays_when_there_is_nothing_to_aim_at(things: list[Thing]) -> None:
    assert np.isnan(aim(things)).all()


@pytest.mark.sim
def test_the_lagging_arm_follows_a_plan_open_loop_without_overshoot() -> None:
    pytest.importorskip("mujoco")
    arm = ArmSim()
    goal = np.array([arm.q[0] + 1.2, 0.5, 0.25])
    start, furthest = arm.q, -np.inf
    for command in _plan(start, [0.0] * 3, [goal]):
        arm.step(command, CONFIG.action_dt_ns)
        furthest = max(furthest, arm.q[0])
    assert arm.q == pytest.approx(goal, abs=5e-3)
    assert furthest < goal[0] + 0.05
    # It gets there in time for the game: an arm at half the speed would not.
    arm.reset(start)
    for command in _plan(start, [0.0] * 3, [goal])[:25]:
        arm.step(command, CONFIG.action_dt_ns)
    assert arm.q == pytest.approx(goal, abs=0.1)
