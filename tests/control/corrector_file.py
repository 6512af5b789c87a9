# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A tiny corrector for tests: a bright image pulls the target up, by a gain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

METADATA = {"joint_names": "a,b", "action_dt_ns": "20000000", "state_layout": "position,velocity"}


def write_corrector(
    path: Path,
    *,
    joints: int = 2,
    rows: int = 3,
    batch: int | str = "batch",
    image: tuple[str, int, int] | None = ("eye", 6, 8),
    gain: float = 1.0,
    share: float = 0.0,
    metadata: dict[str, str] | None = None,
    shapes: dict[str, list[int | str]] | None = None,
) -> Path:
    """Write a graph that corrects each joint by gain * (mean brightness / 255) + share * (mean of its plan).

    Without an image, the age takes the place of the brightness.
    """
    from onnx import TensorProto, helper, save

    specs: dict[str, tuple[Any, list[int | str]]] = {
        "state": (TensorProto.FLOAT, [batch, 2 * joints]),
        "planned": (TensorProto.FLOAT, [batch, rows, joints]),
        "age": (TensorProto.FLOAT, [batch, 1]),
    }
    nodes = []
    if image is None:
        nodes.append(helper.make_node("Identity", ["age"], ["level"]))
    else:
        name, height, width = image
        specs[name] = (TensorProto.UINT8, [batch, height, width, 3])
        nodes += [
            helper.make_node("Cast", [name], ["pixels"], to=TensorProto.FLOAT),
            helper.make_node("ReduceMean", ["pixels"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
            helper.make_node("Div", ["column", "white"], ["level"]),
        ]
    nodes += [
        helper.make_node("Mul", ["level", "gain"], ["pull"]),
        helper.make_node("ReduceMean", ["planned"], ["middle"], axes=[1], keepdims=0),
        helper.make_node("Mul", ["middle", "share"], ["part"]),
        helper.make_node("Add", ["part", "pull"], ["correction"]),
    ]
    specs |= {name: (specs[name][0], shape) for name, shape in (shapes or {}).items()}
    graph = helper.make_graph(
        nodes,
        "corrector",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in specs.items()],
        [helper.make_tensor_value_info("correction", TensorProto.FLOAT, [batch, joints])],
        [
            helper.make_tensor("one", TensorProto.INT64, [1], [1]),
            helper.make_tensor("white", TensorProto.FLOAT, [], [255.0]),
            helper.make_tensor("gain", TensorProto.FLOAT, [], [gain]),
            helper.make_tensor("share", TensorProto.FLOAT, [], [share]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    for key, value in (METADATA if metadata is None else metadata).items():
        model.metadata_props.add(key=key, value=value)
    save(model, path)
    return path
