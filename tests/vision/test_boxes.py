# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.vision.boxes import areas, intersections, intersections_over_unions

BOXES = np.array([(0, 0, 10, 10), (5, 5, 15, 15), (20, 0, 30, 10)], np.float32)


def test_what_boxes_have_in_common() -> None:
    assert areas(BOXES).tolist() == [100, 100, 100]
    assert intersections(BOXES, BOXES[:2]).tolist() == [[100, 25], [25, 100], [0, 0]]
    shares = intersections_over_unions(BOXES, BOXES[:2])
    assert shares == pytest.approx(np.array([[1, 25 / 175], [25 / 175, 1], [0, 0]]))


def test_boxes_that_touch_or_are_the_wrong_way_round_have_nothing_in_common() -> None:
    wrong = np.array([(10, 0, 20, 10), (8, 8, 2, 2), (5, 5, 5, 5)], np.float32)
    assert areas(wrong).tolist() == [100, 0, 0]
    assert intersections_over_unions(BOXES[:1], wrong).tolist() == [[0, 0, 0]]
    assert intersections_over_unions(wrong[2:], wrong[2:]).tolist() == [[0]]


def test_none_with_some_is_empty() -> None:
    none = np.empty((0, 4), np.float32)
    assert areas(none).shape == (0,)
    assert intersections_over_unions(none, BOXES).shape == (0, 3)
    assert intersections_over_unions(BOXES, none).shape == (3, 0)
