# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A graph that takes pixels says the same as one that is given values."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.fold import fold
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

onnx = pytest.importorskip("onnx")

Network = Callable[..., Path]
SIZE = np.array([[3]], np.int64)
OUTPUTS = ["boxes", "scores"]
PLAIN = ImageInput("images", 12, 20)
IMAGENET = ImageInput("images", 12, 20, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4), "bgr")


@pytest.mark.parametrize("image", [PLAIN, IMAGENET], ids=["scaled", "mean_and_std"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("sizes", [(1, 3, 12, 20), ("N", 3, "H", "W")], ids=["fixed", "open"])
def test_folded_equals_unfolded(
    image: ImageInput, dtype: type[np.generic], sizes: tuple[int, ...], network: Network, pixels: np.ndarray
) -> None:
    path = network(sizes=sizes, dtype=dtype)
    model = OnnxModel(path, image=image, folded=True)
    assert model.inputs["images"] == TensorSpec("images", (1, 12, 20, 3), np.uint8)
    assert model.inputs["size"].dtype is np.int64
    assert model.metadata == {"task": "detect", "stride": "2"}
    values = (pixels - np.array(image.mean, np.float32)) / np.array(image.std, np.float32)
    values = np.ascontiguousarray(values.transpose(0, 3, 1, 2), dtype)
    expected = OnnxModel(path).run({"images": values, "size": SIZE}, OUTPUTS)
    made = model.run({"images": pixels, "size": SIZE}, OUTPUTS)
    tolerance = 1e-4 if dtype is np.float32 else 1e-2
    for right, got in zip(expected, made, strict=True):
        np.testing.assert_allclose(got, right, rtol=tolerance, atol=tolerance)


def test_what_the_step_makes_can_still_be_an_output(tmp_path: Path, pixels: np.ndarray) -> None:
    images = onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 12, 20])
    half = onnx.helper.make_tensor_value_info("half", onnx.TensorProto.FLOAT, [1, 3, 12, 20])
    constant = onnx.numpy_helper.from_array(np.float32(0.5), "factor")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Mul", ["images", "factor"], ["half"])], "g", [images], [half], [constant]
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, tmp_path / "half.onnx")
    folded, name = fold(tmp_path / "half.onnx", PLAIN)
    made = onnx.load_from_string(folded)
    onnx.checker.check_model(made, full_check=True)
    assert [item.name for item in made.graph.input] == [name]
    loaded = OnnxModel(tmp_path / "half.onnx", image=PLAIN, folded=True)
    (values,) = loaded.run({"images": pixels}, ["half"])
    np.testing.assert_allclose(values, pixels.transpose(0, 3, 1, 2) / 510.0, atol=1e-6)


def test_an_input_that_takes_no_floats_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="expected 'size' to take one of FLOAT, FLOAT16, DOUBLE"):
        fold(network(), ImageInput("size", 12, 20))
    with pytest.raises(ConfigurationError, match="expected an input 'pixels', found images, size"):
        fold(network(), ImageInput("pixels", 12, 20))


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(ConfigurationError, match=r"bad\.onnx is no ONNX graph"):
        fold(tmp_path / "bad.onnx", PLAIN)


def test_without_onnx_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"'onnx'.*lowlat_nodes\[onnx\]"):
        fold(tmp_path / "any.onnx", PLAIN)
