# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.sim.reaction import COLOURS
from lowlat_nodes.train.expert import ExpertConfig
from lowlat_nodes.train.rollouts import HOLD_PHRASES, PHRASES, Demonstrations, collect

pytest.importorskip("mujoco")
pytest.importorskip("cv2")
pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def data() -> Demonstrations:
    return collect(300, seed=5, max_offset=12, expert=ExpertConfig())


def test_the_seed_decides_everything(data: Demonstrations) -> None:
    again = collect(60, seed=5, max_offset=12, expert=ExpertConfig())
    assert np.array_equal(again.images, data.images[:60])
    assert np.array_equal(again.states, data.states[:60])
    assert np.array_equal(again.goal, data.goal[:60], equal_nan=True)


def test_shapes(data: Demonstrations) -> None:
    assert data.images.shape == (300, 60, 80, 3)
    assert data.states.shape == (300, 13, 6)
    assert data.tokens.shape == (300, 12)
    assert np.isfinite(data.states).all()


def test_there_are_samples_with_and_without_a_goal(data: Demonstrations) -> None:
    without = np.isnan(data.goal).all(axis=1)
    assert 0.2 < without.mean() < 0.8
    assert np.isfinite(data.goal[~without]).all()


def test_a_task_that_asks_for_nothing_has_no_goal(data: Demonstrations) -> None:
    holds = np.array([tokenize(phrase) for phrase in HOLD_PHRASES])
    held = (data.tokens[:, None] == holds).all(axis=2).any(axis=1)
    assert held.any()
    assert np.isnan(data.goal[held]).all()


def test_a_goal_has_a_light_of_the_asked_colour_in_the_image(data: Demonstrations) -> None:
    for channel, colour in enumerate(COLOURS):
        asked = np.array([tokenize(phrase.format(colour=colour)) for phrase in PHRASES])
        mine = (data.tokens[:, None] == asked).all(axis=2).any(axis=1) & np.isfinite(data.goal[:, 0])
        assert mine.sum() > 10
        pixels = data.images[mine].astype(int)
        others = np.delete(pixels, channel, axis=-1).max(axis=-1)
        assert ((pixels[..., channel] - others).max(axis=(1, 2)) > 60).all()


def test_states_after_the_image_are_consecutive(data: Demonstrations) -> None:
    moved = np.diff(data.states[:, :, :3], axis=1)
    mean_speed = 0.5 * (data.states[:, 1:, 3:] + data.states[:, :-1, 3:])
    assert np.abs(moved - mean_speed * 0.02).max() < 0.05
