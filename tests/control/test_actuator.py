# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The drive model against its differential equation, closed forms and itself; its file against mistakes."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator, load_actuators, save_actuators
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

STEP_NS = 20_000_000
MS = 1_000_000

drives = st.builds(
    JointActuator,
    lag_ms=st.floats(5.0, 300.0),
    velocity_lag_ms=st.just(0.0) | st.floats(0.1, 100.0),
    dead_time_ms=st.floats(0.0, 90.0),
    offset=st.floats(-0.2, 0.2),
)


def drive_of(
    lag_ms: float,
    velocity_lag_ms: float = 0.0,
    dead_time_ms: float = 0.0,
    offset: float = 0.0,
    velocity_limit: float = 0.0,
    acceleration_limit: float = 0.0,
) -> JointActuator:
    return JointActuator(
        lag_ms=lag_ms,
        velocity_lag_ms=velocity_lag_ms,
        dead_time_ms=dead_time_ms,
        offset=offset,
        velocity_limit=velocity_limit,
        acceleration_limit=acceleration_limit,
    )


def at(position: float, velocity: float = 0.0, stamp_ns: int = 0) -> RobotState:
    return RobotState(stamp_ns, np.array([position]), np.array([velocity]))


def column(*values: float) -> Floats:
    return np.array(values, dtype=float)[:, None]


def project(
    drive: JointActuator,
    state: RobotState,
    past: Floats,
    commands: Floats,
    step_ns: int = STEP_NS,
    first_ns: int | None = None,
) -> RobotState:
    return ActuatorModel({"joint": drive}).project(
        state, past, commands, step_ns, step_ns if first_ns is None else first_ns
    )


def integrate(
    drive: JointActuator, q: float, v: float, past: list[float], commands: list[float], dt_s: float = 1e-5
) -> tuple[float, float]:
    """Solve the differential equation of the drive in tiny steps."""
    lag, dead = drive.lag_ms * 1e-3, drive.dead_time_ms * 1e-3
    top, hardest = drive.velocity_limit or math.inf, drive.acceleration_limit or math.inf
    every = past + commands
    for tick in range(round(len(commands) * STEP_NS * 1e-9 / dt_s)):
        row = math.floor(((tick + 0.5) * dt_s - dead) / (STEP_NS * 1e-9)) + len(past)
        wanted = (every[max(row, 0)] + drive.offset - q) / lag
        wanted = min(max(wanted, -top), top)
        if drive.velocity_lag_ms:
            change = (wanted - v) / (drive.velocity_lag_ms * 1e-3) * dt_s
        else:
            change = wanted - v
        v += min(max(change, -hardest * dt_s), hardest * dt_s)
        q += v * dt_s
    return q, v


def test_a_step_of_a_first_order_drive() -> None:
    end = project(JointActuator(lag_ms=80.0), at(0.0), column(0.0), column(*[1.0] * 4))
    assert end.stamp_ns == 80 * MS
    assert end.position[0] == pytest.approx(1 - math.exp(-1), abs=1e-12)
    assert end.velocity[0] == pytest.approx(math.exp(-1) / 0.08, abs=1e-12)


@pytest.mark.parametrize("damping", [0.3, 0.7, 1.0, 1.0 + 1e-9, 2.5, 40.0])
def test_a_step_of_a_second_order_drive(damping: float) -> None:
    w = 20.0
    drive = JointActuator(lag_ms=2e3 * damping / w, velocity_lag_ms=1e3 / (2 * damping * w))
    assert drive.natural_frequency_rad_s == pytest.approx(w)
    assert drive.damping_ratio == pytest.approx(damping)
    end = project(drive, at(0.0), column(0.0), column(*[1.0] * 5))
    t, root = 0.1, abs(damping**2 - 1)
    if root < 1e-6:
        rest = math.exp(-w * t) * (1 + w * t)
    else:
        wd = w * math.sqrt(root)
        cosine, sine = (math.cos, math.sin) if damping < 1 else (math.cosh, math.sinh)
        rest = math.exp(-damping * w * t) * (cosine(wd * t) + damping * w / wd * sine(wd * t))
    assert end.position[0] == pytest.approx(1 - rest, abs=1e-9)


def test_a_ramp_is_followed_at_the_distance_of_lag_and_dead_time() -> None:
    speed = 0.5
    drive = JointActuator(lag_ms=60.0, velocity_lag_ms=11.0, dead_time_ms=27.0)
    ramp = column(*(speed * 0.02 * np.arange(200)))
    end = project(drive, at(0.0), column(0.0), ramp)
    # Held commands are half a step old on the average.
    assert end.velocity[0] == pytest.approx(speed, rel=0.02)
    assert end.position[0] == pytest.approx(speed * (4.0 - 0.060 - 0.027 - 0.010), abs=0.5 * speed * 0.01)


