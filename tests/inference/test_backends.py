# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A model is loaded in the way that the parameters say, or in the best one."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.inference import machine
from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.inference.backends import Loaded, load, signature
from lowlat_nodes.inference.calibration import never
from lowlat_nodes.inference.calibration_turn import turn
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.resources import cache_folder
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

Network = Callable[..., Path]
IMAGE = ImageInput("images", 12, 20)
SIZE = {"size": np.array([[3]], np.int64)}
ORT = {"kind": "onnxruntime", "provider": "cpu"}

several_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core leaves one way")


def loaded(path: Path, image: ImageInput | None = IMAGE, **values: Any) -> Loaded:
    settings = build(BackendSettings, {"calibration": {"runs": 3, "limit_s": 0.5}, **values})
    return load(path, settings, image, further=SIZE, outputs=["scores"])


def scores(found: Loaded, pixels: np.ndarray) -> np.ndarray:
    if found.candidate.folded:
        image = pixels
    else:
        image = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2) / np.float32(255))
    return found.model.run({"images": image, **SIZE}, ["scores"])[0].copy()


def test_whatever_is_chosen_is_right(network: Network, pixels: np.ndarray) -> None:
    path = network(sizes=("N", 3, "H", "W"))
    found = loaded(path, provider="cpu")
    expected = loaded(path, **ORT, threads=1)
    assert expected.calibration is None
    np.testing.assert_allclose(scores(found, pixels), scores(expected, pixels), rtol=1e-3, atol=1e-4)
    assert found.calibration is not None
    assert found.calibration.best == found.candidate
    assert not found.calibration.cached
    for row in found.calibration.rows:
        assert row.error in {"", "stopped: far behind the best"}
        assert row.apart is not None
        assert row.apart < 1e-3


@several_cores
def test_the_next_start_takes_it_from_the_cache(network: Network) -> None:
    path = network()
    first = loaded(path, **ORT).calibration
    second = loaded(path, **ORT)
    assert first is not None
    assert second.calibration is not None
    if first.best.spinning != second.candidate.spinning:
        pytest.skip("the load of this machine has changed")
    assert second.calibration.cached
    assert second.calibration.rows == first.rows
    assert second.candidate == first.best


@several_cores
def test_it_is_timed_anew_on_request_and_that_is_kept(network: Network) -> None:
    path, settings = network(), build(BackendSettings, {**ORT, "spinning": "never", "calibration.runs": 2})
    first = load(path, settings, IMAGE, further=SIZE).calibration
    second = load(path, settings, IMAGE, further=SIZE, anew=True).calibration
    third = load(path, settings, IMAGE, further=SIZE).calibration
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.cached, second.cached, third.cached) == (False, False, True)
    assert third.unix_ns == second.unix_ns > first.unix_ns


@several_cores
def test_whoever_waits_for_the_calibration_of_another_takes_its_result(network: Network) -> None:
    path, settings = network(), build(BackendSettings, {**ORT, "spinning": "never", "calibration.runs": 2})
    load(path, settings, IMAGE, further=SIZE)
    (file,) = (cache_folder() / "calibration").iterdir()
    content = file.read_bytes()
    file.unlink()
    waiting, found = threading.Event(), list[Loaded]()

    def asked() -> bool:
        waiting.set()
        return False

    late = threading.Thread(
        target=lambda: found.append(load(path, settings, IMAGE, further=SIZE, stop=asked))
    )
    with turn(never):
        late.start()
        assert waiting.wait(60.0)
        file.write_bytes(content)
    late.join()
    assert found[0].calibration is not None
    assert found[0].calibration.cached


