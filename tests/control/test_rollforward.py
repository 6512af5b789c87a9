# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The four projections, on motions whose end is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator, save_actuators
from lowlat_nodes.control.rollforward import (
    ROLL_FORWARDS,
    LastAction,
    NoRollForward,
    RollForward,
    SumDeltas,
    make_roll_forward,
)
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.errors import ConfigurationError

STEP_NS = 20_000_000
STATE = RobotState(1_000, np.array([0.0, 1.0]), np.array([0.5, -0.5]))
PAST = np.array([[0.0, 0.9], [0.1, 1.2]])
COMMANDS = np.array([[0.2, 1.3], [0.4, 1.6], [0.5, 1.6]])


def every(tmp_path: Path) -> list[RollForward]:
    path = tmp_path / "actuator.yaml"
    second = JointActuator(lag_ms=60.0, velocity_lag_ms=5.0, dead_time_ms=10.0)
    save_actuators(path, ActuatorModel({"a": JointActuator(lag_ms=80.0), "b": second}))
    return [make_roll_forward(kind, joints=["a", "b"], model_file=str(path)) for kind in ROLL_FORWARDS]


def test_no_roll_forward_keeps_the_measurement() -> None:
    end = NoRollForward().project(STATE, PAST, COMMANDS, STEP_NS, STEP_NS)
    assert end.stamp_ns == 1_000 + 3 * STEP_NS
    np.testing.assert_array_equal(end.position, STATE.position)
    np.testing.assert_array_equal(end.velocity, STATE.velocity)


def test_last_action_is_the_last_target_moving_as_the_targets_do() -> None:
    end = LastAction().project(STATE, PAST, COMMANDS, STEP_NS, STEP_NS)
    assert end.stamp_ns == 1_000 + 3 * STEP_NS
    np.testing.assert_array_equal(end.position, [0.5, 1.6])
    np.testing.assert_allclose(end.velocity, [5.0, 0.0], atol=1e-9)


def test_sum_of_deltas_keeps_the_distance_between_robot_and_target() -> None:
    end = SumDeltas().project(STATE, PAST, COMMANDS, STEP_NS, STEP_NS)
    deltas = np.diff(np.concatenate([PAST[-1:], COMMANDS]), axis=0)
    np.testing.assert_allclose(end.position, STATE.position + deltas.sum(axis=0))
    np.testing.assert_allclose(end.position - COMMANDS[-1], STATE.position - PAST[-1])
    np.testing.assert_allclose(end.velocity, [5.0, 0.0], atol=1e-9)


def test_all_end_with_the_last_step_however_much_of_the_first_is_left(tmp_path: Path) -> None:
    for made in every(tmp_path):
        end = made.project(STATE, PAST, COMMANDS, STEP_NS, 3)
        assert end.stamp_ns == 1_000 + 3 + 2 * STEP_NS


def test_sum_of_deltas_counts_what_is_left_of_the_first_motion() -> None:
    robot = PAST[-1] + (COMMANDS[0] - PAST[-1]) * 0.75  # on its way, without lag
    state = RobotState(1_000, robot, np.zeros(2))
    end = SumDeltas().project(state, PAST, COMMANDS, STEP_NS, STEP_NS // 4)
    np.testing.assert_allclose(end.position, COMMANDS[-1])


@pytest.mark.parametrize("kind", [LastAction, SumDeltas])
def test_the_velocity_over_one_step_comes_from_the_command_before(kind: type[RollForward]) -> None:
    end = kind().project(STATE, PAST, COMMANDS[:1], STEP_NS, STEP_NS)
    np.testing.assert_allclose(end.velocity, (COMMANDS[0] - PAST[-1]) / 0.02)


def test_no_commands_leave_the_state(tmp_path: Path) -> None:
    for made in every(tmp_path):
        end = made.project(STATE, PAST, COMMANDS[:0], STEP_NS, STEP_NS)
        assert end.stamp_ns == STATE.stamp_ns
        np.testing.assert_array_equal(end.position, STATE.position)
        np.testing.assert_array_equal(end.velocity, STATE.velocity)


def test_all_agree_on_a_robot_that_rests_at_its_target(tmp_path: Path) -> None:
    state = RobotState(0, np.array([0.3, 0.4]), np.zeros(2))
    held = np.array([[0.3, 0.4]] * 5)
    for made in every(tmp_path):
        end = made.project(state, held, held, STEP_NS, STEP_NS)
        np.testing.assert_allclose(end.position, state.position, atol=1e-12)
        np.testing.assert_allclose(end.velocity, 0.0, atol=1e-12)


def test_results_share_no_memory_with_commands(tmp_path: Path) -> None:
    for made in every(tmp_path):
        commands = COMMANDS.copy()
        end = made.project(STATE, PAST, commands, STEP_NS, STEP_NS)
        before = end.position.copy()
        commands[:] = 99.0
        np.testing.assert_array_equal(end.position, before)


def test_unknown_kinds_and_a_missing_model_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected one of none, last_action, sum_deltas, actuator"):
        make_roll_forward("kalman")
    with pytest.raises(ConfigurationError, match=r"roll_forward\.model_file.*lowlat identify"):
        make_roll_forward("actuator", joints=["a"])