def test_it_comes_to_rest_beside_its_command_by_the_offset() -> None:
    drive = JointActuator(lag_ms=50.0, velocity_lag_ms=5.0, offset=-0.03, velocity_limit=3.0)
    end = project(drive, at(0.0), column(0.0), column(*[0.4] * 100))
    assert end.position[0] == pytest.approx(0.37, abs=1e-9)
    assert end.velocity[0] == pytest.approx(0.0, abs=1e-9)


@given(drives, st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=12), st.integers(0, 12))
def test_two_projections_in_a_row_are_one(drive: JointActuator, commands: list[float], split: int) -> None:
    past, rows = column(0.3, -0.2, 0.1, 0.5, 0.2, -0.4), column(*commands)
    split = min(split, len(rows))
    whole = project(drive, at(0.1, 0.4), past, rows)
    half = project(drive, at(0.1, 0.4), past, rows[:split])
    rest = project(drive, half, np.concatenate([past, rows[:split]]), rows[split:])
    assert rest.stamp_ns == whole.stamp_ns
    np.testing.assert_allclose(rest.position, whole.position, atol=1e-9)
    np.testing.assert_allclose(rest.velocity, whole.velocity, atol=1e-7)


@given(drives, st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=8), st.sampled_from([2, 4, 5, 10]))
def test_without_limits_the_length_of_steps_does_not_matter(
    drive: JointActuator, commands: list[float], pieces: int
) -> None:
    past, rows = column(0.3, -0.2, 0.1, 0.5, 0.2, -0.4), column(*commands)
    coarse = project(drive, at(0.1, 0.4), past, rows)
    fine = project(
        drive, at(0.1, 0.4), past.repeat(pieces, axis=0), rows.repeat(pieces, axis=0), STEP_NS // pieces
    )
    np.testing.assert_allclose(fine.position, coarse.position, atol=1e-9)
    np.testing.assert_allclose(fine.velocity, coarse.velocity, atol=1e-7)


@given(drives, st.lists(st.floats(-1.0, 1.0), min_size=1, max_size=8), st.integers(1, 9))
def test_a_state_within_a_step_is_rolled_over_the_rest_of_it(
    drive: JointActuator, commands: list[float], begun: int
) -> None:
    past, rows = column(0.3, -0.2, 0.1, 0.5, 0.2, -0.4), column(*commands)
    fine = rows.repeat(10, axis=0)
    before = np.concatenate([past.repeat(10, axis=0), fine[:begun]])
    tenth_ns = STEP_NS // 10
    end = project(drive, at(0.1, 0.4), past, rows, first_ns=STEP_NS - begun * tenth_ns)
    truth = project(drive, at(0.1, 0.4), before, fine[begun:], tenth_ns)
    assert end.stamp_ns == truth.stamp_ns
    np.testing.assert_allclose(end.position, truth.position, atol=1e-9)
    np.testing.assert_allclose(end.velocity, truth.velocity, atol=1e-7)


@pytest.mark.parametrize("velocity_lag_ms", [0.0, 12.0])
@pytest.mark.parametrize("dead_time_ms", [0.0, 13.0, 47.0])
@pytest.mark.parametrize("limits", [(0.0, 0.0), (1.5, 0.0), (0.0, 12.0), (1.5, 12.0)])
def test_it_solves_its_differential_equation(
    velocity_lag_ms: float, dead_time_ms: float, limits: tuple[float, float]
) -> None:
    drive = drive_of(70.0, velocity_lag_ms, dead_time_ms, 0.02, *limits)
    past = [0.0, 0.05, 0.1, 0.1]
    random = np.random.default_rng(3)
    commands = np.repeat(random.uniform(-0.4, 0.4, 5), 4).tolist()
    q, v = integrate(drive, 0.1, -0.2, past, commands)
    end = project(drive, at(0.1, -0.2), column(*past), column(*commands))
    loose = any(limits)
    # Of commands up to 0.8 apart: 2 % where limits bind, else what the tiny steps leave.
    assert end.position[0] == pytest.approx(q, abs=16e-3 if loose else 3e-4)
    assert end.velocity[0] == pytest.approx(v, abs=0.1 if loose else 5e-3)


@pytest.mark.parametrize("velocity_lag_ms", [0.0, 10.0])
def test_a_far_command_is_approached_at_the_top_speed(velocity_lag_ms: float) -> None:
    drive = drive_of(80.0, velocity_lag_ms, velocity_limit=2.0)
    early = project(drive, at(0.0), column(0.0), column(*[9.0] * 10))
    late = project(drive, at(0.0), column(0.0), column(*[9.0] * 60))
    assert (late.position[0] - early.position[0]) / 1.0 == pytest.approx(2.0, rel=1e-6)
    assert late.velocity[0] == pytest.approx(2.0, rel=0.08)


def test_the_top_acceleration_is_kept() -> None:
    drive = drive_of(40.0, 5.0, acceleration_limit=6.0)
    end = project(drive, at(0.0), column(0.0), column(*[3.0] * 10))
    assert end.velocity[0] == pytest.approx(6.0 * 0.2, rel=1e-9)
    assert end.position[0] == pytest.approx(0.5 * 6.0 * 0.2**2, rel=1e-9)


