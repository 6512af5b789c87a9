# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How observations and actions are written for servers, and read from clients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec
from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.control.policies.request_form import FORMS, REQUEST_NUMBER, RequestForm
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, RequestRefused

SPEC = PolicySpec(
    joints=(),
    state_fields=("position",),
    images={"front": ImageSpec(4, 6), "wrist": ImageSpec(2, 2)},
    takes_task=True,
    horizon=3,
    action_period_ns=20_000_000,
    delta=(False,) * 8,
)
GR00T: dict[str, Any] = {
    "form": "gr00t",
    "state_keys": ["state:arm", "state:hand"],
    "state_sizes": [7, 1],
    "action_keys": ["action:arm", "action:hand"],
    "action_sizes": [7, 1],
}


def form(name: str = "libero", **changes: Any) -> RequestForm:
    values = GR00T if name == "gr00t" else {"form": name}
    return build(RemoteConfig, values | changes).request_form(SPEC.images)


def seen(task: str = "pick up the cube") -> Observation:
    random = np.random.default_rng(1)
    images = {
        name: random.integers(0, 255, (size.height, size.width, 3), np.uint8)
        for name, size in SPEC.images.items()
    }
    return Observation(np.arange(8, dtype=np.float32), images, task, 5)


def shapes(message: Any) -> Any:
    """Return a message with arrays as their dtype and shape."""
    if isinstance(message, dict):
        return {key: shapes(value) for key, value in message.items()}
    return (message.dtype.name, *message.shape) if isinstance(message, np.ndarray) else message


REQUESTS: dict[str, dict[str, Any]] = {
    "libero": {
        "observation/state": ("float32", 8),
        "observation/front": ("uint8", 4, 6, 3),
        "observation/wrist": ("uint8", 2, 2, 3),
        "prompt": "pick up the cube",
    },
    "droid": {
        "observation/joint_position": ("float32", 7),
        "observation/gripper_position": ("float32", 1),
        "observation/front": ("uint8", 4, 6, 3),
        "observation/wrist": ("uint8", 2, 2, 3),
        "prompt": "pick up the cube",
    },
    "aloha": {
        "state": ("float32", 8),
        "images": {"front": ("uint8", 3, 4, 6), "wrist": ("uint8", 3, 2, 2)},
        "prompt": "pick up the cube",
    },
    "gr00t": {
        "state": {"arm": ("float32", 1, 1, 7), "hand": ("float32", 1, 1, 1)},
        "video": {"front": ("uint8", 1, 1, 4, 6, 3), "wrist": ("uint8", 1, 1, 2, 2, 3)},
        "language": {"annotation.human.task_description": [["pick up the cube"]]},
    },
}


@pytest.mark.parametrize("name", FORMS)
def test_requests_have_the_keys_and_shapes_of_their_form(name: str) -> None:
    assert shapes(form(name).write_request(seen())) == REQUESTS[name]


@pytest.mark.parametrize("name", FORMS)
def test_an_observation_comes_back_equal(name: str) -> None:
    sent = seen()
    read = form(name).read_request(form(name).write_request(sent), SPEC, 5)
    assert np.array_equal(read.state, sent.state)
    assert read.state.dtype == np.float32
    for image in SPEC.images:
        assert np.array_equal(read.images[image], sent.images[image])
        assert read.images[image].flags.c_contiguous
    assert (read.task, read.request) == (sent.task, 5)


@pytest.mark.parametrize("name", FORMS)
def test_actions_come_back_equal(name: str) -> None:
    actions = np.arange(24.0).reshape(3, 8)
    answer = form(name).write_answer(actions)
    assert np.array_equal(form(name).read_answer(answer), actions)
    if name == "gr00t":
        shape = {"arm": ("float32", 1, 3, 7), "hand": ("float32", 1, 3, 1)}
        assert shapes(answer) == {"action": shape}
    else:
        assert shapes(answer) == {"actions": ("float64", 3, 8)}


@given(st.text(), st.integers(0, 2**63 - 1))
def test_any_task_and_number_come_back(task: str, number: int) -> None:
    request = form().write_request(seen(task)) | {REQUEST_NUMBER: number}
    read = form().read_request(request, SPEC, 0)
    assert (read.task, read.request) == (task, number)


def test_keys_can_be_changed() -> None:
    changed = form(
        state_keys=["deep:er:joints"],
        image={"front": {"key": "cam0"}},
        layout="chw",
        prompt_key="instruction",
        action_keys=["plan"],
    )
    request = shapes(changed.write_request(seen()))
    assert request == {
        "deep": {"er": {"joints": ("float32", 8)}},
        "cam0": ("uint8", 3, 4, 6),
        "observation/wrist": ("uint8", 3, 2, 2),
        "instruction": "pick up the cube",
    }
    assert changed.read_answer({"plan": np.ones((2, 8), np.float32)}).shape == (2, 8)


