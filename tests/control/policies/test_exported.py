# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies in ONNX files: recognised by their inputs, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes import resources
from lowlat_nodes.control.policies.exported import ExportedPolicy
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import ImageSpec, Observation
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

onnx = pytest.importorskip("onnx")

METADATA = {"joint_names": "a,b", "action_dt_ns": "20000000", "action_kind": "absolute"}


def write_policy(
    path: Path,
    inputs: dict[str, tuple[Any, list[int]]] | None = None,
    metadata: dict[str, str] | None = None,
    horizon: int = 4,
) -> Path:
    """Write a graph whose actions repeat the state `horizon` times, whatever its other inputs."""
    helper, kinds = onnx.helper, onnx.TensorProto
    state = (inputs or {}).get("state", (kinds.FLOAT, [1, 2]))
    specs = {"state": state, **(inputs or {})}
    graph = helper.make_graph(
        [
            helper.make_node("Reshape", ["state", "shape"], ["row"]),
            helper.make_node("Tile", ["row", "times"], ["actions"]),
        ],
        "policy",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in specs.items()],
        [helper.make_tensor_value_info("actions", kinds.FLOAT, [1, horizon, 2])],
        [
            helper.make_tensor("shape", kinds.INT64, [3], [1, 1, 2]),
            helper.make_tensor("times", kinds.INT64, [3], [1, horizon, 1]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (METADATA if metadata is None else metadata).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def test_a_policy_says_what_it_expects(tmp_path: Path) -> None:
    kinds = onnx.TensorProto
    images = {"front": (kinds.UINT8, [1, 6, 8, 3]), "back": (kinds.FLOAT, [1, 3, 12, 16])}
    spec = ExportedPolicy(write_policy(tmp_path / "p.onnx", images)).spec
    assert spec.joints == ("a", "b")
    assert spec.state_fields == ("position",)
    assert spec.images == {"front": ImageSpec(6, 8), "back": ImageSpec(12, 16)}
    assert (spec.horizon, spec.action_period_ns, spec.delta) == (4, 20_000_000, (False, False))
    assert not spec.takes_task


def test_infers_a_chunk(tmp_path: Path) -> None:
    policy = ExportedPolicy(write_policy(tmp_path / "p.onnx"))
    actions = policy.infer(Observation(np.array([1.0, 2.0], np.float32)))
    assert actions.dtype == np.float64
    assert actions.tolist() == [[1.0, 2.0]] * 4


def test_parameters_fill_in_what_the_file_does_not_say(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.onnx", metadata={})
    spec = ExportedPolicy(path, action_period_ns=10_000_000, action_kind="delta").spec
    assert spec.joints == ()
    assert (spec.action_period_ns, spec.delta) == (10_000_000, (True, True))


@pytest.mark.parametrize(
    ("metadata", "options", "words"),
    [
        ({}, {}, "expected an action period in ns and an action kind"),
        (
            METADATA,
            {"action_period_ns": 10_000_000},
            "metadata says action_dt_ns = 20000000, the parameters say",
        ),
        (METADATA | {"action_kind": "torque"}, {}, "'torque'"),
        (METADATA | {"action_dt_ns": "soon"}, {}, "'soon'"),
        (
            METADATA | {"state_layout": "position,velocity"},
            {},
            "make 4 numbers, but its input 'state' takes 2",
        ),
    ],
)
def test_metadata_that_does_not_fit_is_refused(
    tmp_path: Path, metadata: dict[str, str], options: dict[str, Any], words: str
) -> None:
    path = write_policy(tmp_path / "p.onnx", metadata=metadata)
    with pytest.raises(ConfigurationError, match=words):
        ExportedPolicy(path, **options)


def test_inputs_that_nothing_can_feed_are_refused(tmp_path: Path) -> None:
    path = write_policy(tmp_path / "p.onnx", {"lidar": (onnx.TensorProto.FLOAT, [1, 5, 5, 5])})
    with pytest.raises(ConfigurationError, match="'lidar' is neither state, tokens, noise, delay"):
        ExportedPolicy(path)


def test_a_missing_file_and_garbage_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found nothing at"):
        ExportedPolicy(tmp_path / "nothing.onnx")
    garbage = tmp_path / "garbage.onnx"
    garbage.write_bytes(b"\x08\x07garbage")
    with pytest.raises(ConfigurationError, match="not a model that ONNX Runtime can load"):
        ExportedPolicy(garbage)


def test_noise_repeats_with_the_request_and_its_scale_counts() -> None:
    path = resources.path("models", "reach_flow.onnx")
    spec = ExportedPolicy(path).spec
    images = {name: np.zeros((size.height, size.width, 3), np.uint8) for name, size in spec.images.items()}
    state = np.zeros(len(spec.state_fields) * len(spec.delta), np.float32)

    def infer(request: int, scale: float) -> list[float]:
        policy = ExportedPolicy(path, noise_scale=scale)
        return policy.infer(Observation(state, images, "touch the red light", request)).ravel().tolist()

    assert infer(1, 1.0) == infer(1, 1.0)
    assert infer(1, 1.0) != infer(2, 1.0)
    assert infer(1, 0.0) == infer(2, 0.0)


def test_load_by_name_by_factory_and_refusals() -> None:
    assert load_policy(PolicyConfig()).spec.joints == ("shoulder", "elbow", "wrist")
    with pytest.raises(ConfigurationError, match="expected module:function"):
        build(PolicyConfig, {"kind": "python"})
    with pytest.raises(ConfigurationError, match="cannot import 'nowhere:policy'"):
        load_policy(PolicyConfig(kind="python", factory="nowhere:policy"))
    with pytest.raises(ConfigurationError, match="did you mean 'python'"):
        build(PolicyConfig, {"kind": "pyton"})
