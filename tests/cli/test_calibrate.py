# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat calibrate` prints how fast this machine runs a detector."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.cli.calibrate import main
from lowlat_nodes.cli.main import main as lowlat
from lowlat_nodes.resources import cache_folder
from lowlat_nodes.stream.errors import ConfigurationError

FEW = ("-p", "backend.provider:=cpu", "-p", "backend.calibration.runs:=2")
# Two ways, however many cores there are.
LIBRARIES = (*FEW, "-p", "backend.threads:=1")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A detector of one output [1, 3, 6], which does not depend on the image."""
    onnx = pytest.importorskip("onnx")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = np.array([[[1, 2, 9, 9, 0.9, 0], [3, 2, 9, 9, 0.5, 1], [1, 5, 9, 9, 0.1, 0]]], np.float32)
    constants = {"rows": rows, "zero": np.zeros((1, 1, 1), np.float32)}
    nodes = [
        onnx.helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        onnx.helper.make_node("ReduceMean", ["mean"], ["mean1"], axes=[1]),
        onnx.helper.make_node("Mul", ["mean1", "zero"], ["none"]),
        onnx.helper.make_node("Add", ["rows", "none"], ["output0"]),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "detector",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, 32, 32])],
        [onnx.helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, [1, 3, 6])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(made, {"names": "{0: 'a', 1: 'b'}", "end2end": "True"})
    onnx.save(made, tmp_path / "detector.onnx")
    return str(tmp_path / "detector.onnx")


@pytest.mark.openvino
def test_it_prints_a_table(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([model, *LIBRARIES]) == 0
    head, names, *rows = capsys.readouterr().out.splitlines()
    assert head.startswith("backends timed at a load of ")
    assert names.split()[:4] == ["backend", "device", "threads", "spinning"]
    assert {row.lstrip("* ").split()[0] for row in rows} == {"openvino", "onnxruntime"}
    assert sum(row.startswith("*") for row in rows) == 1


@pytest.mark.openvino
def test_it_times_anew_and_keeps_the_result_if_it_is_told_to(
    model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([model, *LIBRARIES, "--json"]) == 0
    assert not cache_folder().exists()
    kept = (*LIBRARIES, "-p", "backend.calibration.cache:=true", "--json")
    assert main([model, *kept]) == 0
    assert main([model, *kept]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["cached"] for each in found] == [False, False, False]
    assert len([row for row in found[0]["rows"] if row["chosen"]]) == 1
    (kept_file,) = (cache_folder() / "calibration").iterdir()
    assert json.loads(kept_file.read_text(encoding="utf-8"))["unix_ns"] == found[2]["unix_ns"]


def test_where_nothing_is_left_to_time_it_says_so(model: str) -> None:
    with pytest.raises(ConfigurationError, match="one way to run the model, so there is nothing to time"):
        main([model, *LIBRARIES, "-p", "backend.kind:=onnxruntime"])


def test_wrong_models_and_parameters_are_usage(model: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert lowlat(["calibrate", "/nowhere/m.onnx"]) == 2
    assert "lowlat calibrate: expected an ONNX file, found nothing at" in capsys.readouterr().err
    assert lowlat(["calibrate", model, "-p", "backend.thread:=1"]) == 2
    assert "did you mean 'backend.threads'?" in capsys.readouterr().err
