# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is taken for a model to quantise, and what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from cell_detector import write_cell_detector  # noqa: E402
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402
from lowlat_nodes.train.quantisation.source import read_source  # noqa: E402


def test_a_model_is_read_with_its_digest_and_names(cell_model: Path) -> None:
    source = read_source(cell_model)
    assert source.sha256 == hashlib.sha256(cell_model.read_bytes()).hexdigest()
    names = [node.name for node in source.model.graph.node]
    assert {"see", "think", "score"} <= set(names)
    assert {item.key for item in source.model.metadata_props} >= {"names", "task", "stride", "end2end"}


def test_nodes_without_a_name_or_with_that_of_another_get_one(cell_model: Path) -> None:
    model = onnx.load(cell_model)
    for node in model.graph.node:
        node.name = "same" if node.op_type == "Conv" else ""
    onnx.save(model, cell_model)
    names = [node.name for node in read_source(cell_model).model.graph.node]
    assert all(names)
    assert len(set(names)) == len(names)


def test_batch_normalisation_is_folded(tmp_path: Path) -> None:
    path = tmp_path / "norm.onnx"
    ones = np.ones(2, np.float32)
    weights = {"w": np.ones((2, 3, 1, 1), np.float32), "g": 2 * ones, "b": ones, "m": ones, "v": ones}
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w"], ["y"], "conv"),
            helper.make_node("BatchNormalization", ["y", "g", "b", "m", "v"], ["z"], "norm"),
        ],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [1, 2, 4, 4])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    assert [node.op_type for node in read_source(path).model.graph.node] == ["Conv"]


def _half(model: onnx.ModelProto) -> None:
    weight = next(item for item in model.graph.initializer if item.name == "think.weight")
    weight.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name))


def _quantised(model: onnx.ModelProto) -> None:
    scale = numpy_helper.from_array(np.float32(1.0), "scale")
    model.graph.initializer.append(scale)
    model.graph.node.append(helper.make_node("QuantizeLinear", ["f", "scale"], ["q"], "q"))


def _old(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 11


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_quantised, "quantised already"),
        (_old, "opset 13"),
        (_half, "is no ONNX graph|expected weights in float32"),
    ],
)
def test_models_that_cannot_be_quantised(
    cell_model: Path, change: Callable[[onnx.ModelProto], None], said: str
) -> None:
    model = onnx.load(cell_model)
    change(model)
    onnx.save(model, cell_model)
    with pytest.raises(ConfigurationError, match=said):
        read_source(cell_model)


def test_files_that_are_no_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="found nothing at"):
        read_source(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ConfigurationError, match="is no ONNX graph"):
        read_source(tmp_path / "text.onnx")
    (tmp_path / "empty.onnx").write_bytes(b"")
    with pytest.raises(ConfigurationError, match="is no ONNX graph"):
        read_source(tmp_path / "empty.onnx")


def test_a_cut_file_is_no_model(tmp_path: Path) -> None:
    whole = write_cell_detector(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigurationError, match="is no ONNX graph"):
        read_source(tmp_path / "cut.onnx")
