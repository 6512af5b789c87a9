# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import numpy as np
import pytest

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.sim.camera import VIEW_ORIGIN_M, VIEW_WIDTH_M
from lowlat_nodes.sim.kinematics import JOINT_NAMES, inverse
from lowlat_nodes.train.evaluate import EXPERTS, TASKS, evaluate, main, table, to_record
from lowlat_nodes.train.expert import ExpertConfig, plan
from lowlat_nodes.train.figures import Figures
from lowlat_nodes.train.sights import from_expert, from_policy

pytest.importorskip("mujoco")
pytest.importorskip("cv2")
pytestmark = pytest.mark.sim
DELAYED = ("sync", "naive_async", "vlash_actuator", "vlash_perfect")


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


def _reaction(trials: int, methods: tuple[str, ...], delay_steps: int = 8) -> dict[str, Figures]:
    policy = from_policy(SeeingExpert())
    return evaluate(policy, "reaction", trials=trials, seed=3, delay_steps=delay_steps, methods=methods)


@pytest.fixture(scope="module")
def results() -> dict[str, Figures]:
    return _reaction(20, DELAYED)


def test_every_method_plays_all_trials(results: dict[str, Figures]) -> None:
    assert list(results) == list(DELAYED)
    assert {len(one.trials) for one in results.values()} == {20}


def test_a_policy_that_sees_images_misses_nothing_without_delay() -> None:
    (oracle,) = _reaction(8, ("oracle",), delay_steps=0).values()
    assert oracle.success_rate == 1.0
    assert oracle.reaction_ms(1.0) < 60.0


def test_late_chunks_from_old_states_lose_and_chunks_from_the_state_at_the_switch_do_not(
    results: dict[str, Figures],
) -> None:
    for good in ("vlash_actuator", "vlash_perfect"):
        assert results[good].success_rate >= 0.95
        for bad in ("sync", "naive_async"):
            assert results[bad].success_rate <= results[good].success_rate - 0.1


def test_reactions_wait_for_inference_and_in_sync_for_the_chunk_too(results: dict[str, Figures]) -> None:
    vlash = results["vlash_actuator"]
    assert vlash.reaction_ms(0.0) >= 160.0
    assert vlash.reaction_ms(1.0) <= 2 * 160.0 + 20.0 + 34.0
    assert results["sync"].reaction_ms(0.5) >= 1.6 * vlash.reaction_ms(0.5)


@pytest.mark.parametrize("task", ["interception", "insertion"])
def test_the_tasks_tell_methods_apart(task: str) -> None:
    policy = from_expert(EXPERTS[task])
    methods = ("oracle", "naive_async", "vlash_actuator")
    results = evaluate(policy, task, trials=40, seed=1, delay_steps=4, methods=methods)
    oracle, naive, vlash = (results[method].success_rate for method in methods)
    assert oracle >= 0.95
    assert naive <= 0.75 * oracle
    assert vlash >= naive + 0.2


def test_trials_come_in_series_of_ten_and_a_rest() -> None:
    results = evaluate(
        from_expert(EXPERTS["insertion"]), "insertion", trials=13, seed=1, methods=["naive_async"]
    )
    assert [trial.id for trial in results["naive_async"].trials] == [*range(10), *range(3)]


@pytest.mark.parametrize("task", TASKS)
def test_a_seed_names_a_task(task: str) -> None:
    assert TASKS[task](5, 1).size == 5
    assert TASKS[task](5, 1).duration_ns == TASKS[task](5, 1).duration_ns != TASKS[task](5, 2).duration_ns


def test_the_table_has_a_row_for_each_method(results: dict[str, Figures]) -> None:
    rows = table(results).splitlines()
    assert [row.split("|")[1].strip() for row in rows[2:]] == list(DELAYED)
    assert {row.count("|") for row in rows} == {9}


def test_what_never_happened_is_null_in_json() -> None:
    never = Figures((), np.array([np.nan]), 0.0, np.array([]), 0, 0, 0, 0.0)
    record = to_record(never)
    assert record["success_ci95"] == [0.0, 1.0]
    assert record["reactions_missed"] == 1
    assert [record[name] for name in ("reaction_p50_ms", "completion_p50_ms", "boundary_jump_p95_rad")] == [
        None
    ] * 3


def test_the_command_prints_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--expert", "--task", "insertion", "--trials", "2", "--delay-steps", "0", "2", "--json"]
    assert main([*options, "--method", "sync_short", "--method", "naive_aligned"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert list(record["insertion"]) == ["0", "2"]
    assert set(record["insertion"]["2"]) == {"sync_short", "naive_aligned"}
    assert record["insertion"]["2"]["naive_aligned"]["trials"] == 2
