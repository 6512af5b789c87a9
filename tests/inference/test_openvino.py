# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: that it says and does what ONNX Runtime does, and computes in what it was told to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.inference.onnx import read_signature as read_onnx
from lowlat_nodes.inference.openvino import OpenVinoModel, is_installed, precisions, read_signature
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

pytestmark = pytest.mark.openvino

Network = Callable[..., Path]
SIZE = np.array([[3]], np.int64)
OUTPUTS = ["boxes", "scores"]
IMAGE = ImageInput("images", 12, 20)
IMAGENET = ImageInput("images", 12, 20, (123.7, 116.3, 103.5), (58.4, 57.1, 57.4), "bgr")


def values(pixels: np.ndarray, image: ImageInput = IMAGE) -> np.ndarray:
    made = (pixels - np.array(image.mean, np.float32)) / np.array(image.std, np.float32)
    return np.ascontiguousarray(made.transpose(0, 3, 1, 2), np.float32)


def test_it_says_the_same_of_a_graph_as_onnx_runtime(network: Network) -> None:
    path = network()
    model, other = OpenVinoModel(path), OnnxModel(path)
    assert (model.inputs, model.outputs, model.metadata) == (other.inputs, other.outputs, other.metadata)
    assert read_signature(path) == read_onnx(path)


@pytest.mark.parametrize("threads", [1, 2, 0])
def test_it_computes_the_same_as_onnx_runtime(threads: int, network: Network, pixels: np.ndarray) -> None:
    path, feed = network(channels=64), {"images": values(pixels), "size": SIZE}
    expected = OnnxModel(path).run(feed, OUTPUTS)
    made = OpenVinoModel(path, threads=threads).run(feed, OUTPUTS)
    for right, got in zip(expected, made, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("image", [IMAGE, IMAGENET], ids=["scaled", "mean_and_std"])
@pytest.mark.parametrize("sizes", [(1, 3, 12, 20), ("N", 3, "H", "W")], ids=["fixed", "open"])
def test_folded_equals_unfolded(
    image: ImageInput, sizes: tuple[int, ...], network: Network, pixels: np.ndarray
) -> None:
    path = network(sizes=sizes)
    model = OpenVinoModel(path, image=image, folded=True)
    assert model.inputs == {
        "images": TensorSpec("images", (1, 12, 20, 3), np.uint8),
        "size": TensorSpec("size", (1, 1), np.int64),
    }
    assert [item.shape for item in model.outputs.values()] == [(1, 4), (1, 4)]
    expected = OnnxModel(path).run({"images": values(pixels, image), "size": SIZE}, OUTPUTS)
    made = model.run({"images": pixels, "size": SIZE}, OUTPUTS)
    for right, got in zip(expected, made, strict=True):
        np.testing.assert_allclose(got, right, rtol=1e-3, atol=1e-4)


def test_an_image_may_fix_sizes_and_stay_outside(network: Network, pixels: np.ndarray) -> None:
    model = OpenVinoModel(network(sizes=("N", 3, "H", "W")), image=IMAGE)
    assert model.inputs["images"] == TensorSpec("images", (1, 3, 12, 20), np.float32)
    assert model.run({"images": values(pixels), "size": SIZE}, ["scores"])[0].shape == (1, 4)


def test_it_reads_arrays_anew_in_each_run_and_gives_views(network: Network, pixels: np.ndarray) -> None:
    model = OpenVinoModel(network(), image=IMAGE, folded=True)
    given = pixels.copy()
    (first,) = model.run({"images": given, "size": SIZE}, ["boxes"])
    kept = first.copy()
    given //= 4
    (second,) = model.run({"images": given, "size": SIZE}, ["boxes"])
    assert np.shares_memory(first, second)
    assert not np.allclose(kept, second)


def test_arrays_that_openvino_does_not_read_are_copied(network: Network, pixels: np.ndarray) -> None:
    model = OpenVinoModel(network())
    feed = {"images": values(pixels), "size": SIZE}
    expected = model.run(feed, ["boxes"])[0].copy()
    feed["images"].flags.writeable = False
    assert model.run(feed, ["boxes"])[0].tolist() == expected.tolist()
    strided = np.repeat(feed["images"], 2, axis=3)[..., ::2]
    assert model.run({**feed, "images": strided}, ["boxes"])[0].tolist() == expected.tolist()


def test_a_broken_promise_is_an_error_and_the_model_lives_on(network: Network, pixels: np.ndarray) -> None:
    model = OpenVinoModel(network())
    feed = {"images": values(pixels), "size": SIZE}
    for wrong in (feed["images"][:, :, :6], feed["images"].astype(np.float64)):
        with pytest.raises(RuntimeError):
            model.run({**feed, "images": wrong}, OUTPUTS)
    assert len(model.run(feed, OUTPUTS)) == 2


def test_fp32_is_not_bf16(network: Network, pixels: np.ndarray) -> None:
    path, feed = network(channels=64), {"images": values(pixels), "size": SIZE}
    (exact,) = OnnxModel(path).run(feed, ["boxes"])
    (fp32,) = OpenVinoModel(path, precision="fp32").run(feed, ["boxes"])
    np.testing.assert_allclose(fp32, exact, rtol=1e-4, atol=1e-5)
    if "bf16" not in precisions("CPU"):
        pytest.skip("this processor has no bfloat16")
    (bf16,) = OpenVinoModel(path, precision="bf16").run(feed, ["boxes"])
    assert np.abs(bf16 - exact).max() > 10 * np.abs(fp32 - exact).max()
    np.testing.assert_allclose(bf16, exact, rtol=0.1, atol=0.1)


def test_openvinos_own_format(network: Network, pixels: np.ndarray, tmp_path: Path) -> None:
    import openvino

    path = network()
    own = tmp_path / "own.xml"
    openvino.save_model(openvino.Core().read_model(path), own, compress_to_fp16=False)
    assert read_signature(own) == read_signature(path)
    feed = {"images": values(pixels), "size": SIZE}
    for one, other in zip(
        OpenVinoModel(own).run(feed, OUTPUTS), OpenVinoModel(path).run(feed, OUTPUTS), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-5)


def test_an_output_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    made = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 2]) for name in ("x", "y", "z")
    ]
    nodes = [onnx.helper.make_node("Neg", ["x"], ["y"]), onnx.helper.make_node("Identity", ["y"], ["z"])]
    graph = onnx.helper.make_graph(nodes, "g", made[:1], made[1:])
    path = tmp_path / "twice.onnx"
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
    )
    model = OpenVinoModel(path)
    assert list(model.outputs) == ["y", "z"]
    assert [part.tolist() for part in model.run({"x": np.float32([[1, 2]])}, ["z", "y"])] == [[[-1, -2]]] * 2


