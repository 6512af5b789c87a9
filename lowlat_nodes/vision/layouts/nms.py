# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Non-maximum suppression by class."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.placement import Rows


def suppress(rows: Rows, iou_threshold: float) -> NDArray[np.intp]:
    """Return which rows remain when each, from the first on, drops later ones of its class that it overlaps.

    Args:
        rows: float32 [n, 6], finite, by falling score: x1, y1, x2, y2, score, class.
        iou_threshold: Intersection over union above which two boxes are the same thing.

    Returns:
        intp [m], rising.
    """
    if len(rows) == 0:
        return np.empty(0, np.intp)
    boxes = np.empty((len(rows), 4), np.float64)
    boxes[:, :2] = rows[:, :2]
    boxes[:, 2:] = np.maximum(rows[:, 2:4] - rows[:, :2], 0)
    # Classes lie side by side, so that boxes of two of them never overlap. NMSBoxesBatched does that too, in
    # OpenCV 4.7 and later; ROS 2 Jazzy has 4.6.
    boxes[:, 0] += rows[:, 5] * (np.ptp(rows[:, (0, 2)]).astype(np.float64) + 1)
    # OpenCV leaves out scores of 0 and keeps the order of equal ones.
    return np.asarray(
        cv2.dnn.NMSBoxes(boxes.tolist(), [1.0] * len(rows), 0.0, iou_threshold), np.intp
    ).ravel()
