# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A detector whose rows are all ties is still the same detector in each backend."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.inference.backend_settings import BackendSettings
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.vision.layouts.settings import LayoutSettings
from lowlat_nodes.vision.loading import load_detector

onnx = pytest.importorskip("onnx")

SIZE = 64
CELLS = 8 * 8 + 4 * 4 + 2 * 2
LIMIT = 20


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def end_to_end(tmp_path: Path) -> Path:
    """A graph of the end-to-end form: the best of boxes that all have nearly the same score."""
    make, random = onnx.helper.make_node, np.random.default_rng(0)
    corners = random.uniform(0, SIZE / 2, (1, CELLS, 2))
    boxes = np.concatenate([corners, corners + random.uniform(4, SIZE / 2, (1, CELLS, 2))], 2)
    constants = {
        "w": random.normal(0.0, 1e-3, (CELLS, 3, SIZE, SIZE)).astype(np.float32),
        "flat": np.array([1, CELLS], np.int64),
        "limit": np.array([LIMIT], np.int64),
        "boxes": boxes.astype(np.float32),
        "tiled": np.array([1, 1, 4], np.int64),
        "axis": np.array([2], np.int64),
        "number": np.zeros((1, LIMIT, 1), np.float32),
    }
    nodes = [
        make("Conv", ["images", "w"], ["c"]),
        make("Reshape", ["c", "flat"], ["logits"]),
        make("Sigmoid", ["logits"], ["scores"]),
        make("TopK", ["scores", "limit"], ["best", "index"], axis=1),
        make("Unsqueeze", ["index", "axis"], ["column"]),
        make("Tile", ["column", "tiled"], ["columns"]),
        make("GatherElements", ["boxes", "columns"], ["chosen"], axis=1),
        make("Unsqueeze", ["best", "axis"], ["score"]),
        make("Concat", ["chosen", "score", "number"], ["output0"], axis=2),
    ]
    graph = onnx.helper.make_graph(
        nodes,
        "detector",
        [onnx.helper.make_tensor_value_info("images", onnx.TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [onnx.helper.make_tensor_value_info("output0", onnx.TensorProto.FLOAT, [1, LIMIT, 6])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.helper.set_model_props(model, {"names": "{0: 'thing'}", "end2end": "True"})
    onnx.checker.check_model(model)
    onnx.save(model, tmp_path / "detector.onnx")
    return tmp_path / "detector.onnx"


def settings(**values: object) -> BackendSettings:
    return build(BackendSettings, {"provider": "cpu", "calibration.runs": 2, **values})


@pytest.mark.openvino
def test_ties_are_no_disagreement(end_to_end: Path) -> None:
    layout, loaded = load_detector(end_to_end, LayoutSettings(), settings(precision="auto"))
    assert (layout.name, layout.names, layout.refused) == ("end_to_end", ("thing",), 0)
    assert loaded.calibration is not None
    assert {row.candidate.backend for row in loaded.calibration.rows} == {"openvino", "onnxruntime"}
    assert not [row.error for row in loaded.calibration.rows if "reference" in row.error]
    feed = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    if not loaded.candidate.folded:
        feed = np.zeros((1, 3, SIZE, SIZE), np.float32)
    outputs = loaded.model.run({layout.image.name: feed, **layout.feed}, layout.outputs)
    rows = layout.decode(outputs, layout.place(SIZE, SIZE), 0.1, 100)
    assert len(rows) == LIMIT
    np.testing.assert_allclose(rows[:, 4], 0.5, atol=0.01)


def test_a_model_that_is_no_detector_is_refused(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4])
    y = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    path = tmp_path / "neg.onnx"
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8), path
    )
    with pytest.raises(ConfigurationError, match="expected one image input"):
        load_detector(path, LayoutSettings(), settings())


def test_the_metadata_are_those_of_the_file(end_to_end: Path) -> None:
    layout, loaded = load_detector(end_to_end, LayoutSettings(), settings(threads=1, kind="onnxruntime"))
    assert loaded.calibration is None
    assert tuple(ast.literal_eval(loaded.model.metadata["names"]).values()) == layout.names


def test_a_model_with_open_output_sizes_is_run_to_see_them(end_to_end: Path, tmp_path: Path) -> None:
    model = onnx.load(end_to_end)
    model.graph.node[-1].output[0] = "rows"
    for axis, (before, after) in enumerate((("rows", "part"), ("part", "less"), ("less", "output0"))):
        every = onnx.numpy_helper.from_array(np.ones((1, LIMIT, 6)[axis], np.bool_), f"every_{axis}")
        model.graph.initializer.append(every)
        model.graph.node.append(onnx.helper.make_node("Compress", [before, every.name], [after], axis=axis))
    for axis, name in enumerate("nml"):
        model.graph.output[0].type.tensor_type.shape.dim[axis].dim_param = name
    onnx.save(model, tmp_path / "open.onnx")
    layout, loaded = load_detector(
        tmp_path / "open.onnx", LayoutSettings(), settings(kind="onnxruntime", threads=1)
    )
    assert loaded.model.outputs["output0"].shape == (0, 0, 0)
    assert layout.name == "end_to_end"
