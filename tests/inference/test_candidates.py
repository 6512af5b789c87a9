# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which ways to run a model the parameters, the file and the machine leave."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.inference.candidates import Candidate, candidates
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.onnx import available_providers
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

ONNX, XML, PT = Path("m.onnx"), Path("m.xml"), Path("m.pt")
IMAGE = ImageInput("images", 12, 20)


def ways(path: Path = ONNX, cores: int = 4, load: float = 0.0, **values: Any) -> list[Candidate]:
    return candidates(path, build(BackendSettings, values), IMAGE, cores=cores, load_average=load)


def threads(found: list[Candidate]) -> list[tuple[int, bool]]:
    return [(each.threads, each.spinning) for each in found]


@pytest.mark.parametrize(
    ("cores", "load", "expected"),
    [
        (1, 0.0, [(1, False)]),
        (2, 0.0, [(1, False), (2, False), (2, True)]),
        (2, 0.4, [(1, False), (2, False), (2, True)]),
        (2, 0.9, [(1, False), (2, False)]),
        (3, 0.0, [(1, False), (2, False), (2, True), (3, False), (3, True)]),
        (16, 0.0, [(1, False), (2, False), (2, True), (4, False), (4, True)]),
        (16, 13.0, [(1, False), (2, False), (2, True), (4, False)]),
        (16, 40.0, [(1, False), (2, False), (4, False)]),
    ],
)
def test_threads_spin_only_on_cores_that_are_free(
    cores: int, load: float, expected: list[tuple[int, bool]]
) -> None:
    assert threads(ways(kind="onnxruntime", provider="cpu", cores=cores, load=load)) == expected


def test_spinning_as_it_is_told() -> None:
    off = ways(kind="onnxruntime", provider="cpu", spinning="never", cores=2)
    assert threads(off) == [(1, False), (2, False)]
    on = ways(kind="onnxruntime", provider="cpu", spinning="always", cores=2, load=9.0)
    assert threads(on) == [(1, False), (2, True)]


def test_one_way_is_left_where_all_is_said() -> None:
    told = {"kind": "onnxruntime", "provider": "cpu", "threads": 3, "spinning": "never"}
    assert ways(**told) == [Candidate("onnxruntime", "cpu", 3)]


@pytest.mark.openvino
def test_openvino_takes_pixels_and_the_precisions_of_the_device() -> None:
    assert ways(kind="openvino", cores=2) == [
        Candidate("openvino", "CPU", 1, folded=True),
        Candidate("openvino", "CPU", 2, folded=True),
    ]
    assert ways(XML, cores=2) == ways(kind="openvino", cores=2)
    found = ways(kind="openvino", precision="auto", cores=1)
    assert found[0] == Candidate("openvino", "CPU", 1, folded=True)
    assert {each.threads for each in found} == {1}


@pytest.mark.openvino
def test_both_libraries_compete_for_an_onnx_file() -> None:
    found = ways(provider="cpu", cores=1)
    assert [(each.backend, each.folded) for each in found] == [("openvino", True), ("onnxruntime", False)]
    assert [each.backend for each in ways(provider="cuda", cores=1)] == ["onnxruntime"]


def test_without_openvino_only_the_other_competes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert {each.backend for each in ways()} == {"onnxruntime"}
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[openvino\]"):
        ways(kind="openvino")


def test_a_provider_that_is_asked_for_is_the_only_one() -> None:
    assert [(each.device, each.threads) for each in ways(provider="cuda")] == [("cuda", 1)]
    found = ways(provider="tensorrt", precision="auto")
    assert [(each.device, each.precision) for each in found] == [("tensorrt", "fp32"), ("tensorrt", "fp16")]


def test_without_a_wish_tensorrt_is_not_tried() -> None:
    devices = {each.device for each in ways(kind="onnxruntime")}
    assert devices == {"cpu", *({"cuda"} & set(available_providers()))}


@pytest.mark.torch
def test_programs_are_run_by_torch() -> None:
    assert ways(PT, provider="cpu", cores=2) == [Candidate("torch", "cpu", 1), Candidate("torch", "cpu", 2)]
    assert [each.device for each in ways(PT, provider="cuda")] == ["cuda"]


def test_without_torch_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[torch\]"):
        ways(PT)


@pytest.mark.parametrize(
    ("path", "values", "words"),
    [
        (PT, {"kind": "onnxruntime"}, r"onnxruntime runs \.onnx files, got m\.pt"),
        (ONNX, {"kind": "torch"}, r"torch runs \.pt files, got m\.onnx"),
        (Path("m.pth"), {}, r"expected a model that ends with one of \.onnx, \.pt, \.xml"),
        (
            ONNX,
            {"kind": "onnxruntime", "precision": "bf16"},
            "nothing computes in bf16 with kind onnxruntime",
        ),
        (ONNX, {"provider": "cuda", "precision": "fp16"}, "nothing computes in fp16 .* provider cuda"),
    ],
)
def test_wishes_that_exclude_each_other_are_refused(path: Path, values: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        ways(path, **values)


@pytest.mark.parametrize(
    "values", [{"kind": "openvino", "provider": "cuda"}, {"kind": "torch", "provider": "tensorrt"}]
)
def test_settings_that_exclude_each_other_are_refused(values: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="provider: "):
        build(BackendSettings, values)


@pytest.mark.openvino
def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"device: expected one of .*CPU"):
        ways(kind="openvino", device="TPU")
