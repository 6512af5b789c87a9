# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: what a graph says, how it is run, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.inference.onnx import OnnxModel, available_providers, read_signature
from lowlat_nodes.inference.onnx_binding import Binding
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

onnxruntime = pytest.importorskip("onnxruntime")

Network = Callable[..., Path]
IMAGE = ImageInput("images", 12, 20)
SIZE = np.array([[3]], np.int64)
OUTPUTS = ["boxes", "scores"]


def values(pixels: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) / np.float32(255))


def test_a_graph_says_what_it_takes_and_gives(network: Network) -> None:
    path = network()
    model = OnnxModel(path)
    assert model.inputs == {
        "images": TensorSpec("images", (1, 3, 12, 20), np.float32),
        "size": TensorSpec("size", (1, 1), np.int64),
    }
    assert model.outputs == {name: TensorSpec(name, (1, 4), np.float32) for name in OUTPUTS}
    assert model.metadata == {"task": "detect", "stride": "2"}
    said = read_signature(path)
    assert (said.inputs, said.outputs, said.metadata) == (model.inputs, model.outputs, model.metadata)


def test_threads_and_spinning_change_nothing_about_the_result(network: Network, pixels: np.ndarray) -> None:
    path, feed = network(), {"images": values(pixels), "size": SIZE}
    expected = OnnxModel(path).run(feed, OUTPUTS)
    for threads, spinning in ((2, False), (2, True), (0, False)):
        made = OnnxModel(path, threads=threads, spinning=spinning).run(feed, OUTPUTS)
        for right, got in zip(expected, made, strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


def test_open_sizes_are_fixed_for_the_image(network: Network, pixels: np.ndarray) -> None:
    path = network(sizes=("N", 3, "H", "W"))
    assert OnnxModel(path).inputs["images"].shape == (0, 3, 0, 0)
    model = OnnxModel(path, image=IMAGE)
    assert [item.shape for item in model.inputs.values()] == [(1, 3, 12, 20), (1, 1)]
    assert [item.shape for item in model.outputs.values()] == [(1, 4), (1, 4)]
    assert len(model.run({"images": values(pixels), "size": SIZE}, OUTPUTS)) == 2


def test_an_image_that_does_not_fit_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match=r"expected 'images' to take \[1, 3, 10, 20\]"):
        OnnxModel(network(), image=ImageInput("images", 10, 20))
    with pytest.raises(ConfigurationError, match="its inputs are images, size"):
        OnnxModel(network(), image=ImageInput("pixels", 12, 20))


def test_bound_memory_is_the_same_in_every_run(network: Network, pixels: np.ndarray) -> None:
    """On the CPU here; on a graphics card only the device differs."""
    path = network()
    said = read_signature(path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    binding = Binding(session, said, "cpu")
    assert Binding.fits(said)
    for shift in (0, 40):
        feed = {"images": values(pixels // 2 + np.uint8(shift)), "size": SIZE}
        expected = OnnxModel(path).run(feed, OUTPUTS)
        made = binding.run(feed, OUTPUTS[::-1])[::-1]
        for right, got in zip(expected, made, strict=True):
            np.testing.assert_allclose(got, right, rtol=1e-4, atol=1e-5)


def test_open_sizes_cannot_be_bound(network: Network) -> None:
    assert not Binding.fits(read_signature(network(sizes=("N", 3, "H", "W"))))


@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_provider_that_is_not_there_is_refused(provider: str, network: Network) -> None:
    if provider in available_providers():
        pytest.skip(f"this ONNX Runtime has {provider}")
    words = f"provider {provider}: .* has .*CPUExecutionProvider; install onnxruntime-gpu"
    with pytest.raises(ConfigurationError, match=words):
        OnnxModel(network(), provider=provider)


def test_a_provider_that_nobody_knows_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="expected one of cpu, cuda, tensorrt, got 'tpu'"):
        OnnxModel(network(), provider="tpu")


@pytest.mark.parametrize("precision", ["fp16", "bf16"])
def test_a_precision_that_the_provider_has_not_is_refused(precision: str, network: Network) -> None:
    with pytest.raises(ConfigurationError, match=f"computes in that of the file; .* got '{precision}'"):
        OnnxModel(network(), precision=precision)


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x08\x12\x00" * 100])
def test_what_is_no_graph_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    for opened in (OnnxModel, read_signature):
        with pytest.raises(ConfigurationError, match=r"bad\.onnx is not a model that ONNX Runtime can load"):
            opened(path)


def test_half_a_graph_is_refused(network: Network) -> None:
    path = network()
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ConfigurationError, match="is not a model that ONNX Runtime can load"):
        OnnxModel(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected an ONNX file, found nothing at"):
        OnnxModel(tmp_path / "nothing.onnx")
    with pytest.raises(ConfigurationError, match="expected an ONNX file, found nothing at"):
        OnnxModel(tmp_path / "nothing.onnx", image=IMAGE, folded=True)


def test_a_type_that_nothing_can_feed_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    text = onnx.helper.make_tensor_value_info("text", onnx.TensorProto.STRING, [1])
    same = onnx.helper.make_tensor_value_info("same", onnx.TensorProto.STRING, [1])
    node = onnx.helper.make_node("Identity", ["text"], ["same"])
    graph = onnx.helper.make_graph([node], "text", [text], [same])
    path = tmp_path / "text.onnx"
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
    )
    with pytest.raises(
        ConfigurationError, match=r"'text' is a tensor\(string\); expected one of tensor\(flo"
    ):
        OnnxModel(path)


def test_without_onnxruntime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingExtra, match="pip install lowlat_nodes"):
        OnnxModel(tmp_path / "any.onnx")
