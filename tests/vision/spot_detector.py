# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A graph that really looks: it finds the brightest pixel of each colour and puts a box around it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE = 64
REACH = 4.0
NAMES = ("red", "green", "blue")


def write_spot_detector(path: Path, *, half: bool = False) -> Path:
    """Write it: [1, 3, 64, 64] from 0 to 1 -> [1, 3, 6], boxes of 8x8 px, the value for a score.

    With `half`, input and output are float16.
    """
    kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
    values = {
        "offset": np.array([-REACH, -REACH, REACH, REACH], np.float32).reshape(1, 1, 4),
        "classes": np.array([0.0, 1.0, 2.0], np.float32).reshape(1, 3, 1),
        "half": np.array(0.5, np.float32),
    }
    nodes = [
        helper.make_node("Cast", ["images"], ["values"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["values"], ["columns"], axes=[2], keepdims=0),  # [1, 3, 64]
        helper.make_node("ReduceMax", ["values"], ["rows"], axes=[3], keepdims=0),
        helper.make_node("ArgMax", ["columns"], ["x_index"], axis=2, keepdims=1),
        helper.make_node("ArgMax", ["rows"], ["y_index"], axis=2, keepdims=1),
        helper.make_node("Cast", ["x_index"], ["x_whole"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["y_index"], ["y_whole"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x_whole", "half"], ["x"]),
        helper.make_node("Add", ["y_whole", "half"], ["y"]),
        helper.make_node("Concat", ["x", "y", "x", "y"], ["middle"], axis=2),
        helper.make_node("Add", ["middle", "offset"], ["boxes"]),
        helper.make_node("ReduceMax", ["columns"], ["scores"], axes=[2], keepdims=1),
        helper.make_node("Concat", ["boxes", "scores", "classes"], ["found"], axis=2),
        helper.make_node("Cast", ["found"], ["output0"], to=kind),
    ]
    graph = helper.make_graph(
        nodes,
        "spots",
        [helper.make_tensor_value_info("images", kind, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", kind, [1, 3, 6])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    helper.set_model_props(model, {"names": str(dict(enumerate(NAMES))), "task": "detect"})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def spots(width: int, height: int, **places: tuple[int, int]) -> np.ndarray:
    """Return a dark rgb image with a square of 12 px around each place (x, y), in its colour."""
    image = np.zeros((height, width, 3), np.uint8)
    for name, (x, y) in places.items():
        image[y - 6 : y + 6, x - 6 : x + 6, NAMES.index(name)] = 255
    return image
