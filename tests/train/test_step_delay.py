# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from lowlat_nodes.control.limits import JointLimits
from lowlat_nodes.sim.insertion import InsertionConfig, InsertionTask, draw_insertions
from lowlat_nodes.sim.interception import FlightConfig, InterceptionTask, draw_flights
from lowlat_nodes.sim.task import Task
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.expert import BRISK
from lowlat_nodes.train.figures import Figures
from lowlat_nodes.train.sights import Sight, from_expert
from lowlat_nodes.train.step_delay import STEP_NS, Episode, Execution, play

pytest.importorskip("mujoco")
pytestmark = pytest.mark.sim
EXPERT = from_expert(BRISK)
STEP_MS = STEP_NS * 1e-6
FRAME_MS = 34.0


def _flights(count: int = 3, balls: int = 3) -> list[Task]:
    return [InterceptionTask(draw_flights(FlightConfig(balls=balls), seed=seed)) for seed in range(count)]


def _slots(count: int = 2) -> list[Task]:
    return [InsertionTask(draw_insertions(InsertionConfig(slots=2), seed=seed)) for seed in range(count)]


def _same(one: Figures, other: Figures) -> bool:
    return (
        one.trials == other.trials
        and np.array_equal(one.reaction_ns, other.reaction_ns, equal_nan=True)
        and np.array_equal(one.boundary_jump_rad, other.boundary_jump_rad)
        and (one.jerk_m_s3, one.held_steps, one.steps, one.inferences)
        == (other.jerk_m_s3, other.held_steps, other.steps, other.inferences)
    )


@pytest.mark.parametrize("strategy", ["sync", "naive_async", "vlash"])
def test_the_same_seeds_give_the_same_bits(strategy: str) -> None:
    how = Execution(strategy, "actuator", delay_steps=2, jitter_steps=2)
    assert _same(play(_slots(), EXPERT, how, seed=5), play(_slots(), EXPERT, how, seed=5))
    assert not _same(play(_slots(), EXPERT, how, seed=5), play(_slots(), EXPERT, how, seed=6))


def test_an_episode_does_not_notice_the_others() -> None:
    how = Execution("vlash", "last_action", delay_steps=4)
    together = play(_flights(), EXPERT, how)
    alone = [play([task], EXPERT, how, seed=seed) for seed, task in enumerate(_flights())]
    assert together.trials == tuple(trial for one in alone for trial in one.trials)
    assert np.array_equal(
        together.boundary_jump_rad, np.concatenate([one.boundary_jump_rad for one in alone])
    )
    assert sorted(together.reaction_ns) == sorted(np.concatenate([one.reaction_ns for one in alone]))


@pytest.mark.parametrize("delay", [0, 1, 4])
def test_without_delay_all_are_the_same_and_with_it_answers_are_that_late(delay: int) -> None:
    results = {}
    for strategy in ("sync", "naive_async", "vlash"):
        rows = max(1, delay) if strategy == "sync" else 0
        how = Execution(strategy, "perfect", delay_steps=delay, rows=rows)
        results[strategy] = play(_flights(1), EXPERT, how)
    if delay == 0:
        assert _same(results["sync"], results["naive_async"])
        assert _same(results["sync"], results["vlash"])
        assert results["sync"].held_steps == 0
    else:
        # In a cycle of sync, as many steps are played as waited for.
        assert results["sync"].held_steps == pytest.approx(results["sync"].steps / 2, abs=2 * delay)
        assert results["vlash"].held_steps == results["naive_async"].held_steps == 0
        assert results["vlash"].inferences == pytest.approx(results["vlash"].steps / delay, abs=2)


