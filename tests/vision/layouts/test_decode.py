# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Decoding, layout by layout, against a slow reference that goes row by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.inference.model import TensorSpec
from lowlat_nodes.inference.onnx import OnnxModel
from lowlat_nodes.stream.config import build
from lowlat_nodes.vision.layouts.layout import Layout, UnexpectedOutput
from lowlat_nodes.vision.layouts.recognise import recognise
from lowlat_nodes.vision.layouts.settings import LayoutSettings
from lowlat_nodes.vision.layouts.table import MOST_PAIRS

Row = tuple[float, ...]
SIDE = 64
BOXES = 20
SOURCE = (200, 100)  # letterboxed: half of the input's height


def layout_of(
    name: str, shapes: dict[str, tuple[int, ...]], names: int = 0, sized: bool = False, **settings: Any
) -> Layout:
    inputs = {"images": TensorSpec("images", (1, 3, SIDE, SIDE), np.float32)}
    if sized:
        inputs["size"] = TensorSpec("size", (1, 2), np.int64)
    outputs = {
        key: TensorSpec(key, shape, np.int64 if sized and key == "labels" else np.float32)
        for key, shape in shapes.items()
    }
    values = {"layout": name, "names": [f"class {i}" for i in range(names)], **settings}
    return recognise(inputs, outputs, {}, build(LayoutSettings, values))


def to_source(row: Row, layout: Layout) -> Row | None:
    """Return a row in px of the source image, or None if nothing of it is within."""
    x1, y1, x2, y2, score, number = row
    if not all(map(math.isfinite, row)) or number not in range(len(layout.names)):
        return None
    place = layout.place(*SOURCE)
    x_scale, y_scale = SOURCE[0] / place.scaled_width, SOURCE[1] / place.scaled_height
    left, right = (min(max((x - place.left) * x_scale, 0.0), SOURCE[0]) for x in (x1, x2))
    top, bottom = (min(max((y - place.top) * y_scale, 0.0), SOURCE[1]) for y in (y1, y2))
    return (left, top, right, bottom, score, number) if left < right and top < bottom else None


def expect(rows: list[Row], layout: Layout, threshold: float, limit: int) -> np.ndarray:
    """Return what is to come of rows in px of the input."""
    good = sorted((row for row in rows if row[4] >= threshold), key=lambda row: -row[4])
    found = [placed for row in good if (placed := to_source(row, layout)) is not None]
    return np.array(found[:limit], np.float64).reshape(-1, 6)


