# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every implementation against the oracle, which goes query by query in float64.

With TRITON_INTERPRET=0 that of the GPU runs on one, where there is one.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.detections import UNPLACED, Found, ToSource, detections
from lowlat_nodes.kernels.errors import BadArgument

EVERY = [
    "vectorised",
    pytest.param("cpu", marks=pytest.mark.numba),
    pytest.param("cuda", marks=[pytest.mark.torch, pytest.mark.triton]),
]
every_implementation = pytest.mark.parametrize("which", EVERY)
Call = Callable[..., Found]

LETTERBOXED = ToSource(640.0, 480.0, 12.0, 0.0, 1.5, 1.25, 0.0, 0.0, 900.0, 600.0)
"""Normalised boxes of a network that takes 640 x 480 px; columns from 12 on show an image of 900 x 600 px."""


@dataclass
class Case:
    """The arguments of a call."""

    scores: np.ndarray
    boxes: np.ndarray
    threshold: float = 0.25
    limit: int = 100
    activation: str = "sigmoid"
    box_format: str = "cxcywh"
    to_source: ToSource = LETTERBOXED
    classes: np.ndarray | None = None

    def on(self, which: str) -> Found:
        """Return what an implementation finds; it writes into memory with a band of guards around it."""
        arguments = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        given = {name: arguments[name] for name in ("scores", "boxes", "classes")}
        rows, counts = Guarded((self.limit, 6), np.float32), Guarded((3,), np.int32)
        if which == "cuda":
            given = {name: tensor(array) for name, array in given.items()}
            out = Found(rows.as_tensor(), counts.as_tensor())
        else:
            out = Found(rows.array, counts.array)
        before = {name: array.copy() for name, array in arguments.items() if isinstance(array, np.ndarray)}
        found = detections.on(which)(**arguments | given, out=out)
        assert found.rows is out.rows
        assert found.counts is out.counts
        for name, array in before.items():
            np.testing.assert_array_equal(fetched(given[name]), array, f"it wrote to {name}")
        return Found(rows.fetch(), counts.fetch())


