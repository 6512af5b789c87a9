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
    boxes = np.concatenate((rows[:, :2], np.maximum(rows[:, 2:4] - rows[:, :2], 0)), axis=1)
    kept = []
    for number in np.unique(rows[:, 5]):
        members = np.flatnonzero(rows[:, 5] == number)
        # OpenCV leaves out scores of 0 and keeps the order of equal ones.
        scores = [1.0] * len(members)
        kept.append(members[cv2.dnn.NMSBoxes(boxes[members].tolist(), scores, 0.0, iou_threshold)])
    return np.sort(np.concatenate(kept))
