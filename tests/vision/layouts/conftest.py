# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Little ONNX graphs with the inputs and outputs of detectors."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.inference.onnx import OnnxModel

onnx = pytest.importorskip("onnx")

MakeModel = Callable[..., OnnxModel]


@pytest.fixture
def make_model(tmp_path: Path) -> MakeModel:
    """Make models that give the same outputs for every image, or fail on every one."""

    def make(
        outputs: Mapping[str, np.ndarray],
        *,
        size: Sequence[int | str] = (640, 640),
        shapes: Mapping[str, Sequence[int | str]] | None = None,
        metadata: Mapping[str, str] | None = None,
        image: str = "images",
        dtype: Any = np.float32,
        inputs: Mapping[str, tuple[Any, Sequence[int | str]]] | None = None,
        batch: int | str = 1,
        refuses: bool = False,
    ) -> OnnxModel:
        declared = [_info(image, dtype, [batch, 3, *size])]
        declared += [_info(name, kind, shape) for name, (kind, shape) in (inputs or {}).items()]
        nodes, given = [], []
        for name, array in outputs.items():
            shape = (shapes or {}).get(name, array.shape)
            nodes += _constant(name, array, shape)
            given.append(_info(name, array.dtype, shape))
        if refuses:  # every image has another number of pixels
            shape = onnx.numpy_helper.from_array(np.array([7]))
            nodes.append(onnx.helper.make_node("Constant", [], ["seven"], value=shape))
            nodes.append(onnx.helper.make_node("Reshape", [image, "seven"], ["never"]))
            given.append(_info("never", dtype, [7]))
        return save(tmp_path, onnx.helper.make_graph(nodes, "detector", declared, given), metadata or {})

    return make


@pytest.fixture
def make_detr(tmp_path: Path) -> MakeModel:
    """Make models whose boxes, from 0 to 1, are scaled by an input orig_target_sizes in the graph."""

    def make(
        labels: np.ndarray, boxes: np.ndarray, scores: np.ndarray, order: Sequence[str] = ()
    ) -> OnnxModel:
        constants = {"labels": labels, "unit_boxes": boxes, "scores": scores}
        nodes = [node for name, array in constants.items() for node in _constant(name, array, array.shape)]
        nodes += [
            onnx.helper.make_node("Concat", ["orig_target_sizes", "orig_target_sizes"], ["twice"], axis=1),
            onnx.helper.make_node("Cast", ["twice"], ["scale"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Mul", ["unit_boxes", "scale"], ["boxes"]),
        ]
        given = {
            "labels": _info("labels", labels.dtype, ["N", labels.shape[1]]),
            "boxes": _info("boxes", np.float32, ["N", *boxes.shape[1:]]),
            "scores": _info("scores", np.float32, ["N", scores.shape[1]]),
        }
        declared = [
            _info("images", np.float32, ["N", 3, 320, 640]),
            _info("orig_target_sizes", np.int64, ["N", 2]),
        ]
        outputs = [given[name] for name in order or given]
        return save(tmp_path, onnx.helper.make_graph(nodes, "detr", declared, outputs), {})

    return make


def save(folder: Path, graph: Any, metadata: Mapping[str, str]) -> OnnxModel:
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=9)
    onnx.helper.set_model_props(model, dict(metadata))
    path = folder / "model.onnx"
    onnx.save(model, path)
    return OnnxModel(path)


def _constant(name: str, array: np.ndarray, shape: Sequence[int | str]) -> list[Any]:
    """Return nodes that make an array whose open sizes ONNX Runtime cannot find out before it runs them."""
    stages = [f"{name}_{axis}" for axis, size in enumerate(shape) if isinstance(size, str)] + [name]
    nodes = [onnx.helper.make_node("Constant", [], stages[:1], value=onnx.numpy_helper.from_array(array))]
    for axis, (before, after) in zip(
        [axis for axis, size in enumerate(shape) if isinstance(size, str)],
        itertools.pairwise(stages),
        strict=True,
    ):
        all_of_it = onnx.numpy_helper.from_array(np.ones(array.shape[axis], np.bool_))
        nodes.append(onnx.helper.make_node("Constant", [], [f"{before}_all"], value=all_of_it))
        nodes.append(onnx.helper.make_node("Compress", [before, f"{before}_all"], [after], axis=axis))
    return nodes


def _info(name: str, dtype: Any, shape: Sequence[int | str]) -> Any:
    return onnx.helper.make_tensor_value_info(
        name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), list(shape)
    )