def device() -> str:
    """Return where tensors are: on a GPU if there is one and Triton compiles for it, TRITON_INTERPRET=0."""
    if os.environ["TRITON_INTERPRET"] != "0":
        return "cpu"
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def tensor(array: np.ndarray | None) -> Any:
    """Return a tensor with the numbers of an array, of its strides too; on the CPU on its memory."""
    import torch

    if array is None or device() == "cpu":
        return None if array is None else torch.from_numpy(array)
    strides = [stride // array.itemsize for stride in array.strides]
    on_gpu = torch.empty_strided(array.shape, strides, dtype=torch.from_numpy(array[:0]).dtype, device="cuda")
    return on_gpu.copy_(torch.from_numpy(array))


def fetched(array: Any) -> np.ndarray:
    """Return what is in an array, or in a tensor on any device."""
    return array if isinstance(array, np.ndarray) else array.cpu().numpy()


class Guarded:
    """Memory that nobody has written to, in the middle of more of it."""

    def __init__(self, shape: tuple[int, ...], dtype: type[np.generic], band: int = 64) -> None:
        self._memory = np.full((math.prod(shape) + 2 * band) * 4, 0xAB, np.uint8).view(dtype)
        self._inside, self._shape = slice(band, -band), shape
        self._tensor: Any = None

    @property
    def array(self) -> np.ndarray:
        """Return what may be written."""
        return self._memory[self._inside].reshape(self._shape)

    def as_tensor(self) -> Any:
        """Return what may be written, as a tensor."""
        self._tensor = tensor(self._memory)
        return self._tensor[self._inside].view(*self._shape)

    def fetch(self) -> np.ndarray:
        """Return what was written; fail if something was outside."""
        if self._tensor is not None:
            self._memory = fetched(self._tensor)
        guards = self._memory.copy()
        guards[self._inside] = np.frombuffer(b"\xab" * 4, guards.dtype)
        assert (guards.view(np.uint8) == 0xAB).all(), "it wrote outside of its memory"
        return self.array


def check(case: Case, which: str) -> Found:
    """Compare an implementation with the oracle and return what it found."""
    found, expected = case.on(which), case.on("ref")
    assert found.counts.tolist() == expected.counts.tolist()
    np.testing.assert_array_equal(found.rows[:, 5], expected.rows[:, 5])
    np.testing.assert_allclose(found.rows[:, 4], expected.rows[:, 4], rtol=1e-6, atol=1e-38)
    np.testing.assert_allclose(found.rows[:, :4], expected.rows[:, :4], rtol=1e-5, atol=1e-3)
    count = found.counts[0]
    assert (found.rows[count:] == 0).all()
    return found


def random_boxes(rng: np.random.Generator, count: int) -> np.ndarray:
    """Return float32 [count, 4] of centre and size, from 0 to 1, parts of some outside and some all of it."""
    boxes = np.concatenate((rng.uniform(-0.3, 1.3, (count, 2)), rng.uniform(0.02, 0.4, (count, 2))), axis=1)
    return boxes.astype(np.float32)


def random_case(seed: int, **changes: Any) -> Case:
    """Return a case with distinct scores, equal ones, and one of each kind of what is no number."""
    rng = np.random.default_rng(seed)
    queries, columns = (int(rng.integers(1, most)) for most in (50, 30))
    scores = rng.normal(-1, 2, (queries, columns)).astype(np.float32)
    if rng.random() < 0.5:
        scores = np.round(scores)  # so that many are equal, 0 and -0 among them
    boxes = random_boxes(rng, queries)
    for array in (scores, boxes):
        for value in (np.nan, np.inf, -np.inf):
            if rng.random() < 0.5:
                array[rng.integers(len(array)), rng.integers(array.shape[1])] = value
    boxes[rng.integers(queries), 2] = rng.choice([0.0, -0.1])
    return dataclasses.replace(
        Case(scores, boxes),
        threshold=float(rng.choice([0.0, 0.01, 0.3, 0.5, 0.9, 1.0])),
        limit=int(rng.choice([1, 2, 7, 100, 513])),
        classes=None if rng.random() < 0.5 else rng.random(columns) < 0.6,
        **changes,
    )


@every_implementation
@pytest.mark.parametrize("seed", range(24))
def test_random_cases(which: str, seed: int) -> None:
    check(random_case(seed), which)


@every_implementation
@pytest.mark.parametrize("seed", range(100, 106))
def test_corners_and_probabilities(which: str, seed: int) -> None:
    case = random_case(seed, activation="none", box_format="xyxy", to_source=UNPLACED)
    with np.errstate(over="ignore"):
        case.scores = 1 / (1 + np.exp(-case.scores))
    check(case, which)


@every_implementation
@pytest.mark.parametrize("seed", range(200, 206))
def test_half_precision(which: str, seed: int) -> None:
    case = random_case(seed)
    case.scores, case.boxes = case.scores.astype(np.float16), case.boxes.astype(np.float16)
    check(case, which)


@every_implementation
@pytest.mark.parametrize("seed", range(300, 304))
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_any_order_of_memory(which: str, seed: int, dtype: type[np.floating[Any]]) -> None:
    case = random_case(seed)
    expected = check(case, which)
    scores, boxes = case.scores, case.boxes
    wide = np.full((2 * len(scores), scores.shape[1] + 4), np.nan, dtype)
    wide[::2, :4], wide[::2, 4:] = boxes, scores
    together = np.full((4 + scores.shape[1], len(scores)), np.nan, dtype)
    together[:4], together[4:] = boxes.T, scores.T
    for table in (wide[::2], together.T):
        case.scores, case.boxes = table[:, 4:], table[:, :4]
        found = check(case, which)
        if dtype is np.float32:
            np.testing.assert_array_equal(found.rows, expected.rows)


@every_implementation
@pytest.mark.parametrize(("columns", "queries"), [(1, 1), (1, 300), (80, 300), (127, 5), (257, 70)])
def test_sizes_of_detectors(which: str, columns: int, queries: int) -> None:
    rng = np.random.default_rng(columns)
    scores = rng.normal(-6, 2, (queries, columns)).astype(np.float32)
    found = check(Case(scores, random_boxes(rng, queries), threshold=0.05), which)
    assert found.counts[1] > 0 or queries == 1


@every_implementation
@pytest.mark.parametrize("limit", [1, 100, 512, 2048])
def test_all_above_the_threshold(which: str, limit: int) -> None:
    rng = np.random.default_rng(limit)
    scores = rng.normal(3, 1, (40, 70)).astype(np.float32)
    boxes = rng.uniform(0.3, 0.7, (40, 4)).astype(np.float32)
    found = check(Case(scores, boxes, threshold=0.001, limit=limit), which)
    assert found.counts.tolist() == [limit, 40 * 70, 0]


@every_implementation
@pytest.mark.parametrize("limit", [1, 100, 512])
def test_of_equal_scores_the_lower_query_and_class_win(which: str, limit: int) -> None:
    scores = np.full((30, 40), 1.5, np.float32)
    scores[7, 3], scores[2, 1], scores[2, 2] = 2.0, 1.0, -1.0
    boxes = np.tile(np.array([0.5, 0.5, 0.2, 0.2], np.float32), (30, 1))
    found = check(Case(scores, boxes, limit=limit, to_source=UNPLACED), which)
    order = [index for index in range(scores.size) if index not in {2 * 40 + 1, 2 * 40 + 2}]
    order.remove(7 * 40 + 3)
    expected = [3.0, *(float(index % 40) for index in order)][:limit]
    assert found.rows[:, 5].tolist() == expected


@every_implementation
def test_no_detection(which: str) -> None:
    rng = np.random.default_rng(0)
    case = Case(np.full((11, 3), -9, np.float32), random_boxes(rng, 11), limit=5)
    assert check(case, which).counts.tolist() == [0, 0, 0]
    case.classes = np.zeros(3, np.bool_)
    case.threshold = 0.0
    assert check(case, which).counts.tolist() == [0, 0, 0]


@every_implementation
def test_no_number_comes_out(which: str) -> None:
    rng = np.random.default_rng(0)
    for scores, boxes, refused in (
        (np.full((9, 4), np.nan), random_boxes(rng, 9), 9),
        (np.full((9, 4), np.inf), np.full((9, 4), np.nan), 36),
        (np.full((9, 4), np.inf), np.full((9, 4), 3e38), 36),  # px beyond the range of float32
    ):
        case = Case(scores.astype(np.float32), boxes.astype(np.float32))
        assert check(case, which).counts.tolist() == [0, 0, refused]


@every_implementation
def test_no_number_for_a_class_that_nobody_wants(which: str) -> None:
    case = Case(np.array([[np.nan, 1.0], [2.0, np.nan]], np.float32), np.full((2, 4), 0.5, np.float32))
    case.classes = np.array([False, True])
    assert check(case, which).counts.tolist() == [1, 1, 1]


@every_implementation
def test_infinite_scores_are_certain(which: str) -> None:
    scores = np.array([[-np.inf, 100.0, np.inf], [0.0, -0.0, 3e38]], np.float32)
    boxes = np.full((2, 4), 0.5, np.float32)
    found = check(Case(scores, boxes, threshold=0.0, limit=6), which)
    assert found.rows[:, 5].tolist() == [2.0, 2.0, 1.0, 0.0, 1.0, 0.0]
    assert found.rows[:, 4].tolist() == [1.0, 1.0, 1.0, 0.5, 0.5, 0.0]


@every_implementation
def test_infinity_is_no_probability(which: str) -> None:
    scores = np.array([[0.5, np.inf], [0.5, -np.inf], [0.5, 0.7]], np.float32)
    case = Case(scores, np.full((3, 4), 0.5, np.float32), activation="none")
    assert check(case, which).counts.tolist() == [3, 3, 1]
    case.classes = np.array([True, False])
    assert check(case, which).counts.tolist() == [3, 3, 0]


@every_implementation
def test_boxes_go_to_the_source_and_are_clipped(which: str) -> None:
    scores = np.array([[3.0], [2.0], [1.0], [0.5]], np.float32)
    boxes = np.array(
        [[0.5, 0.5, 0.25, 0.5], [0, 0, 0.1, 0.1], [2, 0.5, 0.1, 0.1], [0.5, 0.5, 0, 1]], np.float32
    )
    found = check(Case(scores, boxes, limit=3), which)
    expected = [[342.0, 150.0, 582.0, 450.0], [0.0, 0.0, 30.0, 30.0], [0.0] * 4]
    np.testing.assert_allclose(found.rows[:, :4], expected, rtol=1e-6)
    assert found.counts.tolist() == [2, 4, 0]


@every_implementation
def test_what_is_outside_takes_no_place_from_what_is_inside(which: str) -> None:
    scores = np.array([[3.0], [2.0], [1.0]], np.float32)
    boxes = np.array([[5, 5, 0.1, 0.1], [np.nan] * 4, [0.5, 0.5, 0.1, 0.1]], np.float32)
    found = check(Case(scores, boxes, limit=1), which)
    assert found.counts.tolist() == [1, 2, 1]


@every_implementation
def test_the_same_again_is_the_same(which: str) -> None:
    case = random_case(5)
    first, second = case.on(which), case.on(which)
    np.testing.assert_array_equal(first.rows, second.rows)


@pytest.mark.numba
@pytest.mark.parametrize("seed", range(20))
def test_both_implementations_of_the_host_give_the_same_bits(seed: int) -> None:
    case = random_case(seed)
    one, other = case.on("cpu"), case.on("vectorised")
    np.testing.assert_array_equal(one.rows[:, [0, 1, 2, 3, 5]], other.rows[:, [0, 1, 2, 3, 5]])
    # Both round a float64 that may differ in its last bit.
    np.testing.assert_allclose(one.rows[:, 4], other.rows[:, 4], rtol=1.2e-7, atol=1e-44)


@every_implementation
def test_without_room_given_it_makes_some(which: str) -> None:
    case = random_case(1, to_source=UNPLACED)
    arrays = (case.scores, case.boxes)
    if which == "cuda":
        arrays = tuple(map(tensor, arrays))
    found = detections.on(which)(*arrays, threshold=0.3, limit=9)
    found = Found(*map(fetched, found))
    expected = detections.on("ref")(case.scores, case.boxes, threshold=0.3, limit=9)
    np.testing.assert_allclose(found.rows, expected.rows, rtol=1e-5)
    assert len(found.detections()) == expected.counts[0] > 0


def test_the_operation_takes_arrays_of_the_host() -> None:
    case = random_case(2)
    found = detections(case.scores, case.boxes, threshold=0.3, limit=9)
    np.testing.assert_allclose(
        found.rows, detections.on("ref")(case.scores, case.boxes, threshold=0.3, limit=9).rows, rtol=1e-5
    )


@pytest.mark.torch
@pytest.mark.parametrize("which", ["vectorised", pytest.param("cpu", marks=pytest.mark.numba)])
def test_tensors_of_the_host_are_read_and_written_in_place(which: str) -> None:
    import torch

    case = random_case(3)
    out = Found.empty(9)
    given, written = (Found(*map(torch.from_numpy, each)) for each in ((case.scores, case.boxes), out))
    detections.on(which)(*given, threshold=0.3, limit=9, out=written)
    expected = detections.on("ref")(case.scores, case.boxes, threshold=0.3, limit=9)
    np.testing.assert_allclose(out.rows, expected.rows, rtol=1e-5)
    np.testing.assert_array_equal(out.counts, expected.counts)


def good() -> dict[str, Any]:
    return {
        "scores": np.ones((3, 2), np.float32),
        "boxes": np.ones((3, 4), np.float32),
        "threshold": 0.5,
        "limit": 4,
        "classes": np.ones(2, np.bool_),
        "out": Found(np.full((4, 6), 7, np.float32), np.full(3, 7, np.int32)),
    }


BAD: list[tuple[str, Any, str]] = [
    ("scores", [[1.0, 2.0]], "scores: expected an array"),
    ("scores", np.ones((3, 2)), "scores: expected float32 or float16, got float64"),
    ("scores", np.ones((3, 2), np.int8), "scores: expected float32 or float16, got int8"),
    ("scores", np.ones((1, 3, 2), np.float32), r"scores: expected the shape \[any, any\], got \[1, 3, 2\]"),
    ("scores", np.ones((0, 2), np.float32), "scores: expected at least one element"),
    ("scores", np.ones((3, 0), np.float32), "scores: expected at least one element"),
    ("boxes", np.ones((4, 4), np.float32), r"boxes: expected the shape \[3, 4\], got \[4, 4\]"),
    ("boxes", np.ones((3, 5), np.float32), r"boxes: expected the shape \[3, 4\], got \[3, 5\]"),
    ("boxes", np.ones((3, 4), np.float64), "boxes: expected float32 or float16, got float64"),
    ("threshold", -0.1, "threshold: expected a probability"),
    ("threshold", math.nan, "threshold: expected a probability"),
    ("threshold", 40, "threshold: expected a probability from 0 to 1, got 40"),
    ("limit", 0, "limit: expected 1 to 2048 detections, got 0"),
    ("limit", 2049, "limit: expected 1 to 2048"),
    ("activation", "softmax", "activation: expected sigmoid or none, got 'softmax'"),
    ("box_format", "xywh", "box_format: expected cxcywh or xyxy, got 'xywh'"),
    ("to_source", ToSource(x_scale=math.nan), "to_source: expected"),
    ("to_source", ToSource(x_scale=0.0), "to_source: expected"),
    ("to_source", ToSource(x_low=5.0, x_high=5.0), "to_source: expected"),
    ("classes", np.ones(3, np.bool_), r"classes: expected the shape \[2\], got \[3\]"),
    ("classes", np.ones(2, np.uint8), "classes: expected bool, got uint8"),
    ("classes", np.ones(4, np.bool_)[::2], "classes: expected contiguous elements"),
    (
        "out",
        Found(np.ones((5, 6), np.float32), np.ones(3, np.int32)),
        r"out.rows: expected the shape \[4, 6\]",
    ),
    ("out", Found(np.ones((4, 6)), np.ones(3, np.int32)), "out.rows: expected float32"),
    ("out", Found(np.ones((6, 4), np.float32).T, np.ones(3, np.int32)), "out.rows: expected contiguous"),
    (
        "out",
        Found(np.ones((4, 6), np.float32), np.ones(2, np.int32)),
        r"out.counts: expected the shape \[3\]",
    ),
    ("out", Found(np.ones((4, 6), np.float32), np.ones(3, np.int64)), "out.counts: expected int32"),
]


@pytest.mark.parametrize("which", ["ref", *EVERY])
@pytest.mark.parametrize(("name", "value", "message"), BAD)
def test_a_bad_argument_is_named_before_anything_is_written(
    which: str, name: str, value: Any, message: str
) -> None:
    arguments = good() | {name: value}
    with pytest.raises(BadArgument, match=message):
        detections.on(which)(**arguments)
    if name != "out":
        assert (arguments["out"].rows == 7).all()
        assert (arguments["out"].counts == 7).all()


def test_memory_that_may_not_be_written_is_refused() -> None:
    arguments = good()
    arguments["out"].rows.flags.writeable = False
    with pytest.raises(BadArgument, match=r"out.rows: expected memory that may be written"):
        detections(**arguments)


@pytest.mark.torch
def test_arrays_on_two_devices_are_refused() -> None:
    import torch

    arguments = good() | {"boxes": torch.ones((3, 4), device="meta")}
    with pytest.raises(BadArgument, match="boxes: expected a tensor on the CPU or an NVIDIA GPU"):
        detections(**arguments)


@pytest.mark.torch
@pytest.mark.triton
def test_more_classes_than_fit_a_block_are_refused() -> None:
    scores, boxes = tensor(np.ones((2, 5000), np.float32)), tensor(np.ones((2, 4), np.float32))
    with pytest.raises(BadArgument, match="at most 4096 classes on a GPU, got 5000"):
        detections.on("cuda")(scores, boxes, threshold=0.5, limit=3)


@pytest.mark.torch
@pytest.mark.triton
def test_scores_too_far_apart_for_int32_are_refused(tmp_path: Path) -> None:
    import torch

    sparse = np.memmap(tmp_path / "sparse", np.float16, "w+", shape=(3, 1 << 30))
    scores, boxes = torch.from_numpy(np.asarray(sparse[:, :2])), torch.ones((3, 4))
    with pytest.raises(BadArgument, match="scores: expected elements within 2147483647 of the first"):
        detections.on("cuda")(scores, boxes, threshold=0.5, limit=3)
