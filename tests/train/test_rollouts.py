# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.interception import LINE_Y_M
from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.sim.reaction import COLOURS
from lowlat_nodes.train.labels import label_chunks
from lowlat_nodes.train.rollouts import COMMANDS_BEFORE, Demonstrations, collect
from lowlat_nodes.train.scenarios import HOLD_PHRASES, REACTION_PHRASES, SCENARIOS

pytest.importorskip("mujoco")
pytest.importorskip("cv2")
pytestmark = pytest.mark.sim
SEED = 7  # one with an episode in which nothing is asked for
EXPERTS = [scenario.expert for scenario in SCENARIOS.values()]


@pytest.fixture(scope="module")
def parts() -> dict[str, Demonstrations]:
    return {task: collect(task, 300, seed=SEED, max_offset=10) for task in SCENARIOS}


@pytest.fixture(scope="module")
def data(parts: dict[str, Demonstrations]) -> Demonstrations:
    return Demonstrations.concatenate(list(parts.values()))


def test_the_seed_decides_everything(parts: dict[str, Demonstrations]) -> None:
    again = collect("insertion", 60, seed=SEED, max_offset=10)
    for field in fields(again):
        first = getattr(parts["insertion"], field.name)[:60]
        assert np.array_equal(getattr(again, field.name), first, equal_nan=field.name == "goal")


def test_shapes(data: Demonstrations) -> None:
    assert data.images.shape == (900, 60, 80, 3)
    assert data.states.shape == (900, 11, 6)
    assert data.commands.shape == (900, 12, 3)
    assert data.tokens.shape == (900, 12)
    assert data.max_offset == 10
    assert np.isfinite(data.states).all()
    assert np.isfinite(data.commands).all()


def test_images_are_in_the_order_of_their_episodes(data: Demonstrations) -> None:
    assert (np.diff(data.episode) >= 0).all()
    assert (np.diff(data.tick)[np.diff(data.episode) == 0] > 0).all()
    assert data.tick.min() >= 2
    assert len(set(zip(data.episode, data.task, strict=True))) == len(set(data.episode))


@pytest.mark.parametrize(("task", "least", "most"), [("reaction", 0.2, 0.8), ("insertion", 0.1, 0.6)])
def test_there_are_samples_with_and_without_a_goal(
    parts: dict[str, Demonstrations], task: str, least: float, most: float
) -> None:
    without = np.isnan(parts[task].goal).all(axis=1)
    assert least < without.mean() < most
    assert np.isfinite(parts[task].goal[~without]).all()


def test_a_ball_is_met_on_the_line(parts: dict[str, Demonstrations]) -> None:
    goal = parts["interception"].goal
    places = forward(goal[np.isfinite(goal[:, 0])])[:, -1]
    assert places[:, 1] == pytest.approx(LINE_Y_M, abs=1e-3)
    assert np.ptp(places[:, 0]) > 0.3


def test_a_task_that_asks_for_nothing_has_no_goal(data: Demonstrations) -> None:
    holds = np.array([tokenize(phrase) for phrase in HOLD_PHRASES])
    held = (data.tokens[:, None] == holds).all(axis=2).any(axis=1)
    assert held.any()
    assert np.isnan(data.goal[held]).all()


def test_a_goal_has_a_light_of_the_asked_colour_in_the_image(parts: dict[str, Demonstrations]) -> None:
    data = parts["reaction"]
    for channel, colour in enumerate(COLOURS):
        asked = np.array([tokenize(phrase.format(colour=colour)) for phrase in REACTION_PHRASES])
        mine = (data.tokens[:, None] == asked).all(axis=2).any(axis=1) & np.isfinite(data.goal[:, 0])
        pixels = data.images[mine].astype(int)
        others = np.delete(pixels, channel, axis=-1).max(axis=-1)
        assert ((pixels[..., channel] - others).max(axis=(1, 2)) > 60).all()


def test_states_after_the_image_are_consecutive(data: Demonstrations) -> None:
    moved = np.diff(data.states[:, :, :3], axis=1)
    mean_speed = 0.5 * (data.states[:, 1:, 3:] + data.states[:, :-1, 3:])
    assert np.abs(moved - mean_speed * 0.02).max() < 0.05


def test_the_arm_does_what_the_commands_say(parts: dict[str, Demonstrations]) -> None:
    data = parts["reaction"]
    at_rest = np.flatnonzero(np.abs(data.states[:, 0, 3:]).max(axis=1) < 0.03)
    moved = []
    for row in at_rest:
        arm = ArmSim()
        arm.reset(data.states[row, 0, :3])
        arm.step(data.commands[row, COMMANDS_BEFORE], EXPERTS[0].action_dt_ns)
        assert arm.q == pytest.approx(data.states[row, 1, :3], abs=2e-3)
        moved.append(np.abs(arm.q - data.states[row, 0, :3]).max())
    assert max(moved) > 5e-3


def test_labels_go_from_each_state_to_the_goal_of_the_image(data: Demonstrations) -> None:
    chunks = label_chunks(data, EXPERTS, horizon=32)
    assert chunks.shape == (900, 11, 32, 3)
    assert chunks.dtype == np.float32
    has_goal = np.isfinite(data.goal[:, 0])
    end = np.abs(chunks[has_goal][:, :, -1] - data.goal[has_goal][:, None]).max(axis=-1)
    assert np.median(end) < 0.03
    assert np.abs(chunks[:, :, 0] - data.states[..., :3]).max() < 1.5
