# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes through a placement and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.vision.placement import Placement, Rows

sides = st.integers(1, 4000)
targets = st.sampled_from([32, 320, 416, 640])


def to_network(boxes: Rows, placement: Placement) -> Rows:
    moved = boxes.copy()
    moved[:, 0:4:2] = boxes[:, 0:4:2] * placement.scaled_width / placement.width + placement.left
    moved[:, 1:4:2] = boxes[:, 1:4:2] * placement.scaled_height / placement.height + placement.top
    return moved


def test_a_wide_image_has_bars_above_and_below() -> None:
    assert Placement.letterbox(1280, 720, 640, 640) == Placement(1280, 720, 0, 140, 640, 360)


def test_a_tall_image_has_bars_on_both_sides() -> None:
    assert Placement.letterbox(480, 640, 320, 320) == Placement(480, 640, 40, 0, 240, 320)


def test_of_an_odd_rest_the_smaller_half_is_above() -> None:
    placement = Placement.letterbox(640, 427, 640, 640)
    assert (placement.top, placement.scaled_height) == (106, 427)  # 107 below


def test_a_stretched_image_fills_everything() -> None:
    assert Placement.stretch(1280, 720, 640, 320) == Placement(1280, 720, 0, 0, 640, 320)


@given(sides, sides, targets, targets)
def test_an_image_lies_within_the_input_and_has_its_pixels(
    width: int, height: int, target_width: int, target_height: int
) -> None:
    placement = Placement.letterbox(width, height, target_width, target_height)
    assert placement.scaled_width >= 1
    assert placement.scaled_height >= 1
    right = target_width - placement.left - placement.scaled_width
    below = target_height - placement.top - placement.scaled_height
    assert 0 <= placement.left <= right <= placement.left + 1
    assert 0 <= placement.top <= below <= placement.top + 1
    assert placement.left + right == 0 or placement.top + below == 0


@pytest.mark.parametrize("place", [Placement.letterbox, Placement.stretch])
@given(width=sides, height=sides, target_width=targets, target_height=targets, data=st.data())
def test_boxes_come_back(
    place: type, width: int, height: int, target_width: int, target_height: int, data: st.DataObject
) -> None:
    placement = place(width, height, target_width, target_height)
    random = np.random.default_rng(data.draw(st.integers(0, 100)))
    x, y = np.sort(random.uniform(0, width, (9, 2))), np.sort(random.uniform(0, height, (9, 2)))
    boxes = np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1], np.arange(9), np.ones(9)], 1).astype(np.float32)
    back = to_network(boxes, placement)
    placement.to_source(back)
    # float32 has 24 bits for up to 640 px of the input; a thin image has many of its own px in each.
    fineness = max(width / placement.scaled_width, height / placement.scaled_height) * 640 * 2.0**-21
    assert np.abs(back - boxes).max() <= fineness
    assert np.array_equal(back[:, 4:], boxes[:, 4:])


def test_boxes_are_clipped_to_the_image() -> None:
    placement = Placement.letterbox(1280, 720, 640, 640)
    boxes = np.array([[-9, 0, 700, 640], [10, 150, 20, 160], [0, 0, 640, 100]], np.float32)
    placement.to_source(boxes)
    assert boxes.tolist() == [[0, 0, 1280, 720], [20, 20, 40, 40], [0, 0, 1280, 0]]


def test_no_boxes_are_fine() -> None:
    boxes = np.empty((0, 6), np.float32)
    Placement.stretch(10, 10, 32, 32).to_source(boxes)
    assert boxes.shape == (0, 6)
