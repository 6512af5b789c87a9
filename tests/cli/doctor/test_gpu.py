# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GPUs, drivers and libraries that fit each other, and such that do not."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.cli.doctor import gpu
from lowlat_nodes.cli.doctor.examination import Examination
from lowlat_nodes.cli.doctor.finding import Level

TORCH = {
    "version": "2.13.0",
    "cuda": "12.6",
    "available": True,
    "built_for": ["sm_80", "sm_90"],
    "gpu": "sm_86",
    "sum": 4.0,
}


def test_onnx_runtime_of_this_machine() -> None:
    one, providers = gpu.onnxruntime(Examination(os.environ, ends_s=math.inf), gpu=False)
    assert (one.level, providers.level) == (Level.OK, Level.OK)
    assert "CPU" in providers.found


def test_two_onnx_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "onnxruntime_gpu-1.20.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.20.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    found = next(gpu.onnxruntime(Examination({}), gpu=False))
    assert found.level is Level.PROBLEM
    assert "onnxruntime-gpu 1.20.0 are installed into the same folder" in found.found


def test_a_library_that_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('libcudart.so.12: not found')\n")
    examination = Examination({**os.environ, "PYTHONPATH": str(tmp_path)}, ends_s=math.inf)
    *_, found = gpu.onnxruntime(examination, gpu=False)
    assert found.level is Level.PROBLEM
    assert found.found == "Importing onnxruntime fails: ImportError: libcudart.so.12: not found."


def test_gpus_on_the_bus(tmp_path: Path) -> None:
    for name, vendor, kind in (
        ("a", "0x10de", "0x030000"),
        ("b", "0x10de", "0x040300"),
        ("c", "0x8086", "0x030000"),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "vendor").write_text(vendor + "\n")
        (tmp_path / name / "class").write_text(kind + "\n")
    (tmp_path / "d").mkdir()
    assert gpu.hardware(tmp_path) == 1


@pytest.mark.parametrize(
    ("present", "names", "refused", "loaded", "level"),
    [
        (0, [], "no library", False, Level.NOTE),
        (1, ["A100"], "", True, Level.OK),
        (1, [], "no library", False, Level.WARNING),
        (1, [], "version mismatch", True, Level.PROBLEM),
        (1, [], "install it with: pip install 'lowlat_nodes[energy]'", True, Level.NOTE),
    ],
)
def test_driver(present: int, names: list[str], refused: str, loaded: bool, level: Level) -> None:
    assert gpu.judge_driver(present, names, refused, loaded).level is level


@pytest.mark.parametrize(
    ("changes", "there", "level", "words"),
    [
        ({}, True, Level.OK, "uses the GPU with CUDA 12.6"),
        ({"gpu": "sm_120"}, True, Level.PROBLEM, "has no kernels for this GPU (sm_120)"),
        ({"gpu": "sm_120", "built_for": ["sm_90", "compute_90"]}, True, Level.OK, "uses the GPU"),
        ({"sum": 3.0}, True, Level.PROBLEM, "computes wrongly"),
        ({"available": False}, True, Level.PROBLEM, "finds no GPU"),
        ({"available": False, "cuda": None}, True, Level.WARNING, "built without CUDA"),
        ({"available": False, "cuda": None}, False, Level.OK, "runs on the processor"),
    ],
)
def test_torch(changes: dict[str, Any], there: bool, level: Level, words: str) -> None:
    found = gpu.judge_torch({**TORCH, **changes}, gpu=there)
    assert (found.level, words in found.found) == (level, True), found.found


@pytest.mark.parametrize(
    ("providers", "there", "level"),
    [
        (["CPUExecutionProvider"], False, Level.OK),
        (["CPUExecutionProvider"], True, Level.WARNING),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], True, Level.OK),
    ],
)
def test_providers(providers: list[str], there: bool, level: Level) -> None:
    assert gpu.judge_providers({"version": "1.20", "providers": providers}, gpu=there).level is level
