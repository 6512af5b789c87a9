# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.sim.shapes import Frame, Truth

onnx = pytest.importorskip("onnx")
pytestmark = pytest.mark.torch

SIDE, NAMES = 64, ("disc", "ring")


def _model(path: Path, rows: list[list[float]]) -> Path:
    """Write an end-to-end detector that sees the same everywhere."""
    found = np.zeros((1, 300, 6), np.float32)
    found[0, : len(rows)] = rows
    image = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, (1, 3, SIDE, SIDE))
    output = onnx.helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, found.shape)
    node = onnx.helper.make_node("Constant", [], ["output0"], value=onnx.numpy_helper.from_array(found))
    graph = onnx.helper.make_graph([node], "constant", [image], [output])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    for key, value in {"names": repr(dict(enumerate(NAMES))), "end2end": "True", "task": "detect"}.items():
        model.metadata_props.add(key=key, value=value)
    onnx.save(model, path)
    return path


def _frame(boxes: list[list[float]], labels: list[int], ignored: list[list[float]]) -> Frame:
    count = len(boxes)
    truth = Truth(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(labels, np.int64),
        np.arange(count),
        np.zeros((count, 2), np.float32),
        np.array(ignored, np.float32).reshape(-1, 4),
    )
    return Frame(np.zeros((SIDE, SIDE, 3), np.uint8), truth)


def test_what_is_found_counts_and_what_is_ignored_does_not(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.validate import validate

    path = _model(
        tmp_path / "m.onnx", [[4, 4, 20, 20, 0.9, 0], [30, 30, 50, 60, 0.8, 1], [0, 50, 9, 60, 0.7, 1]]
    )
    frames = [_frame([[4, 4, 20, 20], [30, 30, 50, 60]], [0, 1], [[0, 50, 9, 60]]) for _ in range(3)]
    precision = validate(path, frames)
    assert precision.ap == pytest.approx(1.0)
    assert precision.frames == 3
    assert precision.wanted == 6


def test_what_is_not_there_or_of_another_class_costs(tmp_path: Path) -> None:
    from lowlat_nodes.train.yolov10.validate import validate

    path = _model(tmp_path / "m.onnx", [[4, 4, 20, 20, 0.9, 0], [30, 30, 50, 60, 0.8, 1]])
    precision = validate(path, [_frame([[4, 4, 20, 20], [30, 30, 50, 60]], [0, 0], [])])
    assert 0.4 < precision.ap < 0.6
