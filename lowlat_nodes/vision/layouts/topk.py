# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The best pairs of box and class in a table of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.placement import Rows

Indexes = NDArray[np.intp]

MOST_PAIRS = 2048
"""How many pairs of an image are looked at; far more than there are things in it."""


class Pairs(NamedTuple):
    """Pairs of a box and a class, by falling score.

    Attributes:
        boxes: intp [n], columns of the table.
        classes: intp [n], rows of it.
        scores: float32 [n].
        refused: How many boxes have a NaN for a score and are not among the pairs.
    """

    boxes: Indexes
    classes: Indexes
    scores: NDArray[np.float32]
    refused: int

    def rows(self, corners: NDArray[np.float32]) -> Rows:
        """Return them as detections, [n, 6], with the numbers of each box in `corners`, [boxes, 4]."""
        rows = np.empty((len(self.boxes), 6), np.float32)
        rows[:, :4] = corners[self.boxes]
        rows[:, 4] = self.scores
        rows[:, 5] = self.classes
        return rows


def best_pairs(
    scores: NDArray[np.float32],
    threshold: np.float32,
    classes: NDArray[np.bool_] | None = None,
    most: int = MOST_PAIRS,
) -> Pairs:
    """Return the highest scores of a table, as YOLOv10 chooses them (2405.14458).

    Two stages: the boxes with the best highest scores first, then the best pairs among them. No pair is lost
    to the first stage, for a box that it drops comes after `most` others with a pair at least as good.

    Args:
        scores: float32 [classes, boxes]; a view in any order of memory.
        threshold: The least score.
        classes: bool [classes], which are wanted; None for all.
        most: The most pairs.
    """
    numbers = np.arange(len(scores)) if classes is None else np.flatnonzero(classes[: len(scores)])
    if len(numbers) == 0 or scores.shape[1] == 0:
        nothing = np.empty(0, np.intp)
        return Pairs(nothing, nothing, np.empty(0, np.float32), 0)
    if classes is not None:
        scores = scores[numbers]
    peaks = scores.max(axis=0)
    refused = int(np.count_nonzero(np.isnan(peaks)))
    boxes = np.flatnonzero(peaks >= threshold)
    if len(boxes) > most:
        boxes = boxes[np.argpartition(peaks[boxes], len(boxes) - most)[-most:]]
    few = scores[:, boxes]
    rows, columns = np.nonzero(few >= threshold)
    values = few[rows, columns]
    if len(values) > most:
        best = np.argpartition(values, len(values) - most)[-most:]
        rows, columns, values = rows[best], columns[best], values[best]
    order = np.argsort(-values, kind="stable")
    return Pairs(boxes[columns[order]], numbers[rows[order]], values[order], refused)
