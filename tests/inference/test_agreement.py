# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Results that are the same but for rounding and ties, and results that are not."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.inference.agreement import disagreement


@pytest.fixture
def rows() -> np.ndarray:
    """Detections as an end-to-end graph gives them: float32 [1, 300, 6] by falling score."""
    random = np.random.default_rng(0)
    boxes = random.uniform(0, 640, (300, 4))
    scores = np.sort(random.uniform(0, 1, 300))[::-1]
    return np.column_stack([boxes, scores, random.integers(0, 80, 300)]).astype(np.float32)[None]


def raw(rows: np.ndarray) -> np.ndarray:
    """The same numbers as [1, 6, 300]."""
    return rows.transpose(0, 2, 1)


def test_rounding_is_no_disagreement(rows: np.ndarray) -> None:
    assert disagreement([rows], [rows]) == 0.0
    assert disagreement([rows, rows[0, :, 4]], [rows * np.float32(1.0001), rows[0, :, 4]]) < 0.01


def test_ties_in_another_order_are_none(rows: np.ndarray) -> None:
    swapped = rows.copy()
    for index in range(0, 300, 2):
        swapped[0, [index, index + 1], :4] = rows[0, [index + 1, index], :4]
    assert disagreement([rows], [swapped]) == 0.0
    other = rows.copy()
    other[0, -1, :4] = (3.0, 600.0, 8.0, 604.0)  # a tie for the last place
    assert disagreement([rows], [other]) < 0.02


@pytest.mark.parametrize("form", [np.asarray, raw], ids=["rows", "raw"])
def test_collapsed_scores_are_one(form, rows: np.ndarray) -> None:
    collapsed = rows.copy()
    collapsed[..., 4] = 0.0
    assert disagreement([form(rows)], [form(collapsed)]) > 0.5


def test_boxes_elsewhere_are_one(rows: np.ndarray) -> None:
    moved = rows.copy()
    moved[..., :4] *= 0.5
    assert disagreement([rows], [moved]) > 0.3


def test_scores_of_nothing_do_not_count(rows: np.ndarray) -> None:
    nothing = np.full((1, 300), 1e-4, np.float32)
    assert disagreement([nothing], [nothing * 2]) < 0.01


def test_what_is_not_finite_or_of_another_shape_never_agrees(rows: np.ndarray) -> None:
    wrong = rows.copy()
    wrong[0, 7, 2] = np.nan
    assert disagreement([rows], [wrong]) == np.inf
    assert disagreement([rows], [rows[:, :299]]) == np.inf
    assert disagreement([rows], []) == np.inf


def test_empty_outputs_agree() -> None:
    assert disagreement([np.zeros((0, 6), np.float32)], [np.zeros((0, 6), np.float32)]) == 0.0
