# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels of an image change as detections are drawn."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.vision.drawing import class_colour, draw, label

NAMES = ("cup", "ball")
CUP = (100.0, 80.0, 180.0, 140.0, 0.87, 0.0)
BALL = (20.0, 150.0, 60.0, 190.0, 0.5, 1.0)


def detections(*rows: tuple[float, ...], tracks: list[int] | None = None) -> Detections:
    numbers = None if tracks is None else np.array(tracks, np.int64)
    return Detections(np.array(rows, np.float32).reshape(-1, 6), NAMES, numbers)


def grey(width: int = 320, height: int = 240) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 90, np.uint8)


def changed(*rows: tuple[float, ...]) -> NDArray[np.bool_]:
    """Return which pixels of a grey image change."""
    return np.asarray((draw(grey(), detections(*rows)) != grey()).any(2))


def test_the_edges_of_a_box_have_the_colour_of_its_class() -> None:
    drawn = draw(grey(), detections(CUP, BALL))
    for (left, top, right, bottom, *_), number in ((CUP, 0), (BALL, 1)):
        edge = drawn[int(bottom), int(left) : int(right) + 1]
        assert (edge == class_colour(number)).all()
        assert (drawn[int(top) + 1 : int(bottom), int(right)] == class_colour(number)).all()


def test_inside_and_far_from_a_box_nothing_changes() -> None:
    differs = changed(CUP)
    assert not differs[85:135, 105:175].any()
    assert not differs[145:].any()
    assert not differs[:, :95].any()


def test_the_label_stands_above_the_box_or_within_it_at_the_edge() -> None:
    high = (100.0, 0.0, 180.0, 140.0, 0.87, 0.0)
    assert changed(CUP)[66:79, 102:130].all(1).any()
    assert changed(high)[2:10, 102:130].all(1).any()


def test_names_and_scores_are_told() -> None:
    assert label(detections(CUP, BALL), 1) == "ball 0.50"
    assert label(detections(CUP, BALL, tracks=[3, 4]), 0) == "cup #3 0.87"
    assert label(detections((*CUP[:5], 7.0)), 0) == "class 7 0.87"
    assert label(Detections(detections(CUP).rows, ("x" * 500,)), 0) == f"{'x' * 40} 0.87"


def test_the_best_is_on_top() -> None:
    same_place = (*CUP[:4], 0.2, 1.0)
    drawn = draw(grey(), detections(CUP, same_place))
    assert tuple(drawn[140, 150]) == class_colour(0)


def test_neighbouring_classes_have_colours_that_differ() -> None:
    colours = np.array([class_colour(number) for number in range(80)])
    assert len({tuple(colour) for colour in colours.tolist()}) == 80
    assert np.abs(np.diff(colours, axis=0)).max(1).min() > 60


def test_it_is_drawn_in_place() -> None:
    image = grey()
    assert draw(image, detections(CUP)) is image


def test_without_detections_nothing_changes() -> None:
    assert not changed().any()


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (2000, 100)])
def test_boxes_at_and_beyond_the_edges_are_clipped(size: tuple[int, int]) -> None:
    rows = [
        (-50.0, -50.0, 1e9, 1e9, 0.9, 0.0),
        (np.nan, 0.0, np.inf, 5.0, 0.8, 1.0),
        (0.0, 0.0, float(size[0]), float(size[1]), 0.7, 0.0),
    ]
    drawn = draw(grey(*size), detections(*rows))
    assert tuple(drawn[-1, -1]) == class_colour(0)
