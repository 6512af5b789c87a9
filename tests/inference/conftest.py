# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Small networks for images, as ONNX files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SIZES = {"fixed": (1, 3, 12, 20), "open": ("N", 3, "H", "W")}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def network(tmp_path: Path) -> Callable[..., Path]:
    """Write a network of two convolutions that also takes the size of the source image.

    `boxes` is the pooled features times that size, `scores` their sigmoid.
    """

    def write(
        name: str = "network.onnx",
        *,
        sizes: Sequence[int | str] = SIZES["fixed"],
        dtype: type[np.generic] = np.float32,
        channels: int = 8,
    ) -> Path:
        onnx = pytest.importorskip("onnx")
        make, kind = onnx.helper.make_node, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        random = np.random.default_rng(0)
        weights = {
            "w1": random.normal(0.0, 0.3, (channels, 3, 3, 3)),
            "w2": random.normal(0.0, 0.3, (4, channels, 3, 3)),
        }
        nodes = [
            make("Conv", ["images", "w1"], ["c1"], pads=[1, 1, 1, 1], strides=[2, 2]),
            make("Relu", ["c1"], ["r1"]),
            make("Conv", ["r1", "w2"], ["c2"], pads=[1, 1, 1, 1]),
            make("ReduceMean", ["c2"], ["mean"], axes=[2, 3], keepdims=0),
            make("Sigmoid", ["mean"], ["scores"]),
            make("Cast", ["size"], ["cast"], to=kind),
            make("Mul", ["mean", "cast"], ["boxes"]),
        ]
        graph = onnx.helper.make_graph(
            nodes,
            "network",
            [
                onnx.helper.make_tensor_value_info("images", kind, list(sizes)),
                onnx.helper.make_tensor_value_info("size", onnx.TensorProto.INT64, [sizes[0], 1]),
            ],
            [
                onnx.helper.make_tensor_value_info(output, kind, [sizes[0], 4])
                for output in ("boxes", "scores")
            ],
            [onnx.numpy_helper.from_array(array.astype(dtype), key) for key, array in weights.items()],
        )
        return _save(onnx, graph, tmp_path / name)

    return write


def _save(onnx: Any, graph: Any, path: Path) -> Path:
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"task": "detect", "stride": "2"})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (1, 12, 20, 3), np.uint8)
