# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector of three convolutions that really looks: which cells of an image are red, green or blue."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

SIDE, CELL, HIDDEN = 640, 64, 8
CELLS = SIDE // CELL
NAMES = ("red", "green", "blue")
LAST = "score"
TAIL_CONCAT = "rows"


def write_cell_detector(path: Path, *, outlier: float = 0.0, opset: int = 17) -> Path:
    """Write it: [1, 3, 640, 640] from 0 to 1 -> [1, 300, 6], a row for each cell and colour.

    Convolutions `see`, `think` and `score` follow each other, with SiLU between. With an `outlier`, a channel
    that nothing reads is so many times as large as the others: one scale for all of them leaves the others no
    steps, and `think` cannot be quantised.
    """
    random = np.random.default_rng(0)
    see = random.normal(0.0, 0.1 / CELL**2, (HIDDEN, 3, CELL, CELL)).astype(np.float32)
    see[:3] = (2.0 * np.eye(3, dtype=np.float32) - 1.0)[:, :, None, None] / CELL**2
    think = random.normal(0.0, 0.02, (HIDDEN, HIDDEN, 1, 1)).astype(np.float32)
    think[:3, :, 0, 0] = 4.0 * np.eye(3, HIDDEN, dtype=np.float32)
    if outlier:
        see[3] = outlier / CELL**2
        think[:, 3] = 0.0
    score = np.zeros((3, HIDDEN, 1, 1), np.float32)
    score[:, :, 0, 0] = 3.0 * np.eye(3, HIDDEN, dtype=np.float32)
    rows, columns = np.divmod(np.arange(CELLS**2), CELLS)
    boxes = np.stack([columns, rows, columns + 1, rows + 1], 1).astype(np.float32) * CELL
    values = {
        "see.weight": see,
        "think.weight": think,
        "score.weight": score,
        "score.bias": np.full(3, -4.0, np.float32),
        "boxes": np.tile(boxes, (3, 1))[None],
        "classes": np.repeat(np.arange(3, dtype=np.float32), CELLS**2)[None, :, None],
        "column": np.array([1, 3 * CELLS**2, 1]),
    }
    nodes = [
        helper.make_node("Conv", ["images", "see.weight"], ["a"], "see", strides=[CELL, CELL]),
        helper.make_node("Sigmoid", ["a"], ["as"], "see/Sigmoid"),
        helper.make_node("Mul", ["a", "as"], ["b"], "see/Mul"),
        helper.make_node("Conv", ["b", "think.weight"], ["c"], "think"),
        helper.make_node("Sigmoid", ["c"], ["cs"], "think/Sigmoid"),
        helper.make_node("Mul", ["c", "cs"], ["d"], "think/Mul"),
        helper.make_node("Conv", ["d", "score.weight", "score.bias"], ["e"], LAST),
        helper.make_node("Sigmoid", ["e"], ["f"], "probability"),
        helper.make_node("Reshape", ["f", "column"], ["scores"], "column"),
        helper.make_node("Concat", ["boxes", "scores", "classes"], ["output0"], TAIL_CONCAT, axis=2),
    ]
    graph = helper.make_graph(
        nodes,
        "cells",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, [1, 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("output0", TensorProto.FLOAT, [1, 3 * CELLS**2, 6])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    metadata = {"names": str(dict(enumerate(NAMES))), "task": "detect", "stride": "64", "end2end": "True"}
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
    return path


def scene(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return an rgb image of some coloured cells on grey, their boxes [n, 4] and classes [n]."""
    random = np.random.default_rng(number)
    image = random.integers(20, 40, (SIDE, SIDE, 3), dtype=np.uint8)
    places = random.choice(CELLS**2, 6, replace=False)
    labels = random.integers(0, 3, 6)
    boxes = []
    for place, label in zip(places, labels, strict=True):
        top, left = (CELL * int(n) for n in divmod(place, CELLS))
        image[top : top + CELL, left : left + CELL, label] = random.integers(200, 256)
        boxes.append([left, top, left + CELL, top + CELL])
    return image, np.array(boxes, np.float64), labels


def write_scenes(folder: Path, count: int) -> Path:
    """Write scenes as PNG files, and labels.json for them, into a new folder; return it."""
    folder.mkdir()
    images, annotations = [], []
    for number in range(count):
        image, boxes, labels = scene(number)
        name = f"{number:03}.png"
        cv2.imwrite(str(folder / name), np.ascontiguousarray(image[..., ::-1]))
        images.append({"id": number, "file_name": name})
        for (left, top, right, bottom), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            box = [left, top, right - left, bottom - top]
            annotations.append({"image_id": number, "category_id": 10 + label, "bbox": box})
    categories = [{"id": 10 + number, "name": name} for number, name in enumerate(NAMES)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "labels.json").write_text(json.dumps(content))
    return folder
