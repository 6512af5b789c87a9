# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What crosses a place in a graph, and parts that are graphs of their own."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import onnx
import pytest
from graphs import FLOAT, WIDTH, branching, denoising, info, layers, save
from onnx import helper, numpy_helper

from lowlat_nodes.inference.onnx import OnnxModel, open_as_it_is
from lowlat_nodes.inference.segments.graph import Graph, Value
from lowlat_nodes.inference.segments.trial import try_out

X = np.random.default_rng(5).normal(size=(3, WIDTH)).astype(np.float32)
FEEDS = {
    "layers": (layers, {"x": X}),
    "branching, much": (branching, {"x": X}),
    "branching, little": (branching, {"x": X * 1e-3}),
    "denoising": (denoising, {"state": X, "noise": X[::-1].copy()}),
}


@pytest.mark.parametrize("name", FEEDS)
def test_parts_from_any_cut_make_what_the_whole_makes(name: str, tmp_path: Path) -> None:
    write, feed = FEEDS[name]
    path = write(tmp_path / "graph.onnx")
    model = onnx.load(path)
    graph = Graph(model)
    values = try_out(model, graph.made(), feed, threads=1, spinning=False).values
    whole = open_as_it_is(path.read_bytes())
    expected = dict(zip(graph.outputs, whole.run(list(graph.outputs), feed), strict=True))
    crossing = graph.crossing()
    for cut in range(1, graph.nodes):
        live: dict[str, np.ndarray] = dict(feed)
        for start, stop in itertools.pairwise([0, cut, graph.nodes]):
            part = graph.part(start, stop, values)
            if start:
                assert set(part.inputs) - set(feed) == set(crossing[cut])
            session = open_as_it_is(part.content)
            assert [item.name for item in session.get_inputs()] == list(part.inputs)
            made = session.run(list(part.outputs), {key: live[key] for key in part.inputs})
            live |= dict(zip(part.outputs, made, strict=True))
        for key, right in expected.items():
            np.testing.assert_array_equal(live[key], right, err_msg=f"{key}, cut before node {cut}")


def test_an_output_that_is_ready_crosses_only_what_reads_it_later(tmp_path: Path) -> None:
    graph = Graph(onnx.load(layers(tmp_path / "graph.onnx", 4)))
    crossing = graph.crossing()
    # m0 h0 m1 h1 m2 h2 m3 h3 y, and h0 is read by the last one
    assert crossing[0] == ()
    assert crossing[2] == ("h0",)
    assert set(crossing[6]) == {"h0", "h2"}
    assert set(crossing[8]) == {"h0", "h3"}


def test_constants_that_both_sides_read_are_known(tmp_path: Path) -> None:
    path, steps, depth = tmp_path / "policy.onnx", 3, 2
    model = onnx.load(denoising(path, steps, depth))
    graph = Graph(model)
    for place, size in enumerate(graph.shared()):
        before, after = (
            {name for node in nodes for name in node.input}
            for nodes in (model.graph.node[:place], model.graph.node[place:])
        )
        assert size == sum(item.ByteSize() for item in model.graph.initializer if item.name in before & after)
    assert graph.shared()[0] == 0
    assert max(graph.shared()) > depth * (8 * WIDTH) ** 2 * 4


def test_a_part_says_what_the_whole_says_and_has_only_the_constants_that_it_reads(tmp_path: Path) -> None:
    model = onnx.load(layers(tmp_path / "graph.onnx", 4))
    values = {name: Value(FLOAT, ("N", WIDTH), 0) for name in ("h0", "h1")}
    part = onnx.load_from_string(Graph(model).part(2, 4, values).content)
    assert [item.name for item in part.graph.initializer] == ["w1"]
    assert {item.key: item.value for item in part.metadata_props} == {"task": "nothing", "steps": "3"}
    assert list(part.opset_import) == list(model.opset_import)
    onnx.checker.check_model(part.SerializeToString())


def test_outputs_may_be_constants_or_inputs_as_they_came(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["a"]), helper.make_node("Abs", ["a"], ["y"])],
        "passing",
        [info("x", [2])],
        [info("y", [2]), info("table", [3]), info("x", [2])],
        [numpy_helper.from_array(np.arange(3, dtype=np.float32), "table")],
    )
    found = Graph(onnx.load(save(tmp_path / "graph.onnx", graph)))
    last = found.part(1, 2, {"a": Value(FLOAT, (2,), 8)})
    assert (last.inputs, last.outputs) == (("a", "x"), ("y", "table", "x"))
    given = {"a": np.float32([-1, 2]), "x": np.float32([1, -2])}
    made = open_as_it_is(last.content).run(["y", "table", "x"], given)
    for right, got in zip(([1, 2], [0, 1, 2], [1, -2]), made, strict=True):
        np.testing.assert_array_equal(got, right)


def test_the_trial_knows_kinds_sizes_and_times(tmp_path: Path) -> None:
    path = layers(tmp_path / "graph.onnx", 3)
    model = onnx.load(path)
    found = try_out(model, Graph(model).made(), {"x": X}, threads=1, spinning=False)
    assert found.values["m1"] == Value(FLOAT, ("N", WIDTH), X.nbytes)
    assert len(found.times_ns) == len(model.graph.node)
    assert sum(found.times_ns) > 0
    assert model.graph.node[0].name == ""  # the model is as it was


def test_an_optimised_graph_is_what_a_session_runs(tmp_path: Path) -> None:
    path, optimised = layers(tmp_path / "graph.onnx"), tmp_path / "optimised.onnx"
    whole = OnnxModel(path, optimised=optimised)
    again = open_as_it_is(optimised.read_bytes())
    np.testing.assert_array_equal(again.run(["y"], {"x": X})[0], whole.run({"x": X}, ["y"])[0])
