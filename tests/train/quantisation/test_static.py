# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which layers are quantised, and how near the result is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from cell_detector import LAST, TAIL_CONCAT, scene  # noqa: E402

from lowlat_nodes.inference.onnx import OnnxModel  # noqa: E402
from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402
from lowlat_nodes.train.quantisation.source import read_source  # noqa: E402
from lowlat_nodes.train.quantisation.static import METHODS, SCHEMES, Quantiser  # noqa: E402


def _feed(number: int) -> dict[str, np.ndarray]:
    return {"images": scene(number)[0].astype(np.float32).transpose(2, 0, 1)[None] / 255}


def _feeds() -> Iterator[dict[str, np.ndarray]]:
    return map(_feed, range(100, 104))


def _scores(path: Path, number: int) -> np.ndarray:
    rows: np.ndarray = OnnxModel(path).run(_feed(number), ["output0"])[0]
    return rows[0, :, 4]


@pytest.mark.parametrize("runtime", list(SCHEMES))
@pytest.mark.parametrize("method", list(METHODS))
def test_a_quantised_model_is_near_the_other(
    cell_model: Path, runtime: str, method: str, capsys: pytest.CaptureFixture[str]
) -> None:
    quantiser = Quantiser(read_source(cell_model).model, SCHEMES[runtime], _feeds(), method=method)
    path = cell_model.with_name("int8.onnx")
    onnx.save(quantiser.quantised(quantiser.layers), path)
    apart = np.abs(_scores(path, 7) - _scores(cell_model, 7))
    assert 0.0 < apart.max() < 0.05
    kinds = {item.name: item.data_type for item in onnx.load(path).graph.initializer}
    assert kinds["see.weight_quantized"] == kinds["think.weight_quantized"] == onnx.TensorProto.INT8
    assert kinds["score.weight"] == onnx.TensorProto.FLOAT
    assert not capsys.readouterr().out


def test_convolutions_before_the_tail_are_quantised_for_openvino(cell_model: Path) -> None:
    assert Quantiser(read_source(cell_model).model, SCHEMES["openvino"], _feeds()).layers == ("see", "think")


def test_what_is_between_them_too_for_onnxruntime(cell_model: Path) -> None:
    layers = Quantiser(read_source(cell_model).model, SCHEMES["onnxruntime"], _feeds()).layers
    assert layers == ("see", "see/Sigmoid", "see/Mul", "think", "think/Sigmoid", "think/Mul")


def test_only_the_layers_asked_for_are_quantised(cell_model: Path) -> None:
    quantiser = Quantiser(read_source(cell_model).model, SCHEMES["openvino"], _feeds())
    names = {item.name for item in quantiser.quantised(["think"]).graph.initializer}
    assert "think.weight_quantized" in names
    assert "see.weight" in names
    assert quantiser.layers == ("see", "think")


def test_values_that_are_never_negative_have_all_eight_bits(cell_model: Path) -> None:
    quantiser = Quantiser(read_source(cell_model).model, SCHEMES["openvino"], _feeds())
    points = {item.name: item for item in quantiser.quantised(quantiser.layers).graph.initializer}
    kinds = [points[f"{tensor}_zero_point"].data_type for tensor in ("images", "b")]
    assert kinds == [onnx.TensorProto.UINT8, onnx.TensorProto.INT8]
    assert all(not onnx.numpy_helper.to_array(points[f"{name}_zero_point"]).any() for name in ("images", "b"))
    scale = onnx.numpy_helper.to_array(points["images_scale"])
    assert scale == pytest.approx(max(feed["images"].max() for feed in _feeds()) / 255, rel=1e-3)


def test_nodes_of_the_tail_can_be_included(cell_model: Path) -> None:
    model = read_source(cell_model).model
    quantiser = Quantiser(model, SCHEMES["openvino"], _feeds(), include=[TAIL_CONCAT, LAST])
    assert quantiser.layers == ("see", "think", LAST, TAIL_CONCAT)


def test_what_cannot_be_done_is_said(cell_model: Path) -> None:
    model = read_source(cell_model).model
    with pytest.raises(ConfigurationError, match="names of nodes of the model, got nothing_like_it"):
        Quantiser(model, SCHEMES["openvino"], _feeds(), include=["nothing_like_it"])
    with pytest.raises(ConfigurationError, match="at least one image"):
        Quantiser(model, SCHEMES["openvino"], iter([]))


def test_a_model_of_a_tail_alone_has_nothing_to_quantise(cell_model: Path) -> None:
    model = read_source(cell_model).model
    del model.graph.node[1:]
    model.graph.output[0].name = model.graph.node[0].output[0]
    with pytest.raises(ConfigurationError, match="nothing to quantise"):
        Quantiser(model, SCHEMES["openvino"], _feeds())
