# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.reaction import EventKind, Light, ReactionTask, Schedule

pytest.importorskip("mujoco")
pytestmark = pytest.mark.sim
MS = 1_000_000
LIGHT = Light(0, "red", True, 0.3, 0.4, 100 * MS, 900 * MS)


@pytest.fixture
def environment() -> Environment:
    return Environment(ArmSim(seed=2), ReactionTask(Schedule("touch the red light", (LIGHT,), 1000 * MS)))


def _play(environment: Environment, until_ms: int) -> list[tuple[EventKind, int]]:
    happened: list[Any] = []
    while environment.now_ns < until_ms * MS:
        happened += environment.step(inverse((0.3, 0.4)), 5 * MS)
    return [(event.kind, event.time_ns) for event in happened]


def test_the_task_sees_the_fingertip(environment: Environment) -> None:
    assert environment.begin() == []
    lit, hit = _play(environment, 900)
    assert lit == (EventKind.ON, 100 * MS)
    assert hit[0] is EventKind.HIT
    assert environment.task.trials[0].completion_ns == hit[1] - 100 * MS


def test_a_frame_shows_the_moment(environment: Environment) -> None:
    _play(environment, 100)
    frame = environment.frame()
    assert frame.captured_ns == 100 * MS
    assert frame.things == (LIGHT,)
    assert np.array_equal(frame.q, environment.arm.q)


def test_a_fork_differs_only_in_what_it_is_spared(environment: Environment) -> None:
    _play(environment, 50)
    twin, calm = environment.fork(calm=False), environment.fork(calm=True)
    happened = _play(environment, 900)
    assert _play(twin, 900) == happened
    assert _play(calm, 900) == []
    assert np.array_equal(environment.arm.q, twin.arm.q)
    assert np.array_equal(environment.arm.q, calm.arm.q)
