# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The best pairs of box and class in a table of scores."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Indexes = NDArray[np.intp]


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


def best_pairs(
    scores: NDArray[np.float32], threshold: np.float32, most: int, classes: NDArray[np.bool_] | None = None
) -> Pairs:
    """Return the highest scores of a table, as YOLOv10 chooses them (2405.14458).

    Two stages: the boxes with the best highest scores first, then the best pairs among them. No pair is lost
    to the first stage, for a box that it drops comes after `most` others with a pair at least as good.

    Args:
        scores: float32 [classes, boxes]; a view in any order of memory.
        threshold: The least score.
        most: The most pairs.
        classes: bool [classes], which are wanted; None for all.
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
