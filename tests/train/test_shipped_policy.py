# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policies in models/ are the ones that their cards describe, and play their games."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.control.policies.corrector import Glance, OnnxCorrector
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.policy import Observation
from lowlat_nodes.inference.tokens import SCHEME
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.insertion import Slot
from lowlat_nodes.sim.interception import LINE_Y_M, Ball
from lowlat_nodes.sim.kinematics import JOINT_NAMES, forward, inverse
from lowlat_nodes.sim.reaction import Light
from lowlat_nodes.sim.scene import Thing
from lowlat_nodes.train.evaluate import evaluate
from lowlat_nodes.train.expert import ExpertConfig, plan
from lowlat_nodes.train.sights import from_policy

MODEL = Path(__file__).resolve().parents[2] / "models" / "reach_flow.onnx"
HOME = inverse((0.1, 0.45))
pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def policy() -> ExportedPolicy:
    pytest.importorskip("onnxruntime")
    return ExportedPolicy(MODEL)


def _infer(policy: ExportedPolicy, task: str, *lights: Light, request: int = 0) -> np.ndarray:
    state = np.concatenate([HOME, np.zeros(3)]).astype(np.float32)
    image = TableCamera().render(HOME, lights)
    return policy.infer(Observation(state, {"image": image}, task, request))


def _light(colour: str, x_m: float, y_m: float) -> Light:
    return Light(0, colour, True, x_m, y_m, 0, 1)


def test_the_card_names_this_file() -> None:
    card = MODEL.with_suffix(".md").read_text(encoding="utf-8")
    stated = re.search(r"^sha256: ([0-9a-f]{64})$", card, re.MULTILINE)
    assert stated is not None
    assert stated[1] == hashlib.sha256(MODEL.read_bytes()).hexdigest()


def test_the_model_is_small() -> None:
    assert MODEL.stat().st_size < 4_000_000


def test_the_contract_in_the_file() -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    assert {item.name: (item.type, item.shape[1:]) for item in session.get_inputs()} == {
        "image": ("tensor(uint8)", [120, 160, 3]),
        "state": ("tensor(float)", [6]),
        "tokens": ("tensor(int64)", [12]),
        "noise": ("tensor(float)", [32, 3]),
    }
    assert [item.shape[1:] for item in session.get_outputs()] == [[32, 3]]
    stated = session.get_modelmeta().custom_metadata_map
    assert stated["joint_names"].split(",") == list(JOINT_NAMES)
    assert stated["state_layout"] == "position,velocity"
    assert stated["token_scheme"] == SCHEME
    assert (stated["action_kind"], stated["action_dt_ns"], stated["horizon"]) == (
        "absolute",
        "20000000",
        "32",
    )
    assert int(stated["max_offset_steps"]) >= 8


@pytest.mark.parametrize("colour", ["red", "green", "blue"])
def test_it_reaches_for_the_light_that_the_task_names(policy: ExportedPolicy, colour: str) -> None:
    places = {"red": (-0.35, 0.3), "green": (0.4, 0.3), "blue": (0.0, 0.58)}
    lights = [_light(name, *place) for name, place in places.items()]
    end = forward(_infer(policy, f"touch the {colour} light", *lights)[-1])[-1]
    assert end == pytest.approx(places[colour], abs=0.03)


@pytest.mark.parametrize(
    ("task", "lights"),
    [
        ("touch the red light", ()),
        ("touch the red light", (_light("blue", -0.35, 0.3),)),
        ("wait", (_light("red", -0.35, 0.3),)),
        ("", (_light("red", -0.35, 0.3),)),
    ],
)
def test_it_stays_when_nothing_is_asked_of_it(
    policy: ExportedPolicy, task: str, lights: tuple[Light, ...]
) -> None:
    assert np.abs(_infer(policy, task, *lights) - HOME).max() < 0.03


