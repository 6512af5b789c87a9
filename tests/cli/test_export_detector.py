# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import ast
from pathlib import Path

import pytest

from lowlat_nodes.cli.main import main
from lowlat_nodes.cli.subcommands import EXIT_USAGE
from lowlat_nodes.inference.onnx import OnnxModel

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def weights() -> dict:
    """Those of a network for two classes."""
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import SCALES

    return YoloV10(SCALES["n"], 2).state_dict()


@pytest.fixture
def checkpoint(weights: dict, tmp_path: Path) -> Path:
    torch.save(weights, tmp_path / "best.pt")
    return tmp_path / "best.pt"


def export(checkpoint: Path, *options: str) -> int:
    output = str(checkpoint.with_suffix(".onnx"))
    return main(["export", "detector", str(checkpoint), "--scale", "N", "-o", output, *options])


def test_a_checkpoint_becomes_a_file_that_runs(
    checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_text("cup\ntea pot\n")
    assert export(checkpoint, "--size", "64x96", "--names", str(tmp_path / "names.txt")) == 0
    assert "YOLOv10-N, 2 classes, 96 x 64 px, end_to_end" in capsys.readouterr().err
    file = OnnxModel(checkpoint.with_suffix(".onnx"))
    assert file.inputs["images"].shape == (1, 3, 64, 96)
    assert ast.literal_eval(file.metadata["names"]) == {0: "cup", 1: "tea pot"}


def test_classes_without_names_are_numbered(checkpoint: Path) -> None:
    assert export(checkpoint, "--size", "64", "--form", "one_to_many") == 0
    file = OnnxModel(checkpoint.with_suffix(".onnx"))
    assert file.outputs["output0"].shape == (1, 6, 84)
    assert ast.literal_eval(file.metadata["names"]) == {0: "0", 1: "1"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "640x"], "--size: expected a number of px such as 640, or 480x640, got '640x'"),
        (["--size", "1x2x3"], "--size: expected"),
        (["--size", "100"], "multiples of 32 px, got height 100, width 100"),
        (["--scale", "huge"], "expected one of n, s, m, b, l, x, got 'huge'"),
        (["--names", "coco", "--size", "64"], "class names: expected 2, one for each class, got 80"),
        (["--names", "nowhere.txt"], "--names: expected coco, or a text file"),
        (["-o", "model.pt"], "expected the name of an .onnx file, got model.pt"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[str], message: str, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(checkpoint, *options) == EXIT_USAGE
    assert message in capsys.readouterr().err
    assert not checkpoint.with_suffix(".onnx").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"cup\n\npot\n", "line 2 is empty"),
        (b"\xff\xfe", "expected coco, or a text file"),
        (b"x" * (1 << 21), "expected at most 1048576 bytes"),
    ],
)
def test_a_file_that_holds_no_names_is_refused(
    content: bytes, message: str, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "names.txt").write_bytes(content)
    assert export(checkpoint, "--names", str(tmp_path / "names.txt")) == EXIT_USAGE
    assert message in capsys.readouterr().err
