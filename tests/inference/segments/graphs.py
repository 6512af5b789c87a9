# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Graphs to cut, written with onnx."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
WIDTH = 24


def info(name: str, shape: Sequence[int | str], kind: int = FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, list(shape))


def save(path: Path, graph: Any, **model: Any) -> Path:
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, **model)
    helper.set_model_props(made, {"task": "nothing", "steps": "3"})
    onnx.checker.check_model(made, full_check=True)
    onnx.save(made, path)
    return path


def weights(random: np.random.Generator, count: int) -> list[Any]:
    scale = 1.0 / np.sqrt(WIDTH)
    return [
        numpy_helper.from_array(random.normal(0.0, scale, (WIDTH, WIDTH)).astype(np.float32), f"w{index}")
        for index in range(count)
    ]


def layers(path: Path, count: int = 6, *, batch: int | str = "N", seed: int = 0) -> Path:
    """`count` layers with a skip connection from the first to the last, and an output in the middle."""
    nodes, before = [], "x"
    for index in range(count):
        nodes += [
            helper.make_node("MatMul", [before, f"w{index}"], [f"m{index}"]),
            helper.make_node("Relu" if index % 2 else "Tanh", [f"m{index}"], [f"h{index}"]),
        ]
        before = f"h{index}"
    nodes.append(helper.make_node("Add", [before, "h0"], ["y"]))
    graph = helper.make_graph(
        nodes,
        "layers",
        [info("x", [batch, WIDTH])],
        [info("y", [batch, WIDTH]), info("h2", [batch, WIDTH])],
        weights(np.random.default_rng(seed), count),
    )
    return save(path, graph)


def branching(path: Path) -> Path:
    """An If whose branches see a value and a constant of the outside, which no input of it names."""
    node = helper.make_node
    then = helper.make_graph([node("MatMul", ["h0", "w1"], ["a"])], "then", [], [info("a", ["N", WIDTH])])
    other = helper.make_graph([node("Neg", ["h0"], ["b"])], "other", [], [info("b", ["N", WIDTH])])
    nodes = [
        node("MatMul", ["x", "w0"], ["h0"]),
        node("Relu", ["x"], ["r"]),
        node("ReduceSum", ["r"], ["total"], keepdims=0),
        node("Greater", ["total", "limit"], ["much"]),
        node("If", ["much"], ["chosen"], then_branch=then, else_branch=other),
        node("Add", ["chosen", "r"], ["y"]),
    ]
    constants = [*weights(np.random.default_rng(1), 2), numpy_helper.from_array(np.float32(9.0), "limit")]
    graph = helper.make_graph(
        nodes, "branching", [info("x", ["N", WIDTH])], [info("y", ["N", WIDTH])], constants
    )
    return save(path, graph)


def counting(path: Path) -> Path:
    """The places of the positive values: as many as there are, whatever the sizes of the inputs."""
    node = helper.make_node
    nodes = [
        node("MatMul", ["x", "w0"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("NonZero", ["r"], ["places"]),
        node("Transpose", ["places"], ["rows"]),
        node("Add", ["rows", "one"], ["y"]),
    ]
    constants = [*weights(np.random.default_rng(2), 1), numpy_helper.from_array(np.int64(1), "one")]
    graph = helper.make_graph(
        nodes, "counting", [info("x", ["N", WIDTH])], [info("y", ["K", 2], INT64)], constants
    )
    return save(path, graph)


def denoising(path: Path, steps: int = 4, depth: int = 3) -> Path:
    """A chunk drawn from noise in `steps` written-out Euler steps of a network of `depth` layers."""
    node, wide = helper.make_node, 8 * WIDTH
    random = np.random.default_rng(3)
    constants = [
        numpy_helper.from_array(random.normal(0.0, 0.1, shape).astype(np.float32), name)
        for name, shape in (
            ("encode", (WIDTH, WIDTH)),
            ("up", (WIDTH, wide)),
            *((f"deep{layer}", (wide, wide)) for layer in range(depth)),
            ("down", (wide, WIDTH)),
            ("step", ()),
        )
    ]
    nodes = [node("MatMul", ["state", "encode"], ["condition"])]
    chunk = "noise"
    for step in range(steps):
        nodes += [
            node("Add", [chunk, "condition"], [f"seen{step}"]),
            node("MatMul", [f"seen{step}", "up"], [f"s{step}l0"]),
        ]
        for layer in range(depth):
            nodes += [
                node("MatMul", [f"s{step}l{layer}", f"deep{layer}"], [f"s{step}m{layer}"]),
                node("Tanh", [f"s{step}m{layer}"], [f"s{step}l{layer + 1}"]),
            ]
        after = "actions" if step + 1 == steps else f"chunk{step + 1}"
        nodes += [
            node("MatMul", [f"s{step}l{depth}", "down"], [f"speed{step}"]),
            node("Mul", [f"speed{step}", "step"], [f"moved{step}"]),
            node("Add", [chunk, f"moved{step}"], [after]),
        ]
        chunk = after
    graph = helper.make_graph(
        nodes,
        "denoising",
        [info("state", ["N", WIDTH]), info("noise", ["N", WIDTH])],
        [info("actions", ["N", WIDTH])],
        constants,
    )
    return save(path, graph)