def test_what_is_under_way_in_the_dead_time_still_acts() -> None:
    drive = JointActuator(lag_ms=50.0, dead_time_ms=40.0)
    waiting = project(drive, at(0.0), column(0.0, 1.0, 1.0), column(0.0, 0.0))
    assert waiting.position[0] == pytest.approx(1 - math.exp(-0.8), abs=1e-12)
    # Nothing older is known than the first row.
    short = project(drive, at(0.0), column(1.0), column(0.0, 0.0))
    assert short.position[0] == pytest.approx(1 - math.exp(-0.8), abs=1e-12)


def test_no_commands_leave_the_state() -> None:
    end = project(drive_of(50.0), at(0.4, 0.2, stamp_ns=7), column(1.0), np.empty((0, 1)))
    assert (end.stamp_ns, end.position[0], end.velocity[0]) == (7, 0.4, 0.2)


def test_joints_are_independent_and_ordered() -> None:
    fast, slow = drive_of(20.0), drive_of(200.0, 10.0, 30.0, 0.1, 1.0)
    both = ActuatorModel({"slow": slow, "fast": fast})
    state = RobotState(0, np.array([0.1, 0.2]), np.array([0.0, 0.5]))
    past, commands = np.zeros((4, 2)), np.random.default_rng(0).normal(size=(9, 2))
    end = both.project(state, past, commands, STEP_NS, STEP_NS)
    for index, drive in enumerate((slow, fast)):
        one = project(
            drive,
            at(state.position[index], state.velocity[index]),
            past[:, [index]],
            commands[:, [index]],
        )
        assert end.position[index] == one.position[0]
        assert end.velocity[index] == one.velocity[0]


def test_another_step_length_is_another_plan() -> None:
    model = ActuatorModel({"joint": drive_of(50.0, 4.0, 33.0)})
    reused = [model.project(at(0.0), column(0.0), column(1.0, 1.0), ns * MS, ns * MS) for ns in (20, 30, 20)]
    for end, ns in zip(reused, (20, 30, 20), strict=True):
        fresh = ActuatorModel(model.joints).project(at(0.0), column(0.0), column(1.0, 1.0), ns * MS, ns * MS)
        np.testing.assert_array_equal(end.position, fresh.position)


def test_a_file_is_read_as_written(tmp_path: Path) -> None:
    model = ActuatorModel({"a": drive_of(81.25, 3.5, 12.0, -0.01, 7.0, 30.0), "b": drive_of(60.0)})
    path = tmp_path / "actuator.yaml"
    save_actuators(path, model)
    assert load_actuators(path, ["a", "b"]).joints == model.joints
    # In the order asked for, and other joints do not matter.
    assert list(load_actuators(path, ["b", "a"]).joints) == ["b", "a"]
    assert load_actuators(path, ["b"]).joints == {"b": drive_of(60.0)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("joints: {elbow: {lag_ms: 80}, wrist: {lag_ms: 1}}", "'elbo'; did you mean 'elbow'"),
        ("joints: {shoulder: {lag_ms: 80}}", "'elbo'; it has: shoulder"),
        ("joints: {elbo: {lag: 80}}", "'elbo': there is no parameter 'lag'; did you mean 'lag_ms'"),
        ("joints: {elbo: {offset: 0.0}}", "'lag_ms' must be given"),
        ("joints: {elbo: {lag_ms: -1}}", "from 0.1 to 60000 ms, got -1"),
        ("joints: {elbo: {lag_ms: .nan}}", "got nan"),
        ("joints: {elbo: {lag_ms: '80'}}", "names to numbers"),
        ("joints: {elbo: {lag_ms: {a: 1}}}", "names to numbers"),
        ("joints: {elbo: &a {lag_ms: *a}}", "names to numbers"),
        ("joints: {elbo: [80]}", "names to numbers"),
        ("joints: [elbo]", "expected a mapping 'joints'"),
        ("- 1", "expected a mapping 'joints'"),
        ("", "expected a mapping 'joints'"),
        ("joints: {", "actuator model .*actuator.yaml"),
        ("joints: !!python/object/apply:os.getcwd []", "actuator model .*actuator.yaml"),
        ("joints: {elbo: {lag_ms: 60.0}}\n" + "#" * (1 << 20), "expected at most 1048576 bytes"),
    ],
)
def test_a_file_with_a_mistake_is_refused(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "actuator.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=expected) as raised:
        load_actuators(path, ["elbo"])
    assert str(path) in str(raised.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load_actuators(tmp_path / "nowhere.yaml", ["a"])


@pytest.mark.parametrize("values", [None, 3, "joints", {"joints": None}])
def test_plain_data_of_another_kind_is_refused(values: Any) -> None:
    with pytest.raises(ConfigurationError, match="expected a mapping"):
        ActuatorModel.from_mapping(values, ["a"])
