# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.reaction import (
    EventKind,
    Light,
    ReactionTask,
    Schedule,
    ScheduleConfig,
    targets_within,
)
from lowlat_nodes.stream.errors import ConfigurationError

MS = 1_000_000
FAR = (0.0, 0.2)


def _task(*lights: Light) -> ReactionTask:
    return ReactionTask(Schedule("touch the red light", lights, 10_000 * MS), touch_radius_m=0.04)


def _light(number: int = 0, *, asked: bool = True, x_m: float = 0.3, onset_ms: int = 100) -> Light:
    return Light(number, "red" if asked else "blue", asked, x_m, 0.4, onset_ms * MS, 500 * MS)


def test_a_seed_names_a_schedule() -> None:
    config = ScheduleConfig(targets=50)
    assert Schedule.generate(config, seed=4) == Schedule.generate(config, seed=4)
    assert Schedule.generate(config, seed=4) != Schedule.generate(config, seed=5)


@pytest.mark.parametrize("seconds", [1.0, 3.4, 20.0, 120.0])
@pytest.mark.parametrize("seed", [0, 1, 7])
def test_a_time_has_as_many_targets_as_are_over_in_it(seconds: float, seed: int) -> None:
    config = ScheduleConfig()
    number = targets_within(seconds, config, seed=seed)

    def ends_s(targets: int) -> float:
        return Schedule.generate(replace(config, targets=targets), seed=seed).duration_ns * 1e-9

    assert ends_s(number + 1) > seconds
    assert number == 0 or ends_s(number) <= seconds


def test_a_schedule_keeps_its_promises() -> None:
    config = ScheduleConfig(targets=200)
    schedule = Schedule.generate(config, seed=0)
    targets = schedule.targets
    assert len(targets) == 200
    assert schedule.task == "touch the red light"
    assert [light.onset_ns for light in schedule.lights] == sorted(
        light.onset_ns for light in schedule.lights
    )
    assert len({light.id for light in schedule.lights}) == len(schedule.lights)
    for one, following in itertools.pairwise(targets):
        gap_ns = following.onset_ns - one.onset_ns - one.window_ns
        assert config.gap_ns[0] <= gap_ns <= config.gap_ns[1]
        assert np.hypot(following.x_m - one.x_m, following.y_m - one.y_m) >= config.min_jump_m
    inverse([(light.x_m, light.y_m) for light in schedule.lights])  # raises for a place out of reach
    decoys = [light for light in schedule.lights if not light.asked]
    assert 0.2 < len(decoys) / 200 < 0.5
    assert all(light.colour != "red" for light in decoys)
    assert all(light.onset_ns + light.window_ns <= schedule.duration_ns for light in targets)


def test_onsets_have_no_favourite_phase() -> None:
    onsets = np.array([light.onset_ns for light in Schedule.generate(ScheduleConfig(), seed=2).targets])
    for period_ns in (20 * MS, 33_333_333, 150 * MS):
        angle = 2 * np.pi * (onsets % period_ns) / period_ns
        assert np.hypot(np.cos(angle).mean(), np.sin(angle).mean()) < 0.25


def test_a_touch_within_the_window_is_a_hit_and_puts_the_light_out() -> None:
    task = _task(_light())
    assert task.advance(99 * MS, FAR) == []
    assert [event.kind for event in task.advance(100 * MS, FAR)] == [EventKind.ON]
    assert [light.id for light in task.things] == [0]
    (event,) = task.advance(300 * MS, (0.3, 0.37))
    assert (event.kind, event.time_ns, event.light.id) == (EventKind.HIT, 300 * MS, 0)
    assert not task.things
    assert task.finished
    assert (task.hits, task.misses, task.hit_rate) == (1, 0, 1.0)


def test_a_touch_at_the_end_of_the_window_counts_and_one_after_it_does_not() -> None:
    for touch_ms, kind in ((600, EventKind.HIT), (601, EventKind.MISS)):
        task = _task(_light())
        task.advance(100 * MS, FAR)
        (event,) = task.advance(touch_ms * MS, (0.3, 0.4))
        assert event.kind is kind


def test_a_light_that_nobody_touches_is_missed_once() -> None:
    task = _task(_light())
    kinds = [event.kind for ms in range(0, 2000, 10) for event in task.advance(ms * MS, FAR)]
    assert kinds == [EventKind.ON, EventKind.MISS]
    assert task.hit_rate == 0.0


def test_a_fingertip_that_crosses_a_light_between_two_steps_touches_it() -> None:
    task = _task(_light())
    task.advance(100 * MS, (0.2, 0.4))
    assert [event.kind for event in task.advance(110 * MS, (0.4, 0.4))] == [EventKind.HIT]


def test_a_fingertip_already_there_hits_with_the_first_step_after_the_onset() -> None:
    task = _task(_light())
    assert [event.kind for event in task.advance(100 * MS, (0.3, 0.4))] == [EventKind.ON]
    assert [event.kind for event in task.advance(105 * MS, (0.3, 0.4))] == [EventKind.HIT]


def test_a_decoy_is_reported_once_burns_on_and_never_scores() -> None:
    task = _task(_light(asked=False))
    task.advance(100 * MS, FAR)
    assert [event.kind for event in task.advance(200 * MS, (0.3, 0.4))] == [EventKind.WRONG]
    assert [light.id for light in task.things] == [0]
    assert task.advance(210 * MS, (0.3, 0.4)) == []
    assert [event.kind for event in task.advance(700 * MS, FAR)] == [EventKind.OFF]
    assert (task.hits, task.misses) == (0, 0)


def test_lights_are_judged_on_their_own() -> None:
    task = _task(_light(0, x_m=0.3), _light(1, x_m=-0.3, onset_ms=200))
    task.advance(200 * MS, FAR)
    assert [light.id for light in task.things] == [0, 1]
    assert [event.light.id for event in task.advance(250 * MS, (-0.3, 0.4))] == [1]
    assert [light.id for light in task.things] == [0]


def test_trials_tell_how_long_a_touch_took() -> None:
    task = _task(_light(), _light(1, x_m=-0.3, onset_ms=700))
    for ms, tip in ((100, FAR), (350, (0.3, 0.4)), (700, FAR), (1201, FAR)):
        task.advance(ms * MS, tip)
    assert [(trial.id, trial.completion_ns, trial.success) for trial in task.trials] == [
        (0, 250 * MS, True),
        (1, None, False),
    ]


def test_a_calm_fork_is_spared_the_next_target_and_nothing_else() -> None:
    task = _task(_light(), _light(1, asked=False, onset_ms=300), _light(2, onset_ms=700))
    task.advance(100 * MS, FAR)
    assert task.surprise_ns == 700 * MS
    calm = task.fork(calm=True)
    twin = task.fork(calm=False)
    for each, lit in ((calm, [1]), (twin, [1, 2]), (task, [1, 2])):
        each.advance(601 * MS, FAR)
        each.advance(700 * MS, FAR)
        assert [light.id for light in each.things] == lit
    assert calm.surprise_ns is None
    assert calm.misses == 1


@pytest.mark.parametrize(
    "wrong",
    [{"colour": "mauve"}, {"targets": 0}, {"window_ns": 0}, {"gap_ns": (5, 1)}, {"decoy_share": 1.5}],
)
def test_senseless_schedules_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        ScheduleConfig(**wrong)  # type: ignore[arg-type]