@pytest.mark.parametrize("delay", [0, 2, 8])
def test_reactions_of_back_to_back_inference_lie_between_one_delay_and_two(delay: int) -> None:
    figures = play(_flights(), EXPERT, Execution("naive_async", delay_steps=delay))
    assert len(figures.reaction_ns) == 9
    assert figures.reactions_missed == 0
    assert figures.reaction_ms(0.0) >= delay * STEP_MS
    assert figures.reaction_ms(1.0) <= max(1, 2 * delay) * STEP_MS + STEP_MS + FRAME_MS


def test_a_policy_that_never_looks_never_reacts() -> None:
    def stay(sights: Sequence[Sight]) -> np.ndarray:
        return np.array([np.repeat(sight.state[None, :3], 8, axis=0) for sight in sights])

    figures = play(_flights(1), stay, Execution("naive_async", delay_steps=2), differs_rad=1e-9)
    assert figures.reactions_missed == len(figures.reaction_ns) == 3
    assert figures.successes == 0


def test_a_perfect_roll_forward_hands_the_policy_the_state_of_the_switch() -> None:
    (task,) = _flights(1)
    episode = Episode(task, Execution("vlash", "perfect", delay_steps=4), seed=0)
    truth, expected = {}, {}
    for step in range(80):
        truth[step] = np.concatenate([episode.environment.arm.q, episode.environment.arm.qd])
        sight = episode.look()
        if sight is not None:
            expected[step + 4] = sight.state
            episode.answer(EXPERT([sight])[0])
        episode.command()
        episode.pass_step()
    switches = [step for step in sorted(expected)[2:] if step in truth]
    assert len(switches) > 15
    for step in switches:
        assert expected[step] == pytest.approx(truth[step], abs=1e-12)


def _act(episodes: Sequence[Episode]) -> list[np.ndarray]:
    for episode in episodes:
        sight = episode.look()
        if sight is not None:
            episode.answer(EXPERT([sight])[0])
    commands = [episode.command() for episode in episodes]
    for episode in episodes:
        episode.pass_step()
    return commands


def test_a_twin_is_the_same_until_the_surprise_and_leaves_the_episode_alone() -> None:
    watched, alone = (
        Episode(task, Execution("naive_async", delay_steps=2), seed=0) for task in _slots(1) * 2
    )
    surprise_ns = watched.environment.task.surprise_ns
    assert surprise_ns is not None
    first = surprise_ns // STEP_NS
    for _ in range(first - 10):
        assert np.array_equal(*_act([watched, alone]))
    twin = watched.calm_twin()
    for _ in range(11):
        assert np.array_equal(*_act([watched, twin]))
    apart = [not np.array_equal(*_act([watched, twin])) for _ in range(10)]
    assert not any(apart[:2])  # it takes a delay at least
    assert any(apart)
    for _ in range(21):
        _act([alone])
    assert np.array_equal(watched.commands, alone.commands)


def test_the_demonstrator_takes_an_impossible_state_for_the_nearest_possible_one() -> None:
    (task,) = _flights(1)
    episode = Episode(task, Execution("sync"), seed=0)
    _act([episode])
    seen = episode.look()
    assert seen is not None
    wild, nearest = (
        replace(seen, state=np.array(state))
        for state in ([9.0, 0.5, 0.5, 0.0, -1e300, 0.0], [3.4, 0.5, 0.5, 0.0, -8.0, 0.0])
    )
    assert np.array_equal(EXPERT([wild]), EXPERT([nearest]))


def test_limits_have_the_last_word() -> None:
    limits = JointLimits(velocity=(2.0,))
    (task,) = _flights(1)
    episode = Episode(task, Execution("naive_async", delay_steps=2, limits=limits), seed=0)
    commands = np.concatenate([_act([episode]) for _ in range(80)])
    assert np.abs(np.diff(commands, axis=0)).max() == pytest.approx(2.0 * STEP_NS * 1e-9)


@pytest.mark.parametrize("wrong", [{"roll_forward": "crystal_ball"}, {"delay_steps": -1}, {"rows": -1}])
def test_senseless_executions_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        Execution("vlash", **wrong)  # type: ignore[arg-type]