def test_modalities_of_gr00t() -> None:
    assert form("gr00t").modality(2) == {
        "state": {"delta_indices": [0], "modality_keys": ["arm", "hand"]},
        "video": {"delta_indices": [0], "modality_keys": ["front", "wrist"]},
        "language": {"delta_indices": [0], "modality_keys": ["annotation.human.task_description"]},
        "action": {"delta_indices": [0, 1], "modality_keys": ["arm", "hand"]},
    }


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"state_keys": ["a", "b"]}, "state_keys: expected one key, or a size for each"),
        ({"state_keys": ["a"], "state_sizes": [1, 2]}, "state_keys"),
        ({"action_keys": ["a", "b"], "action_sizes": [1]}, "action_keys"),
        ({"form": "gr00t"}, "state_keys"),
        ({"state_keys": ["x"], "prompt_key": "x"}, "distinct"),
        ({"state_keys": ["x"], "prompt_key": "x:y"}, "not inside each other"),
        ({"image": {"front": {"key": "prompt"}}}, "distinct"),
    ],
)
def test_keys_that_do_not_fit_each_other_are_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        build(RemoteConfig, changes).request_form(SPEC.images)


STATE, FRONT = "observation/state", "observation/front"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({STATE: None}, "observation/state: expected a vector of numbers, got nothing"),
        ({STATE: [1.0] * 8}, "got list"),
        ({STATE: np.zeros((1, 8))}, r"got float64 \[1, 8\]"),
        ({STATE: np.zeros(7)}, "expected 8 finite numbers"),
        ({STATE: np.full(8, np.nan)}, "not all finite"),
        ({STATE: np.full(8, 1e300)}, "expected 8 finite numbers"),
        ({STATE: np.zeros(8, bool)}, "expected a vector of numbers"),
        ({FRONT: None}, "expected uint8 of 4 x 6 rgb pixels, hwc, got nothing"),
        ({FRONT: np.zeros((4, 6, 3), np.float32)}, "expected uint8"),
        ({FRONT: np.zeros((3, 4, 6), np.uint8)}, r"got uint8 \[3, 4, 6\]"),
        ({FRONT: np.zeros((6, 4, 3), np.uint8)}, r"got uint8 \[6, 4, 3\]"),
        ({FRONT: np.zeros(72, np.uint8)}, "expected uint8"),
        ({"prompt": None}, "prompt: expected text, got nothing"),
        ({"prompt": 3}, "prompt: expected text, got int"),
        ({REQUEST_NUMBER: -1}, "lowlat/request: expected"),
        ({REQUEST_NUMBER: True}, "lowlat/request: expected"),
        ({REQUEST_NUMBER: 1 << 63}, "lowlat/request: expected"),
    ],
)
def test_a_request_that_does_not_fit_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(RequestRefused, match=why):
        form().read_request(form().write_request(seen()) | changes, SPEC, 0)


@pytest.mark.parametrize(
    "changes",
    [
        {"state": {"arm": np.zeros((1, 1, 7))}},
        {"state": {"arm": np.zeros((1, 1, 6)), "hand": np.zeros((1, 1, 2))}},
        {"state": {"arm": np.zeros((2, 1, 7)), "hand": np.zeros((1, 1, 1))}},
        {"state": 3},
        {"video": {}},
        {"language": {"annotation.human.task_description": ["pick up"]}},
        {"language": {"annotation.human.task_description": [[]]}},
    ],
)
def test_a_request_of_nested_form_that_does_not_fit_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RequestRefused, match="expected"):
        form("gr00t").read_request(form("gr00t").write_request(seen()) | changes, SPEC, 0)


@pytest.mark.parametrize(
    ("name", "answer", "why"),
    [
        ("libero", {}, "actions: expected an array of numbers, got nothing"),
        ("libero", {"actions": [[1.0]]}, "got list"),
        ("libero", {"actions": "text"}, "got str"),
        ("libero", {"actions": np.array([["a"]])}, "expected an array of numbers"),
        ("libero", {"actions": np.zeros((3, 8), bool)}, "expected an array of numbers"),
        ("libero", {"actions": np.array(1.0)}, "expected shape"),
        ("libero", {"actions": np.zeros(8)}, "expected shape"),
        ("libero", {"actions": np.zeros((1, 3, 8))}, "expected shape"),
        ("gr00t", {"action": {"arm": np.zeros((1, 3, 7))}}, "hand: expected an array"),
        ("gr00t", {"action": {"arm": np.zeros((1, 3, 6)), "hand": np.zeros((1, 3, 1))}}, r"\[horizon, 7\]"),
        ("gr00t", {"action": {"arm": np.zeros((2, 3, 7)), "hand": np.zeros((2, 3, 1))}}, "expected shape"),
        ("gr00t", {"action": {"arm": np.zeros((1, 3, 7)), "hand": np.zeros((1, 2, 1))}}, "3 rows as before"),
    ],
)
def test_an_answer_that_is_no_table_is_refused(name: str, answer: dict[str, Any], why: str) -> None:
    with pytest.raises(AnswerRefused, match=why):
        form(name).read_answer(answer)
