# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Models in parts: the same results, turns in between, and no part longer than wished."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from graphs import WIDTH, branching, counting, denoising, layers

from lowlat_nodes import resources
from lowlat_nodes.inference.example import example
from lowlat_nodes.inference.image_input import ImageInput
from lowlat_nodes.inference.model import Model, Signature
from lowlat_nodes.inference.onnx import OnnxModel, open_as_it_is
from lowlat_nodes.inference.segments.cut import cut
from lowlat_nodes.inference.segments.graph import Graph
from lowlat_nodes.inference.segments.plan import plan
from lowlat_nodes.inference.segments.segmented import OpenPart, SegmentedModel
from lowlat_nodes.inference.segments.trial import try_out
from lowlat_nodes.inference.turn import Unshared
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

Feed = dict[str, np.ndarray]


class Counting(Unshared):
    """Counts how often somebody else might have had the device."""

    def __init__(self) -> None:
        self.gaps = 0

    def between(self) -> None:
        self.gaps += 1


def drawn(seed: int, rows: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH)).astype(np.float32)


def in_parts(path: Path, feed: Feed, *places: int, turn: Any = None) -> SegmentedModel:
    """Return a graph cut before these nodes."""
    graph = Graph(onnx.load(path))
    whole = OnnxModel(path)
    values = try_out(onnx.load(path), graph.made(), feed, threads=1, spinning=False).values
    parts = [graph.part(*edges, values) for edges in itertools.pairwise([0, *places, graph.nodes])]
    opened = [OpenPart(part, open_as_it_is(part.content)) for part in parts]
    said = Signature(whole.inputs, whole.outputs, whole.metadata)
    return SegmentedModel(path, said, opened, turn or Counting())


def unfused(path: Path, feed: Feed, outputs: list[str]) -> list[np.ndarray]:
    made: list[np.ndarray] = open_as_it_is(path.read_bytes()).run(outputs, feed)
    return made


def test_it_is_a_model_with_what_the_file_says(tmp_path: Path) -> None:
    path = layers(tmp_path / "graph.onnx")
    whole: Model = OnnxModel(path)
    model: Model = in_parts(path, {"x": drawn(0)}, 4, 8)
    assert (model.path, model.inputs, model.outputs) == (path, whole.inputs, whole.outputs)
    assert model.metadata == whole.metadata == {"task": "nothing", "steps": "3"}


@pytest.mark.parametrize("places", [(1,), (4, 8), (2, 3, 5, 9, 12)])
def test_results_are_those_of_the_whole_whatever_is_fed(places: tuple[int, ...], tmp_path: Path) -> None:
    path, turn = layers(tmp_path / "graph.onnx"), Counting()
    model = in_parts(path, {"x": drawn(0)}, *places, turn=turn)
    for run, rows in enumerate((3, 3, 3, 1, 5, 3, 1, 1, 7, 2, 6, 9, 11, 13, 4, 3)):
        feed = {"x": drawn(run, rows)}
        expected = unfused(path, feed, ["h2", "y"])
        turn.gaps = 0
        for right, got in zip(expected, model.run(feed, ["h2", "y"]), strict=True):
            np.testing.assert_array_equal(got, right)
        assert turn.gaps == len(places)


def test_only_what_is_asked_for_is_returned(tmp_path: Path) -> None:
    path, feed = layers(tmp_path / "graph.onnx"), {"x": drawn(0)}
    model = in_parts(path, feed, 5)
    for _ in range(3):
        (found,) = model.run(feed, ["h2"])
        np.testing.assert_array_equal(found, unfused(path, feed, ["h2"])[0])


def test_inputs_that_are_not_contiguous_are_read_right(tmp_path: Path) -> None:
    path = layers(tmp_path / "graph.onnx")
    model = in_parts(path, {"x": drawn(0)}, 4)
    wide = np.asfortranarray(np.random.default_rng(3).normal(size=(3, 2 * WIDTH)).astype(np.float32))
    feed = {"x": wide[:, ::2]}
    for _ in range(3):
        expected = unfused(path, {"x": np.ascontiguousarray(feed["x"])}, ["y"])
        np.testing.assert_array_equal(model.run(feed, ["y"])[0], expected[0])


def test_sizes_that_hang_on_values_are_those_of_each_run(tmp_path: Path) -> None:
    path = counting(tmp_path / "graph.onnx")
    model = in_parts(path, {"x": drawn(0)}, 2, 3)
    sizes = set()
    for seed in range(8):
        feed = {"x": drawn(seed)}
        (found,) = model.run(feed, ["y"])
        np.testing.assert_array_equal(found, unfused(path, feed, ["y"])[0])
        sizes.add(len(found))
    assert len(sizes) > 1  # else this says nothing


def test_an_error_of_a_part_is_raised_and_the_next_run_is_right(tmp_path: Path) -> None:
    path, feed = layers(tmp_path / "graph.onnx"), {"x": drawn(0)}
    model = in_parts(path, feed, 4)
    for _ in range(2):
        model.run(feed, ["y"])
    with pytest.raises(Exception, match=r"(?i)invalid|dimension"):
        model.run({"x": np.zeros((3, WIDTH + 1), np.float32)}, ["y"])
    np.testing.assert_array_equal(model.run(feed, ["y"])[0], unfused(path, feed, ["y"])[0])


