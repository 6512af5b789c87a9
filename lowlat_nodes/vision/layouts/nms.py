# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.placement import Rows

_BLOCK = 256  # rows; what is compared at once stays within the cache


def suppress(rows: Rows, iou_threshold: float, most: int) -> NDArray[np.intp]:
    """Return which rows remain when each drops the weaker ones of its class that overlap it.

    The result is that of the greedy algorithm, row after row, without a loop over rows: a block is compared
    with what remained of the blocks before it, then with itself until nothing changes.

    Args:
        rows: float32 [n, 6] by falling score, finite: x1, y1, x2, y2, score, class.
        iou_threshold: Intersection over union above which two boxes are the same thing.
        most: How many rows may remain.

    Returns:
        intp [m], rising.
    """
    kept = np.empty(0, np.intp)
    for start in range(0, len(rows), _BLOCK):
        block = rows[start : start + _BLOCK]
        left = np.arange(start, start + len(block))
        if len(kept):
            left = left[~_overlap(rows[kept], block, iou_threshold).any(axis=0)]
            block = rows[left]
        kept = np.concatenate((kept, left[_greedy(np.triu(_overlap(block, block, iou_threshold), 1))]))
        if len(kept) >= most:
            break
    return kept[:most]


def _greedy(drops: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which of n rows remain, given which later ones each would drop: bool [n, n], upper triangle.

    A row remains if no remaining one drops it. Each round settles at least one row more, those whose
    droppers are settled; detections need as many rounds as their longest chain of overlaps, a few.
    """
    remains: NDArray[np.bool_] = np.ones(len(drops), np.bool_)
    while True:
        settled = np.logical_not(drops[remains].any(axis=0))
        if np.array_equal(settled, remains):
            return remains
        remains = settled


def _overlap(a: Rows, b: Rows, iou_threshold: float) -> NDArray[np.bool_]:
    """Return whether each row of a [n, 6] and each of b [m, 6] are of one class and overlap: bool [n, m]."""
    width = np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0])
    height = np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1])
    both = np.maximum(width, 0, out=width)
    both *= np.maximum(height, 0, out=height)
    either = _area(a)[:, None] + _area(b) - both
    over: NDArray[np.bool_] = (both > np.float32(iou_threshold) * either) & (a[:, None, 5] == b[:, 5])
    return over


def _area(rows: Rows) -> NDArray[np.float32]:
    area: NDArray[np.float32] = np.maximum(rows[:, 2] - rows[:, 0], 0) * np.maximum(
        rows[:, 3] - rows[:, 1], 0
    )
    return area