def test_quantised_graphs_run_in_integers(network: Network, pixels: np.ndarray, tmp_path: Path) -> None:
    """Activations are symmetric: with a zero point OpenVINO turns them back into floats first."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    path, small = network(channels=32), tmp_path / "int8.onnx"

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self._left = [{"images": values(pixels), "size": SIZE}]

        def get_next(self) -> dict[str, np.ndarray] | None:
            return self._left.pop() if self._left else None

    quantization.quantize_static(
        path, small, Reader(), per_channel=True, extra_options={"ActivationSymmetric": True}
    )
    feed = {"images": pixels, "size": SIZE}
    model = OpenVinoModel(small, image=IMAGE, folded=True)
    (expected,) = OpenVinoModel(path, image=IMAGE, folded=True).run(feed, ["boxes"])
    (made,) = model.run(feed, ["boxes"])
    np.testing.assert_allclose(made, expected, atol=0.1 * np.abs(expected).max())
    operators = [node.get_rt_info() for node in model.compiled.get_runtime_model().get_ops()]
    kernels = [
        found["primitiveType"].value for found in operators if found["layerType"].value == "Convolution"
    ]
    assert kernels
    assert all(kernel.lower().endswith("i8") for kernel in kernels)


def test_a_device_that_is_not_there_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match=r"device: expected one of .*CPU.*, got 'TPU'"):
        OpenVinoModel(network(), device="TPU")


def test_a_precision_that_nobody_knows_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one of fp32.* on CPU, got 'fp8'"):
        OpenVinoModel(network(), precision="fp8")


def test_an_image_that_does_not_fit_is_refused(network: Network, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected 'images' to take \[1, 3, 10, 20\]"):
        OpenVinoModel(network(), image=ImageInput("images", 10, 20))


@pytest.mark.parametrize("name", ["bad.onnx", "bad.xml", "bad.pb"])
def test_what_is_no_model_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"garbage")
    for opened in (OpenVinoModel, read_signature):
        with pytest.raises(
            ConfigurationError, match=r"is not a model that OpenVINO can read|ends with \.onnx"
        ):
            opened(tmp_path / name)
    with pytest.raises(ConfigurationError, match="found nothing at"):
        OpenVinoModel(tmp_path / "nothing.onnx")


def test_without_openvino_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert not is_installed()
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[openvino\]"):
        OpenVinoModel(tmp_path / "any.onnx")