def test_whoever_gives_way_for_good_stops_the_run(tmp_path: Path) -> None:
    class Refusing(Unshared):
        """Refuses once a run: after a timeout the job is over, and nobody gives way any more."""

        asked = 0

        def between(self) -> None:
            self.asked += 1
            if self.asked == 1:
                raise TimeoutError("the device is not to be had")

    path, feed = layers(tmp_path / "graph.onnx"), {"x": drawn(0)}
    model = in_parts(path, feed, 4, 8)
    for run in range(4):
        if run:
            model.run(feed, ["y"])
        model.turn = Refusing()
        with pytest.raises(TimeoutError, match="not to be had"):
            model.run(feed, ["y"])
        assert model.turn.asked == 1
        model.turn = Counting()
        np.testing.assert_array_equal(model.run(feed, ["y"])[0], unfused(path, feed, ["y"])[0])


def test_a_graph_with_branches_is_cut_around_them(tmp_path: Path) -> None:
    path, feed = branching(tmp_path / "graph.onnx"), {"x": drawn(0)}
    for place in range(1, 6):
        model = in_parts(path, feed, place)
        for scale in (1.0, 1e-3, 1.0):
            given = {"x": drawn(1) * np.float32(scale)}
            np.testing.assert_array_equal(model.run(given, ["y"])[0], unfused(path, given, ["y"])[0])


def fed(**feed: np.ndarray) -> Any:
    def make(_model: Model) -> Mapping[str, np.ndarray]:
        return feed

    return make


def test_a_policy_is_cut_between_its_steps(tmp_path: Path) -> None:
    steps, depth = 6, 4
    model = onnx.load(denoising(tmp_path / "policy.onnx", steps, depth))
    graph = Graph(model)
    feed = {"state": drawn(0, 64), "noise": drawn(1, 64)}
    values = try_out(model, graph.made(), feed, threads=1, spinning=False).values
    sizes = [sum(values[name].size for name in names) for names in graph.crossing()]
    of_a_step = 2.0 * depth + 5.0
    for longest in (of_a_step + 2.0, 2.0 * of_a_step + 2.0):
        cuts = plan([1.0] * graph.nodes, [30_000.0 + size / 4.0 for size in sizes], longest, 32)
        assert len(cuts) >= 2
        for place in cuts:
            assert {name.rstrip("0123456789") for name in graph.crossing()[place]} <= {
                "condition", "chunk", "seen", "speed", "moved",
            }  # fmt: skip


def test_a_model_that_takes_long_is_cut_into_short_parts(tmp_path: Path) -> None:
    path = denoising(tmp_path / "policy.onnx", 8, depth=12)
    feed = {"state": drawn(0, 256), "noise": drawn(1, 256)}
    found = cut(path, 2.0, fed(**feed))  # a fast core takes 20 ms for all of it
    assert 4 <= len(found.times_ns) <= 32
    assert max(found.times_ns) < found.whole_ns / 2.0
    few = cut(path, 2.0, fed(**feed), most=3)
    assert len(few.times_ns) == 3
    assert "in 3 parts" in few.as_text()
    for each in (found, few):
        np.testing.assert_array_equal(
            each.model.run(feed, ["actions"])[0], unfused(path, feed, ["actions"])[0]
        )


@pytest.mark.parametrize("name", ["shapes", "reach_flow", "alerts", "table_prefix"])
def test_the_models_that_ship_give_the_same_bits_in_parts(name: str, tmp_path: Path) -> None:
    path, optimised = resources.model(name), tmp_path / "optimised.onnx"
    image = ImageInput("images", 320, 320) if name == "shapes" else None
    whole, turn = OnnxModel(path, image=image, optimised=optimised), Counting()
    feed = example(whole, image, {})
    nodes = len(onnx.load(optimised).graph.node)
    model = in_parts(optimised, feed, nodes // 5, nodes // 2, nodes - 9, turn=turn)
    random = np.random.default_rng(7)
    for _ in range(3):
        feed = {
            key: random.random(array.shape, np.float32) if array.dtype == np.float32 else array
            for key, array in feed.items()
        }
        expected = whole.run(feed, list(whole.outputs))
        for right, got in zip(expected, model.run(feed, list(whole.outputs)), strict=True):
            np.testing.assert_array_equal(got, right)
    assert turn.gaps == 9


def test_a_detector_that_ships_is_cut_where_it_is_told_to(capsys: pytest.CaptureFixture[str]) -> None:
    image = ImageInput("images", 320, 320)
    found = cut(resources.model("shapes"), 1.0, lambda model: example(model, image, {}), image=image)
    assert found.model.parts > 1
    assert found.model.inputs["images"].shape == (1, 3, 320, 320)
    assert not capsys.readouterr().err


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.onnx").write_bytes(b"\x00no")
    with pytest.raises(ConfigurationError, match="not a model"):
        cut(tmp_path / "no.onnx", 1.0, fed())


def test_without_onnx_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = layers(tmp_path / "graph.onnx")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtra, match=r"lowlat_nodes\[onnx\]"):
        cut(path, 1e-6, fed(x=drawn(0)))
    assert isinstance(cut(path, 1e6, fed(x=drawn(0))).model, OnnxModel)
