# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies that continue a plan: small enough to be checked against NumPy.

Both stay where the robot is, apart from noise, which makes neighbouring chunks disagree. `prefix` copies the
rows of weight 1. `guidance` is real-time chunking (2506.07339, algorithm 1) around a linear denoiser
v = m - mix x, with five steps and beta = 5.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

STEPS, BETA = 5, 5.0
SPREAD = 0.3
ACTION_NS = 20_000_000


def mixing(horizon: int) -> np.ndarray:
    """How the denoiser mixes rows, float32 [horizon, horizon]; not symmetric, so a transposition counts."""
    return (0.8 * np.eye(horizon) + 0.2 * np.eye(horizon, k=1)).astype(np.float32)


def guided(
    state: np.ndarray,
    noise: np.ndarray,
    decided: np.ndarray,
    weights: np.ndarray,
    *,
    identity: bool = False,
) -> np.ndarray:
    """What the guided policy answers: float64 [H, J] from [J], [H, J], [H, J] and [H]."""
    mix = mixing(len(noise)).astype(np.float64)
    x = noise.astype(np.float64)
    for step in range(STEPS):
        left = 1.0 - step / STEPS
        v = state - mix @ x
        error = weights[:, None] * (decided - (x + left * v))
        correction = error if identity else error - left * mix.T @ error
        x = x + (v + _gain(step) * correction) / STEPS
    return x


def write_continuing_policy(
    path: Path,
    kind: str,
    *,
    horizon: int = 16,
    joints: int = 1,
    action_kind: str = "absolute",
    batch: str | int = "batch",
    delay: bool = False,
    without: tuple[str, ...] = (),
    metadata: dict[str, str] | None = None,
) -> Path:
    """Write a policy whose state is the position of its joints.

    Args:
        path: Of the file.
        kind: `prefix` or `guidance`; anything else takes no plan.
        horizon: Rows.
        joints: Columns.
        action_kind: `absolute` or `delta`.
        batch: Size of the batch, or a name that leaves it open.
        delay: Whether the state is displaced by the delay.
        without: Inputs that are constants instead.
        metadata: More of it, or other.
    """
    inputs: dict[str, tuple[int, list[Any]]] = {
        "state": (TensorProto.FLOAT, [batch, joints]),
        "noise": (TensorProto.FLOAT, [batch, horizon, joints]),
    }
    if kind in ("prefix", "guidance"):
        inputs["decided"] = (TensorProto.FLOAT, [batch, horizon, joints])
        inputs["weights"] = (TensorProto.FLOAT, [batch, horizon])
    if kind == "guidance":
        inputs["jacobian"] = (TensorProto.FLOAT, [batch, 1])
    if delay:
        inputs["delay"] = (TensorProto.FLOAT, [batch, 1])
    graph = _Graph()
    for name in without:
        graph.constant(name, np.zeros([1 if size == batch else size for size in inputs.pop(name)[1]]))
    pace = graph.constant("pace", np.array(float(action_kind == "absolute")))  # steps lead nowhere
    state = graph.node("Mul", graph.unsqueezed("state", 1), pace)
    if delay:
        state = graph.node("Add", state, graph.unsqueezed("delay", 1))
    free = graph.node("Add", state, graph.node("Mul", "noise", graph.constant("spread", np.array(SPREAD))))
    if kind == "prefix":
        weights = graph.unsqueezed("weights", 2)
        pull = graph.node("Sub", "decided", free)
        actions = graph.node("Add", free, graph.node("Mul", weights, pull))
    elif kind == "guidance":
        actions = _guidance(graph, state, horizon)
    else:
        actions = free
    graph.nodes.append(helper.make_node("Identity", [actions], ["actions"]))
    made = helper.make_graph(
        graph.nodes,
        "policy",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info("actions", TensorProto.FLOAT, [batch, horizon, joints])],
        graph.constants,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    said = {"action_dt_ns": str(ACTION_NS), "action_kind": action_kind}
    if kind in ("prefix", "guidance"):
        said["decided_as"] = kind
    for key, value in (said | (metadata or {})).items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def _gain(step: int) -> float:
    """Return gamma of the paper at the beginning of a step."""
    tau = step / STEPS
    if not tau:
        return BETA
    left = 1.0 - tau
    return min(left / tau * (tau**2 + left**2) / left**2, BETA)


class _Graph:
    """Nodes and constants, named as they come."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def node(self, kind: str, *inputs: str) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name]))
        return name

    def constant(self, name: str, value: np.ndarray) -> str:
        kind = value.dtype if value.dtype == np.int64 else np.float32
        self.constants.append(numpy_helper.from_array(value.astype(kind), name))
        return name

    def unsqueezed(self, name: str, axis: int) -> str:
        axes = self.constant(f"axes{len(self.constants)}", np.array([axis], np.int64))
        return self.node("Unsqueeze", name, axes)


def _guidance(graph: _Graph, state: str, horizon: int) -> str:
    mix = graph.constant("mix", mixing(horizon))
    transposed = graph.constant("transposed", mixing(horizon).T)
    step_size = graph.constant("step_size", np.array(1.0 / STEPS))
    weights, jacobian = graph.unsqueezed("weights", 2), graph.unsqueezed("jacobian", 2)
    x = "noise"
    for step in range(STEPS):
        left = graph.constant(f"left{step}", np.array(1.0 - step / STEPS))
        gain = graph.constant(f"gain{step}", np.array(_gain(step)))
        v = graph.node("Sub", state, graph.node("MatMul", mix, x))
        end = graph.node("Add", x, graph.node("Mul", left, v))
        error = graph.node("Mul", weights, graph.node("Sub", "decided", end))
        through = graph.node(
            "Mul", graph.node("Mul", jacobian, left), graph.node("MatMul", transposed, error)
        )
        pull = graph.node("Mul", gain, graph.node("Sub", error, through))
        x = graph.node("Add", x, graph.node("Mul", step_size, graph.node("Add", v, pull)))
    return x
