# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a model and images to an INT8 file, or to the layers that spoilt it."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

sys.path.insert(0, str(Path(__file__).parents[1] / "train" / "quantisation"))

from cell_detector import TAIL_CONCAT, scene, write_cell_detector, write_scenes  # noqa: E402

from lowlat_nodes.cli.main import main as lowlat  # noqa: E402
from lowlat_nodes.cli.quantize import main  # noqa: E402
from lowlat_nodes.inference.onnx import read_signature  # noqa: E402
from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402

ORT = ("--runtime", "onnxruntime", "--calibrate", "3")


@pytest.fixture
def cell_model(tmp_path: Path) -> Path:
    return write_cell_detector(tmp_path / "cells.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "scenes", 8)


def _report(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_a_model_becomes_an_int8_model(
    cell_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = folder / "labels.json"
    code, report = _report(capsys, cell_model, "--images", folder, "--labels", labels, *ORT)
    out = cell_model.with_name("cells_int8.onnx")
    assert code == 0
    assert report["passed"] is True
    assert report["reasons"] == report["excluded"] == report["layers"] == []
    assert report["reference"] == "labels"
    assert report["ap_fp32"] == pytest.approx(1.0)
    assert abs(report["drop"]) < 0.01
    assert report["drop"] == pytest.approx(report["ap_fp32"] - report["ap_int8"])
    assert 0.9 < report["score_ratio"] < 1.1
    assert report["bytes"] == out.stat().st_size < cell_model.stat().st_size
    assert report["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert set(report["milliseconds"]) == {"fp32", "int8"}
    before, after = read_signature(cell_model), read_signature(out)
    assert after.inputs == before.inputs
    assert after.outputs == before.outputs
    assert before.metadata.items() < after.metadata.items()
    digest = hashlib.sha256(cell_model.read_bytes()).hexdigest()
    assert after.metadata["quantised_from"] == report["quantised_from"] == digest
    onnx.checker.check_model(onnx.load(out), full_check=True)


@pytest.mark.openvino
def test_the_file_for_openvino_runs_in_both(
    cell_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from lowlat_nodes.inference.onnx import OnnxModel
    from lowlat_nodes.inference.openvino import OpenVinoModel

    code, report = _report(capsys, cell_model, "--images", folder, "--calibrate", "3")
    assert code == 0
    assert report["runtime"] == "openvino"
    assert report["reference"] == "fp32 model"
    out = Path(report["out"])
    feed = {"images": np.ascontiguousarray(scene(3)[0].astype(np.float32).transpose(2, 0, 1)[None] / 255)}
    results = [
        model(path).run(feed, ["output0"])[0]
        for model in (OnnxModel, OpenVinoModel)
        for path in (out, cell_model)
    ]
    for result in results:
        np.testing.assert_allclose(result, results[1], atol=0.03)


def test_a_collapse_is_refused_and_the_layer_named(
    cell_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (cell_model, "--images", folder, "--include", TAIL_CONCAT, *ORT)
    code, report = _report(capsys, *arguments)
    assert code == 1
    assert report["passed"] is False
    assert report["score_ratio"] < 0.5
    assert report["layers"][0]["name"] == TAIL_CONCAT
    assert report["layers"][0]["damage"] > 0.9
    assert report["layers"][1]["damage"] < 0.1
    assert report["out"] is None
    assert not list(folder.parent.glob("*int8*"))
    assert main([str(argument) for argument in arguments]) == 1
    out, err = capsys.readouterr()
    assert "refused, nothing was written" in out
    assert "scores have collapsed" in out
    assert "--repair" in out
    assert "one by one" in err


def test_repair_keeps_the_worst_layers_in_floating_point(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, out = write_cell_detector(tmp_path / "outlier.onnx", outlier=3000.0), tmp_path / "repaired.onnx"
    arguments = (model, "--images", folder, "--labels", folder / "labels.json", "--out", out, *ORT)
    code, report = _report(capsys, *arguments)
    assert code == 1
    assert report["layers"][0]["damage"] > 0.5
    code, report = _report(capsys, *arguments, "--repair")
    assert code == 0
    assert report["excluded"] == [layer["name"] for layer in report["layers"][: len(report["excluded"])]]
    assert "think" in report["excluded"]
    assert report["passed"] is True
    assert read_signature(out).metadata["quantised_without"] == ",".join(report["excluded"])


def test_layers_can_be_ranked_anyway(
    cell_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(cell_model), "--images", str(folder), "--layers", *ORT]) == 0
    out, _ = capsys.readouterr()
    assert "No labels" in out
    assert "agreement with the fp32 model: 1.0000" in out
    assert "what each layer costs" in out
    assert "times as fast as fp32" in out
    assert "cells_int8.onnx" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["none.onnx", "--images", "scenes"], "found nothing at"),
        (["scenes/labels.json", "--images", "scenes"], "is no ONNX graph"),
        (["cells.onnx", "--images", "none"], "expected a folder of images"),
        (["cells.onnx", "--images", "."], "at least 2 images"),
        (["cells.onnx", "--images", "scenes", "--labels", "none.json"], "found nothing at"),
        (["cells.onnx", "--images", "scenes", "--out", "none/out.onnx"], "expected a folder"),
        (["cells.onnx", "--images", "scenes", "--out", "cells.onnx"], "another file than the model itself"),
        (["cells.onnx", "--images", "scenes", "--layout", "colour:=red"], "colour"),
        (["cells.onnx", "--shapes", "--labels", "scenes/labels.json"], "belong to --images"),
        (["cells.onnx", "--shapes", "2"], "expected a model of these"),
    ],
)
def test_what_is_wrong_is_said(
    arguments: list[str],
    said: str,
    cell_model: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if arguments[2] == ".":
        for image in sorted(folder.glob("*.png"))[1:]:
            image.unlink()
    monkeypatch.chdir(cell_model.parent)
    assert lowlat(["quantize", *arguments, *ORT]) == 2
    assert said in capsys.readouterr().err


def test_a_quantised_model_is_not_quantised_again(cell_model: Path, folder: Path) -> None:
    assert main([str(cell_model), "--images", str(folder), *ORT]) == 0
    with pytest.raises(ConfigurationError, match="quantised already"):
        main([str(cell_model.with_name("cells_int8.onnx")), "--images", str(folder), *ORT])


def test_images_of_nothing_cannot_judge(cell_model: Path, tmp_path: Path) -> None:
    import cv2

    (tmp_path / "grey").mkdir()
    for number in range(2):
        cv2.imwrite(str(tmp_path / "grey" / f"{number}.png"), np.full((64, 64, 3), 30, np.uint8))
    with pytest.raises(ConfigurationError, match="expected images of what it detects"):
        main([str(cell_model), "--images", str(tmp_path / "grey"), *ORT])


@pytest.mark.parametrize(
    ("further", "limit"),
    [((), "0.05"), (("--labels", "scenes/labels.json"), "0.01"), (("--max-drop", "0.2"), "0.2")],
)
def test_how_much_may_be_lost(
    further: tuple[str, ...],
    limit: str,
    cell_model: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder.parent)
    assert main([cell_model.name, "--images", "scenes", "--include", TAIL_CONCAT, *further, *ORT]) == 1
    assert f"expected {limit} at most" in capsys.readouterr().out
