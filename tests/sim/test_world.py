# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The simulated world between its sensors and its commands, in steps."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("mujoco")

from lowlat_nodes.sim.arm import HOME_RAD, ArmSim
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.reaction import ReactionTask, Schedule, ScheduleConfig
from lowlat_nodes.sim.task import Record
from lowlat_nodes.sim.world import World

pytestmark = pytest.mark.sim

MS = 1_000_000
STEP_NS = 5 * MS
EPOCH_NS = 1_790_000_000 * 1000 * MS


@pytest.fixture
def world() -> World:
    return World(ArmSim(seed=0))


def run(world: World, steps: int, *, start: int = 0, aim: bool = False) -> list[Record]:
    """Advance and return the events; `aim` sends the arm to each target as it lights up."""
    found: list[Record] = []
    for step in range(start, start + steps):
        _, records = world.advance(STEP_NS, EPOCH_NS + (step + 1) * STEP_NS)
        found += records
        if aim:
            for record in records:
                if record["event"] == "on" and record["asked"]:
                    world.command(inverse((record["x"], record["y"])))
    return found


def test_without_commands_the_arm_stays_at_home(world: World) -> None:
    run(world, 100)

    assert world.q == pytest.approx(HOME_RAD, abs=1e-3)


def test_the_newest_command_holds(world: World) -> None:
    goal = np.array(HOME_RAD) + 0.3
    world.command(np.array(HOME_RAD) - 0.3)
    world.command(goal)
    run(world, 400)

    assert world.q == pytest.approx(goal, abs=0.01)


def test_a_command_acts_from_the_next_step_on(world: World) -> None:
    world.advance(STEP_NS, 0)
    before = world.q
    world.command(np.array(HOME_RAD) + 0.5)
    world.advance(STEP_NS, 0)
    assert world.q == pytest.approx(before, abs=1e-9)

    world.advance(STEP_NS, 0)
    assert np.abs(world.q - before).max() > 1e-6


@pytest.mark.parametrize("wrong", [np.zeros(2), np.zeros((1, 3)), np.array([0.0, np.nan, 0.0])])
def test_commands_that_are_none_are_refused_and_change_nothing(world: World, wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="expected 3 finite joint targets"):
        world.command(wrong)
    run(world, 50)

    assert world.q == pytest.approx(HOME_RAD, abs=1e-3)


def test_a_schedule_is_told_from_start_to_end_with_stamps_of_its_steps(world: World) -> None:
    run(world, 20)
    schedule = Schedule.generate(ScheduleConfig(targets=4), seed=2)
    world.play(ReactionTask(schedule), seed=2)
    assert world.playing
    events = run(world, schedule.duration_ns // STEP_NS + 400, start=20, aim=True)

    assert not world.playing
    assert events[0] == {
        "event": "start",
        "task": "touch the red light",
        "targets": 4,
        "seed": 2,
        "stamp_ns": EPOCH_NS + 21 * STEP_NS,
    }
    assert events[-1]["event"] == "end"
    assert events[-1]["hits"] == 4
    lit = [event for event in events if event["event"] == "on"]
    for event, light in zip(lit, schedule.lights, strict=True):
        since_start_ns = event["stamp_ns"] - events[0]["stamp_ns"]
        assert light.onset_ns <= since_start_ns < light.onset_ns + STEP_NS
        assert (event["id"], event["x"], event["y"]) == (light.id, light.x_m, light.y_m)
    assert sum(event["event"] == "hit" for event in events) == 4


def test_lights_burn_only_while_a_schedule_plays(world: World) -> None:
    schedule = Schedule.generate(ScheduleConfig(targets=1, lead_in_ns=0, decoy_share=0.0), seed=0)
    world.play(ReactionTask(schedule), seed=0)
    run(world, 2)
    assert len(world.things) == 1

    events = run(world, 400, start=2)

    assert [event["event"] for event in events] == ["miss", "end"]
    assert not world.things


def test_a_second_schedule_follows_the_first(world: World) -> None:
    for seed in (0, 1):
        schedule = Schedule.generate(ScheduleConfig(targets=1, lead_in_ns=0), seed=seed)
        world.play(ReactionTask(schedule), seed=seed)
        events = run(world, schedule.duration_ns // STEP_NS + 400)
        assert events[0]["seed"] == seed
        assert events[-1]["event"] == "end"
