# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""SiLU that OpenVINO does not draw into the convolution before it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from cell_detector import CELLS, HIDDEN, scene  # noqa: E402

from lowlat_nodes.inference.onnx import OnnxModel  # noqa: E402
from lowlat_nodes.train.quantisation.silu import separate_silu  # noqa: E402
from lowlat_nodes.train.quantisation.source import read_source  # noqa: E402

VALUES = HIDDEN * CELLS**2


def _operators(model: onnx.ModelProto) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_the_sigmoids_of_silu_are_quantised(cell_model: Path, tmp_path: Path) -> None:
    model = read_source(cell_model).model
    before = len(model.graph.node)
    separate_silu(model, ["see", "think"])
    assert len(model.graph.node) == before + 4
    path = tmp_path / "apart.onnx"
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)
    feed = {"images": scene(3)[0].astype(np.float32).transpose(2, 0, 1)[None] / 255}
    rows, expected = (OnnxModel(file).run(feed, ["output0"])[0] for file in (path, cell_model))
    apart = np.abs(rows - expected).max()
    assert 0.0 < apart < 0.02


def test_only_after_the_convolutions_named_and_up_to_a_size(cell_model: Path) -> None:
    for convolutions, most, expected in [
        (["think"], VALUES, 1),
        ([], VALUES, 0),
        (["see", "think"], VALUES - 1, 0),
        (["see", "think", "score"], VALUES, 2),  # a score is a sigmoid, no SiLU
    ]:
        model = read_source(cell_model).model
        separate_silu(model, convolutions, most)
        assert _operators(model).count("QuantizeLinear") == expected


def test_a_size_that_is_open_leaves_them_together(cell_model: Path) -> None:
    model = read_source(cell_model).model
    del model.graph.value_info[:]
    separate_silu(model, ["see", "think"])
    assert "QuantizeLinear" not in _operators(model)