@several_cores
@pytest.mark.parametrize("change", ["settings", "image", "machine", "model", "garbage", "off"])
def test_under_other_circumstances_it_is_timed_anew(
    change: str, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = network(sizes=("N", 3, "H", "W"))
    values, image = {**ORT, "spinning": "never"}, IMAGE
    assert not loaded(path, image, **values).calibration.cached
    assert loaded(path, image, **values).calibration.cached
    if change == "settings":
        values["calibration"] = {"runs": 2}
    elif change == "image":
        image = ImageInput("images", 16, 20)
    elif change == "machine":
        described = {**machine.describe(), "processor": "another"}
        monkeypatch.setattr(machine, "describe", lambda: described)
    elif change == "model":
        path = network(sizes=("N", 3, "H", "W"), channels=12)
    elif change == "garbage":
        for file in (cache_folder() / "calibration").iterdir():
            file.write_bytes(b"garbage")
    else:
        values["calibration"] = {"cache": False}
    assert not loaded(path, image, **values).calibration.cached


@several_cores
def test_without_the_cache_nothing_is_written(network: Network) -> None:
    assert loaded(network(), **ORT, calibration={"cache": False, "runs": 2}).calibration is not None
    assert not cache_folder().exists()


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


@several_cores
def test_threads_of_what_was_rejected_are_gone(network: Network) -> None:
    path = network()
    OnnxModel(path)
    before = _threads()
    found = loaded(path, **ORT, spinning="never")
    left = _threads() - before
    assert left == found.candidate.threads - 1


@pytest.mark.openvino
def test_one_library_that_cannot_run_a_model_is_no_obstacle(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    images, inverses = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 12, 12])
        for name in ("images", "inverses")
    )
    # An operator of ONNX Runtime's own, which OpenVINO does not know.
    node = onnx.helper.make_node("Inverse", ["images"], ["inverses"], domain="com.microsoft")
    graph = onnx.helper.make_graph([node], "inverse", [images], [inverses])
    opsets = [onnx.helper.make_opsetid("", 13), onnx.helper.make_opsetid("com.microsoft", 1)]
    path = tmp_path / "inverse.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    settings = build(BackendSettings, {"provider": "cpu", "threads": 1, "calibration.runs": 2})
    found = load(path, settings, ImageInput("images", 12, 12))
    assert found.candidate.backend == "onnxruntime"
    assert found.calibration is not None
    assert "Inverse" in found.calibration.rows[0].error


def test_a_model_that_loads_but_does_not_run_is_refused(network: Network) -> None:
    settings = build(BackendSettings, {**ORT, "threads": 1, "spinning": "never"})
    with pytest.raises(ConfigurationError, match=r"network\.onnx loads, but does not run: "):
        load(network(), settings, IMAGE, further=SIZE, outputs=["nonsense"])


def test_a_provider_that_is_not_there_is_refused(network: Network) -> None:
    with pytest.raises(ConfigurationError, match="install onnxruntime-gpu"):
        loaded(network(), provider="tensorrt")
    with pytest.raises(ConfigurationError, match=r"none does:\n(.*\n)*.*install onnxruntime-gpu"):
        loaded(network(), provider="tensorrt", precision="auto")


def test_missing_and_corrupt_files_are_refused(tmp_path: Path) -> None:
    for name in ("nothing.onnx", "nothing.xml", "nothing.pt"):
        with pytest.raises(ConfigurationError, match=r"found nothing at|not installed"):
            loaded(tmp_path / name)
    (tmp_path / "bad.onnx").write_bytes(b"garbage")
    with pytest.raises(ConfigurationError, match="is not a model that ONNX Runtime can load"):
        loaded(tmp_path / "bad.onnx")


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_a_torchscript_program(tmp_path: Path, pixels: np.ndarray) -> None:
    torch = pytest.importorskip("torch")
    from lowlat_nodes.inference.torchscript import save

    class Net(torch.nn.Module):
        def forward(self, images: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            mean = images.mean(dim=[2, 3])
            return mean * size, torch.sigmoid(mean)

    path = tmp_path / "net.pt"
    inputs = {"images": torch.zeros(1, 3, 12, 20), "size": torch.zeros(1, 1, dtype=torch.int64)}
    save(torch.jit.script(Net()), path, inputs, {"task": "detect"}, outputs=("boxes", "scores"))
    assert list(signature(path).outputs) == ["boxes", "scores"]
    before = torch.get_num_threads()
    try:
        found = loaded(path, provider="cpu")
        expected = 1 / (1 + np.exp(-pixels.mean((1, 2)) / 255))
        np.testing.assert_allclose(scores(found, pixels), expected, rtol=1e-5)
        assert torch.get_num_threads() == found.candidate.threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.openvino
def test_openvinos_own_format(network: Network, tmp_path: Path, pixels: np.ndarray) -> None:
    import openvino

    path = network()
    own = tmp_path / "own.xml"
    openvino.save_model(openvino.Core().read_model(path), own)
    assert signature(own).metadata == signature(path).metadata
    found = loaded(own)
    expected = scores(loaded(path, **ORT, threads=1), pixels)
    np.testing.assert_allclose(scores(found, pixels), expected, rtol=1e-2, atol=1e-3)
