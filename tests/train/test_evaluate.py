# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.sim.camera import VIEW_ORIGIN_M, VIEW_WIDTH_M
from lowlat_nodes.sim.kinematics import JOINT_NAMES, inverse
from lowlat_nodes.sim.reaction import ScheduleConfig
from lowlat_nodes.train.evaluate import Result, evaluate, table
from lowlat_nodes.train.expert import ExpertConfig, plan

pytest.importorskip("mujoco")
pytest.importorskip("cv2")
pytestmark = pytest.mark.sim
SHORT = ScheduleConfig(targets=20)
DELAYED = ("sync", "naive_async", "vlash", "vlash_lag")


class SeeingExpert:
    """The demonstrator behind the camera: it finds the red light by its colour and plans from the state."""

    spec = PolicySpec(
        JOINT_NAMES,
        ("position", "velocity"),
        {"image": ImageSpec(120, 160)},
        False,
        32,
        20_000_000,
        (False,) * 3,
    )

    def infer(self, observation: Observation) -> np.ndarray:
        image = observation.images["image"].astype(int)
        rows, columns = np.nonzero((image[..., 0] > 200) & (image[..., 1] < 140) & (image[..., 2] < 140))
        goal = np.full(3, np.nan)
        if len(rows) > 3:
            px = np.array([columns.mean() + 0.5, image.shape[0] - rows.mean() - 0.5])
            goal = inverse(px * VIEW_WIDTH_M / image.shape[1] + VIEW_ORIGIN_M)
        state = observation.state.astype(np.float64)[None]
        return plan(state[:, :3], state[:, 3:], goal[None], self.spec.horizon, ExpertConfig())[0]


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    return evaluate(SeeingExpert(), SHORT, seed=3, strategies=DELAYED)


def test_every_strategy_plays_the_whole_schedule(results: dict[str, Result]) -> None:
    assert list(results) == list(DELAYED)
    assert {one.targets for one in results.values()} == {SHORT.targets}


def test_without_delay_nothing_is_missed() -> None:
    (oracle,) = evaluate(SeeingExpert(), ScheduleConfig(targets=8), seed=3, strategies=["oracle"]).values()
    assert oracle.hit_rate == 1.0
    assert oracle.reaction_p50_ms < 80.0


def test_late_chunks_from_old_states_lose_and_chunks_from_the_state_at_the_switch_do_not(
    results: dict[str, Result],
) -> None:
    assert results["vlash"].hit_rate >= 0.95
    assert results["vlash_lag"].hit_rate >= 0.95
    assert results["naive_async"].hit_rate <= results["vlash"].hit_rate - 0.1
    assert results["sync"].hit_rate <= results["vlash"].hit_rate - 0.1


def test_reactions_wait_for_inference_and_in_sync_for_the_chunk_too(results: dict[str, Result]) -> None:
    assert 160.0 <= results["vlash"].reaction_p50_ms <= 400.0
    assert results["sync"].reaction_p50_ms >= 1.6 * results["vlash"].reaction_p50_ms


def test_the_same_seed_gives_the_same_result(results: dict[str, Result]) -> None:
    again = evaluate(SeeingExpert(), SHORT, seed=3, strategies=["vlash_lag"])
    assert again["vlash_lag"] == results["vlash_lag"]


def test_more_delay_is_never_better(results: dict[str, Result]) -> None:
    late = evaluate(SeeingExpert(), SHORT, seed=3, delay_steps=20, strategies=["vlash"])
    assert late["vlash"].hit_rate < results["vlash"].hit_rate
    assert late["vlash"].reaction_p50_ms > results["vlash"].reaction_p50_ms


def test_the_table_has_a_row_for_each_strategy(results: dict[str, Result]) -> None:
    rows = table(results).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == list(DELAYED)
