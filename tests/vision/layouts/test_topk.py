# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.vision.layouts.topk import best_pairs


@st.composite
def tables(draw: st.DrawFn) -> np.ndarray:
    """Tables of scores without two that are equal, so that there is one right order."""
    classes, boxes = draw(st.integers(1, 6)), draw(st.integers(0, 30))
    order = np.random.default_rng(draw(st.integers(0, 1000))).permutation(classes * boxes)
    return (order / max(1, order.size)).astype(np.float32).reshape(classes, boxes)


def plainly(
    scores: np.ndarray, threshold: np.float32, most: int, classes: np.ndarray | None
) -> list[tuple[int, int, float]]:
    every = [
        (box, number, score)
        for number, row in enumerate(scores.tolist())
        for box, score in enumerate(row)
        if score >= threshold and (classes is None or classes[number])
    ]
    return sorted(every, key=lambda pair: -pair[2])[:most]


@given(
    scores=tables(),
    threshold=st.floats(0, 1, width=32),
    most=st.integers(1, 40),
    wanted=st.none() | st.lists(st.booleans(), min_size=6, max_size=6),
    transposed=st.booleans(),
)
def test_two_stages_give_what_a_full_sort_gives(
    scores: np.ndarray, threshold: float, most: int, wanted: list[bool] | None, transposed: bool
) -> None:
    classes = None if wanted is None else np.array(wanted)[: len(scores)]
    table = np.ascontiguousarray(scores.T).T if transposed else scores
    found = best_pairs(table, np.float32(threshold), classes, most)
    pairs = list(zip(found.boxes.tolist(), found.classes.tolist(), found.scores.tolist(), strict=True))
    assert pairs == plainly(scores, np.float32(threshold), most, classes)
    assert found.refused == 0


def test_one_box_may_be_of_two_classes() -> None:
    scores = np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.0]], np.float32)
    found = best_pairs(scores, np.float32(0.25))
    assert found.boxes.tolist() == [1, 1, 0]
    assert found.classes.tolist() == [0, 1, 2]


def test_a_box_with_a_nan_is_refused() -> None:
    scores = np.array([[0.9, np.nan, 0.5], [0.1, 0.8, np.nan]], np.float32)
    found = best_pairs(scores, np.float32(0.05))
    assert set(found.boxes.tolist()) == {0}
    assert found.refused == 2


def test_equal_scores_are_all_there() -> None:
    found = best_pairs(np.full((3, 5), 0.5, np.float32), np.float32(0.5), most=7)
    assert len(set(zip(found.boxes.tolist(), found.classes.tolist(), strict=True))) == 7