def check(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return float32 [count, 4], corners in px, some of them outside the image and some reversed."""
    return np.round(rng.uniform(-30, SIDE + 30, (count, 4)) * 4).astype(np.float32) / 4


def distinct_scores(rng: np.random.Generator, *shape: int) -> np.ndarray:
    size = math.prod(shape)
    return ((2 * rng.permutation(size) + 1) / (2 * size)).astype(np.float32).reshape(shape)


seeds, thresholds, limits = st.integers(0, 10_000), st.floats(0, 0.99), st.integers(1, 40)


@given(seed=seeds, threshold=thresholds, limit=limits, ordered=st.booleans(), bad=st.integers(0, 3))
def test_end_to_end(seed: int, threshold: float, limit: int, ordered: bool, bad: int) -> None:
    rng = np.random.default_rng(seed)
    rows = np.concatenate(
        (random_boxes(rng, 30), distinct_scores(rng, 30, 1), rng.integers(0, 3, (30, 1))), axis=1
    ).astype(np.float32)
    if ordered:
        rows = rows[np.argsort(-rows[:, 4])]
    rows[rng.integers(0, 30, bad), rng.integers(0, 6, bad)] = rng.choice([np.nan, np.inf, -np.inf], bad)
    layout = layout_of("end_to_end", {"o": (1, 30, 6)}, names=3)
    found = layout.decode([rows[None]], layout.place(*SOURCE), threshold, limit)
    check(found, expect([tuple(row) for row in rows.tolist()], layout, np.float32(threshold), limit))


@given(seed=seeds, threshold=thresholds, limit=limits, transposed=st.booleans())
def test_one_to_one(seed: int, threshold: float, limit: int, transposed: bool) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores = random_boxes(rng, BOXES), distinct_scores(rng, BOXES, 3)
    rows = np.concatenate((boxes, scores), axis=1)
    shape = (1, BOXES, 7) if transposed else (1, 7, BOXES)
    layout = layout_of("one_to_one", {"o": shape}, names=3)
    output = (rows if transposed else np.ascontiguousarray(rows.T))[None]
    every = [(*boxes[i], scores[i, k], k) for i in range(BOXES) for k in range(3)]
    found = layout.decode([output], layout.place(*SOURCE), threshold, limit)
    check(found, expect(every, layout, np.float32(threshold), limit))


@given(seed=seeds, threshold=thresholds, iou_threshold=st.sampled_from([0.3, 0.7]), objectness=st.booleans())
def test_boxes_that_need_suppression(
    seed: int, threshold: float, iou_threshold: float, objectness: bool
) -> None:
    rng = np.random.default_rng(seed)
    boxes = np.concatenate((rng.integers(0, SIDE, (BOXES, 2)), 2 * rng.integers(1, 30, (BOXES, 2))), axis=1)
    scores = distinct_scores(rng, BOXES, 3)
    table = np.concatenate((boxes, scores), axis=1).astype(np.float32)
    name = "one_to_many"
    if objectness:
        # No two products are equal: halves leave the odd numerators of the scores as they are.
        name, certain = "objectness", np.float32(0.5) ** rng.integers(0, 4, (BOXES, 1))
        table = np.concatenate((boxes, certain, scores), axis=1).astype(np.float32)
        scores *= certain
    layout = layout_of(name, {"o": (1, table.shape[1], BOXES)}, names=3, iou_threshold=iou_threshold)
    rows = [
        (x - w / 2, y - h / 2, x + w / 2, y + h / 2, scores[i, k], k)
        for i, (x, y, w, h) in enumerate(boxes.tolist())
        for k in range(3)
        if scores[i, k] >= np.float32(threshold)
    ]
    kept: list[Row] = []
    for row in sorted(rows, key=lambda row: -row[4]):
        if all(row[5] != other[5] or overlap(row, other) <= np.float32(iou_threshold) for other in kept):
            kept.append(row)
    found = layout.decode([np.ascontiguousarray(table.T)[None]], layout.place(*SOURCE), threshold, 1000)
    check(found, expect(kept, layout, 0.0, 1000))


def overlap(a: Row, b: Row) -> float:
    both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


@given(seed=seeds, threshold=thresholds, limit=limits)
def test_detr(seed: int, threshold: float, limit: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores, labels = random_boxes(rng, 30), distinct_scores(rng, 30), rng.integers(-1, 5, 30)
    shapes: dict[str, tuple[int, ...]] = {"scores": (1, 30), "boxes": (1, 30, 4), "labels": (1, 30)}
    layout = layout_of("detr", shapes, names=4, sized=True)
    arrays = {"labels": labels[None], "boxes": boxes[None], "scores": scores[None]}
    rows = [(*boxes[i], scores[i], labels[i]) for i in range(30)]
    found = layout.decode([arrays[name] for name in layout.outputs], layout.place(*SOURCE), threshold, limit)
    check(found, expect(rows, layout, np.float32(threshold), limit))
    assert layout.refused == sum(
        score >= np.float32(threshold) and label not in range(4)
        for score, label in zip(scores, labels, strict=True)
    )


@given(
    seed=seeds,
    threshold=st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]),
    limit=limits,
    name=st.sampled_from(["detr_logits", "rf_detr", "detr_rows"]),
)
def test_queries(seed: int, threshold: float, limit: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.uniform(0, 1, (30, 4)).astype(np.float32)
    logits = (distinct_scores(rng, 30, 3) - np.float32(0.5)) * 12
    scores = 1 / (1 + np.exp(-logits))
    shapes: dict[str, tuple[int, ...]] = {"a": (1, 30, 3), "b": (1, 30, 4)}
    outputs = {"a": logits[None], "b": boxes[None]}
    if name == "detr_rows":
        shapes, outputs = {"o": (1, 30, 7)}, {"o": np.concatenate((boxes, scores), axis=1)[None]}
    layout = layout_of(name, shapes, names=3)
    corners = [
        (SIDE * (x - w / 2), SIDE * (y - h / 2), SIDE * (x + w / 2), SIDE * (y + h / 2))
        for x, y, w, h in boxes.tolist()
    ]
    every = [(*corners[i], scores[i, k], k) for i in range(30) for k in range(3)]
    found = layout.decode([outputs[key] for key in layout.outputs], layout.place(*SOURCE), threshold, limit)
    check(found, expect(every, layout, threshold, limit))


@given(seed=seeds, threshold=thresholds, limit=limits)
def test_end_to_end_rows_of_rt_detr(seed: int, threshold: float, limit: int) -> None:
    rng = np.random.default_rng(seed)
    boxes, scores, labels = rng.uniform(0, 1, (30, 4)), distinct_scores(rng, 30), rng.integers(0, 3, 30)
    table = np.concatenate((boxes, scores[:, None], labels[:, None]), axis=1).astype(np.float32)
    layout = layout_of("detr_end_to_end", {"o": (1, 30, 6)}, names=3)
    rows = [
        (SIDE * (x - w / 2), SIDE * (y - h / 2), SIDE * (x + w / 2), SIDE * (y + h / 2), score, number)
        for x, y, w, h, score, number in table.tolist()
    ]
    found = layout.decode([table[None]], layout.place(*SOURCE), threshold, limit)
    check(found, expect(rows, layout, np.float32(threshold), limit))


def run(model: OnnxModel, threshold: float = 0.25, limit: int = 100, **settings: Any) -> np.ndarray:
    """Return the detections of a model in a grey image of 1280 x 640 px."""
    layout = recognise(model.inputs, model.outputs, model.metadata, build(LayoutSettings, settings))
    spec = model.inputs[layout.image.name]
    image = np.zeros((1, 3, layout.image.height, layout.image.width), spec.dtype)
    outputs = model.run({layout.image.name: image, **layout.feed}, layout.outputs)
    return layout.decode(outputs, layout.place(1280, 640), threshold, limit)


def test_a_graph_gives_detections_in_px_of_the_source(make_model: Any) -> None:
    """1280 x 640 is letterboxed to 640 x 320 at row 160 of 640."""
    rows = np.zeros((1, 300, 6), np.float32)
    rows[0, :2] = [[100, 200, 300, 400, 0.9, 2], [-20, 100, 30, 170, 0.5, 0]]
    expected = [[200, 80, 600, 480, 0.9, 2], [0, 0, 60, 20, 0.5, 0]]
    np.testing.assert_allclose(run(make_model({"o": rows})), expected, rtol=1e-6)


def test_a_graph_of_half_precision(make_model: Any) -> None:
    rows = np.zeros((1, 300, 6), np.float16)
    rows[0, 0] = [100, 200, 300, 400, 0.9, 2]
    found = run(make_model({"o": rows}, dtype=np.float16))
    np.testing.assert_allclose(found, [[200, 80, 600, 480, 0.9, 2]], rtol=1e-3)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_a_raw_graph(make_model: Any, dtype: type[np.generic]) -> None:
    table = np.zeros((1, 84, 8400), dtype)
    table[0, :4, [10, 11, 12]] = [[100, 200, 20, 40], [101, 200, 20, 40], [400, 400, 10, 10]]
    table[0, 4 + 3, [10, 11]] = [0.75, 0.5]
    table[0, 4 + 7, [10, 12]] = [0.625, 0.375]
    expected = [
        [180, 40, 220, 120, 0.75, 3],
        [180, 40, 220, 120, 0.625, 7],  # the same box, and not a thing of the same class
        [790, 470, 810, 490, 0.375, 7],
    ]
    np.testing.assert_allclose(run(make_model({"o": table}, dtype=dtype)), expected)


def test_a_graph_that_needs_the_size(make_detr: Callable[..., OnnxModel]) -> None:
    labels = np.array([[4, 0, 1]])
    scores = np.array([[0.5, 0.75, 0.125]], np.float32)
    boxes = np.array([[[0.25, 0.25, 0.5, 0.75], [0.5, 0.5, 1.25, 1.0], [0, 0, 1, 1]]], np.float32)
    expected = [[640, 320, 1280, 640, 0.75, 0], [320, 160, 640, 480, 0.5, 4]]
    for order in ((), ("scores", "labels", "boxes")):
        np.testing.assert_allclose(run(make_detr(labels, boxes, scores, order)), expected)


EMPTY: dict[str, tuple[dict[str, tuple[int, ...]], bool]] = {
    "end_to_end": ({"o": (1, 30, 6)}, False),
    "one_to_one": ({"o": (1, 7, BOXES)}, False),
    "one_to_many": ({"o": (1, 7, BOXES)}, False),
    "objectness": ({"o": (1, BOXES, 8)}, False),
    "detr": ({"labels": (1, 30), "boxes": (1, 30, 4), "scores": (1, 30)}, True),
    "detr_end_to_end": ({"o": (1, 30, 6)}, False),
    "detr_logits": ({"pred_boxes": (1, 30, 4), "logits": (1, 30, 3)}, False),
    "detr_rows": ({"o": (1, 30, 7)}, False),
    "rf_detr": ({"dets": (1, 30, 4), "labels": (1, 30, 3)}, False),
}


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf])
def test_nothing_and_nonsense_give_no_detections(name: str, value: float) -> None:
    shapes, sized = EMPTY[name]
    layout = layout_of(name, shapes, names=3, sized=sized)
    arrays: list[np.ndarray] = [np.full(shapes[key], value, np.float32) for key in layout.outputs]
    if sized:
        arrays[0] = np.zeros(shapes["labels"], np.int64)
    found = layout.decode(arrays, layout.place(*SOURCE), 0.25, 100)
    assert found.shape == (0, 6)
    assert (layout.refused > 0) == (value not in {0, -np.inf})


@pytest.mark.parametrize("name", EMPTY)
def test_wanted_classes(name: str) -> None:
    shapes, sized = EMPTY[name]
    layout = layout_of(name, shapes, names=3, sized=sized)
    rng = np.random.default_rng(3)
    arrays: list[np.ndarray] = [rng.uniform(0.3, 1, shapes[key]).astype(np.float32) for key in layout.outputs]
    if name == "end_to_end":
        arrays[0][..., :4] = (5, 20, 40, 45)
        arrays[0][..., 5] = np.arange(30) % 3
    if name == "detr_end_to_end":
        arrays[0][..., 5] = np.arange(30) % 3
    if name in {"one_to_one", "one_to_many"}:
        arrays[0][0, :4] = np.array([[20], [20], [40], [45]]) + np.arange(BOXES)
    if name == "objectness":
        arrays[0][0, :, :4] = np.array([20, 20, 40, 45]) + np.arange(BOXES)[:, None]
    if sized:
        arrays[0] = np.arange(30)[None] % 3
        arrays[1][...] = (5, 20, 40, 45)
    place = layout.place(*SOURCE)
    every = layout.decode(arrays, place, 0.25, 1000)
    some = layout.decode(arrays, place, 0.25, 1000, np.array([False, True, False]))
    assert set(every[:, 5]) == {0, 1, 2}
    np.testing.assert_array_equal(some, every[every[:, 5] == 1])
    assert len(layout.decode(arrays, place, 0.25, 1000, np.zeros(3, np.bool_))) == 0
    few = layout.decode(arrays, place, 0.25, 2, np.array([False, True, False]))
    np.testing.assert_array_equal(few, some[:2])


@pytest.mark.parametrize("name", EMPTY)
@pytest.mark.parametrize("shape", [(), (1,), (2, 30, 6), (1, 30, 5), (1, 6, 30, 1)])
def test_arrays_of_another_shape(name: str, shape: tuple[int, ...]) -> None:
    shapes, sized = EMPTY[name]
    layout = layout_of(name, shapes, names=3, sized=sized)
    arrays = [np.zeros(shape, np.float32) for _ in layout.outputs]
    with pytest.raises(UnexpectedOutput, match=f"layout {name}: expected an output"):
        layout.decode(arrays, layout.place(*SOURCE), 0.25, 100)


def test_detections_have_memory_of_their_own() -> None:
    """The output may be memory that the next inference overwrites."""
    for name, (shapes, sized) in EMPTY.items():
        layout = layout_of(name, shapes, names=3, sized=sized)
        arrays: list[np.ndarray] = [np.full(shapes[key], 0.5, np.float32) for key in layout.outputs]
        if sized:
            arrays[0] = np.zeros(shapes["labels"], np.int64)
        before = [array.copy() for array in arrays]
        found = layout.decode(arrays, layout.place(*SOURCE), 0.25, 100)
        for array, copy in zip(arrays, before, strict=True):
            assert not np.shares_memory(found, array)
            np.testing.assert_array_equal(array, copy)


def test_the_largest_numbers_are_clipped() -> None:
    largest = float(np.finfo(np.float32).max)
    rows = np.array([[[-largest, -largest, largest, largest, 0.9, 1]]], np.float32)
    layout = layout_of("end_to_end", {"o": (1, 30, 6)}, names=3)
    found = layout.decode([rows], layout.place(*SOURCE), 0.25, 100)
    np.testing.assert_allclose(found, [[0, 0, *SOURCE, 0.9, 1]])


def test_a_fraction_for_a_class_is_refused() -> None:
    layout = layout_of("end_to_end", {"o": (1, 30, 6)}, names=3)
    rows = np.array(
        [[[5, 20, 40, 45, 0.9, 1.5], [5, 20, 40, 45, 0.8, 1], [5, 20, 40, 45, 0.7, 3]]], np.float32
    )
    found = layout.decode([rows], layout.place(*SOURCE), 0.25, 100)
    assert found[:, 4].tolist() == [np.float32(0.8)]
    assert layout.refused == 2


@pytest.mark.parametrize("name", ["one_to_one", "one_to_many"])
def test_the_best_candidates_are_looked_at_where_there_are_too_many(name: str) -> None:
    rng = np.random.default_rng(0)
    table = np.concatenate((random_boxes(rng, BOXES) + 40, distinct_scores(rng, BOXES, 3)), axis=1)
    layout = layout_of(name, {"o": (1, 7, BOXES)}, names=3, iou_threshold=1.0)
    output = [np.ascontiguousarray(table.T.astype(np.float32))[None]]
    place = layout.place(*SOURCE)
    whole = layout.decode(output, place, 0.5, 1000)
    assert layout.candidates >= len(whole)
    wanted = layout.candidates

    few = layout.decode(output, place, 0.5, 1000, most_candidates=7)
    assert layout.candidates == wanted
    assert len(few) <= 7
    np.testing.assert_array_equal(few, whole[: len(few)])


TABLES = ("one_to_one", "detr_logits", "rf_detr", "detr_rows")


@pytest.mark.parametrize("name", TABLES)
def test_of_equal_scores_those_of_the_lower_box_come_first(name: str) -> None:
    shapes, _ = EMPTY[name]
    layout = layout_of(name, shapes, names=3)
    arrays = [np.full(shapes[key], 0.5, np.float32) for key in layout.outputs]
    if name == "one_to_one":
        arrays[0][0, :4] = np.array([[20], [20], [40], [45]]) + np.arange(BOXES) / 8
    else:
        arrays[0][0, :, 0] = 0.4 + np.arange(30) / 300
    found = layout.decode(arrays, layout.place(*SOURCE), 0.25, 7)
    assert found[:, 5].tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert (np.diff(found[::3, 0]) > 0).all()
    assert layout.candidates == 3 * (BOXES if name == "one_to_one" else 30)


@pytest.mark.parametrize("name", [*TABLES, "one_to_many"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_comes_of_sound_boxes_with_scores_that_are_none(name: str, value: float) -> None:
    shapes, _ = EMPTY[name]
    layout = layout_of(name, shapes, names=3)
    arrays = [np.full(shapes[key], 0.5, np.float32) for key in layout.outputs]
    if name.startswith("one"):
        arrays[0][0, :4] = np.array([[20], [20], [40], [45]])
        arrays[0][0, 4:, 1] = value
    else:
        arrays[-1][0, 1, -3:] = value
    found = layout.decode(arrays, layout.place(*SOURCE), 0.25, 200)
    assert np.isfinite(found).all()
    certain = value > 0 and name in {"detr_logits", "rf_detr"}  # the logit of 1 is infinite
    assert layout.refused == (0 if certain else 1)
    assert (found[:, 4] == 1).sum() == (3 if certain else 0)


@pytest.mark.parametrize("name", [*TABLES, "one_to_many", "objectness"])
def test_a_table_of_no_boxes(name: str) -> None:
    """A graph with an open number of boxes may give none."""
    shapes, _ = EMPTY[name]
    layout = layout_of(name, shapes, names=3)
    boxes = {20, 30}
    arrays = [
        np.zeros([0 if size in boxes else size for size in shapes[key]], np.float32) for key in layout.outputs
    ]
    assert layout.decode(arrays, layout.place(*SOURCE), 0.25, 100).shape == (0, 6)
    assert (layout.candidates, layout.refused) == (0, 0)


@pytest.mark.parametrize("name", ["one_to_one", "one_to_many"])
def test_no_more_than_so_many_pairs_are_looked_at(name: str) -> None:
    shape = (1, 7, 1000)
    layout = layout_of(name, {"o": shape}, names=3, iou_threshold=1.0)
    table = np.full(shape, 0.5, np.float32)
    table[0, :4] = np.array([[20], [20], [40], [45]])
    found = layout.decode([table], layout.place(*SOURCE), 0.25, 10_000)
    assert len(found) == layout.candidates == MOST_PAIRS


def test_candidates_of_classes_that_nobody_wants_do_not_displace_others() -> None:
    rng = np.random.default_rng(0)
    rows = np.tile([10.0, 10.0, 30.0, 30.0, 0.0, 0.0], (10, 1))
    rows[:, 4] = np.sort(rng.uniform(0.3, 1.0, 10))[::-1]
    rows[7:, 5] = 1
    layout = layout_of("end_to_end", {"o": (1, 10, 6)}, names=2)
    wanted = np.array([False, True])
    found = layout.decode([rows[None].astype(np.float32)], layout.place(*SOURCE), 0.1, 10, wanted, 3)
    assert found[:, 5].tolist() == [1.0, 1.0, 1.0]
    assert layout.candidates == 3