def test_the_request_decides_the_noise_and_the_noise_hardly_matters(policy: ExportedPolicy) -> None:
    light = _light("red", -0.35, 0.3)
    chunks = [_infer(policy, "touch the red light", light, request=request) for request in (1, 1, 2)]
    assert np.array_equal(chunks[0], chunks[1])
    assert not np.array_equal(chunks[0], chunks[2])
    assert np.abs(chunks[0] - chunks[2]).max() < 0.1


def test_in_closed_loop_knowing_the_state_at_the_switch_wins(policy: ExportedPolicy) -> None:
    methods = ("sync", "naive_async", "vlash_perfect")
    results = evaluate(from_policy(policy), "reaction", trials=30, seed=11, methods=methods)
    sync, naive, vlash = (results[method] for method in methods)
    assert vlash.success_rate >= 0.9
    assert vlash.success_rate >= naive.success_rate + 0.1
    assert vlash.success_rate >= sync.success_rate
    assert vlash.reaction_ms(0.5) <= 0.6 * sync.reaction_ms(0.5)


TABLE = MODEL.parent
POLICIES = ("base", "vlash", "vlash_last_action", "delay", "prefix")


def test_the_card_of_the_table_policies_names_all_files() -> None:
    card = (TABLE / "table.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^  (table_\w+\.onnx): ([0-9a-f]{64})$", card, re.MULTILINE))
    there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in TABLE.glob("table_*.onnx")}
    assert stated == there
    assert set(there) == {f"table_{name}.onnx" for name in (*POLICIES, "corrector_base", "corrector_delay")}
    assert max((TABLE / name).stat().st_size for name in there) < 1_500_000


@pytest.mark.torch
def test_the_guidance_that_ships_has_the_true_jacobian() -> None:
    pytest.importorskip("torch")
    pytest.importorskip("onnx")
    from lowlat_nodes.train.guidance import vjp_error

    assert vjp_error(TABLE / "table_base.onnx", samples=4) < 1e-4


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(
    ("text", "thing", "goal"),
    [
        ("touch the blue light", _light("blue", -0.3, 0.35), (-0.3, 0.35)),
        ("catch the ball", Ball(0.2, 0.6, -0.3, -0.5), (0.044, LINE_Y_M)),
        ("insert the peg", Slot(0.3, 0.4, 1.0, 0.03, 0.012), (0.3, 0.4)),
    ],
)
def test_a_table_policy_goes_where_the_task_says(
    name: str, text: str, thing: Thing, goal: tuple[float, float]
) -> None:
    policy = ExportedPolicy(TABLE / f"table_{name}.onnx")
    image = TableCamera().render(HOME, (thing,))
    state = np.concatenate([HOME, np.zeros(3)]).astype(np.float32)
    chunk = policy.infer(Observation(state, {"image": image}, text))
    assert forward(chunk[-1])[-1] == pytest.approx(goal, abs=0.04)
    assert np.abs(policy.infer(Observation(state, {"image": image}, "wait")) - HOME).max() < 0.06


@pytest.mark.parametrize("name", ["base", "delay"])
def test_a_corrector_turns_a_plan_towards_a_new_goal(name: str) -> None:
    policy = ExportedPolicy(TABLE / f"table_{name}.onnx")
    corrector = OnnxCorrector(TABLE / f"table_corrector_{name}.onnx", policy.spec)
    state = np.concatenate([HOME, np.zeros(3)]).astype(np.float32)
    planned = HOME + np.array([0.1, 0.0, 0.0]) * np.arange(1, 5)[:, None]
    turns = {}
    for x_m in (0.4, -0.35):
        image = TableCamera().render(HOME, (_light("red", x_m, 0.3),))
        glance = Glance(state, planned, 4.0, {"image": image}, "touch the red light")
        (correction,) = corrector.correct([glance])
        expected = plan(HOME[None], np.zeros((1, 3)), inverse((x_m, 0.3))[None], 1, ExpertConfig())[0, 0]
        assert planned[0] + correction == pytest.approx(expected, abs=0.03)
        turns[x_m] = correction[0]
    assert turns[0.4] < turns[-0.35]
