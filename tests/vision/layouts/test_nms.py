# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.vision.layouts.nms import suppress


def plainly(rows: np.ndarray, iou_threshold: float) -> list[int]:
    """Return the rows that remain, by the textbook."""
    kept: list[tuple[int, list[float]]] = []
    for i, row in enumerate(rows.tolist()):
        if not any(row[5] == other[5] and iou(row, other) > iou_threshold for _, other in kept):
            kept.append((i, row))
    return [i for i, _ in kept]


def iou(a: list[float], b: list[float]) -> float:
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def boxes(count: int, seed: int, *, classes: int = 2, spread: int = 60) -> np.ndarray:
    """Return rows with whole numbers for corners, whose areas float32 has exactly."""
    rng = np.random.default_rng(seed)
    corner, size = rng.integers(0, spread, (count, 2)), rng.integers(1, 40, (count, 2))
    scores = np.sort(rng.random(count))[::-1]
    columns = (corner, corner + size, scores[:, None], rng.integers(0, classes, (count, 1)))
    return np.concatenate(columns, axis=1).astype(np.float32)


@given(
    count=st.integers(0, 60),
    seed=st.integers(0, 10_000),
    iou_threshold=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),  # exact in float32, as the areas are
)
def test_what_remains_is_what_the_greedy_algorithm_leaves(
    count: int, seed: int, iou_threshold: float
) -> None:
    rows = boxes(count, seed)
    assert suppress(rows, iou_threshold).tolist() == plainly(rows, iou_threshold)


def test_many_rows() -> None:
    rows = boxes(1000, 1, classes=3, spread=200)
    assert suppress(rows, 0.5).tolist() == plainly(rows, 0.5)


def test_a_chain_in_which_each_overlaps_the_next_alone() -> None:
    """Every second one remains, for its dropper is dropped."""
    left = np.arange(60, dtype=np.float32) * 4
    rows = np.stack((left, 0 * left, left + 10, 0 * left + 10, 1 - left / 4e3, 0 * left), axis=1)
    assert suppress(rows, 0.4).tolist() == list(range(0, 60, 2))


def test_classes_are_told_apart_however_far_boxes_lie_outside() -> None:
    rows = np.array(
        [[-9e3, 0, -8e3, 9, 0.5, 1], [-9e3, 0, -8e3, 9, 0.5, 2], [9e3, 0, 1e4, 9, 0, 0]], np.float32
    )
    assert suppress(rows, 0.5).tolist() == [0, 1, 2]


def test_a_reversed_box_drops_none() -> None:
    rows = np.array([[9, 9, 3, 3, 0.9, 0], [4, 4, 4, 9, 0.8, 0], [2, 2, 8, 8, 0.7, 0]], np.float32)
    assert 2 in suppress(rows, 0.5)


def test_no_rows() -> None:
    assert suppress(np.empty((0, 6), np.float32), 0.5).tolist() == []
