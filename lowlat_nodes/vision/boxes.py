# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much boxes have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def areas(boxes: NDArray[Any]) -> Floats:
    """Return the areas of boxes [n, 4]: [n]; nothing of one whose edges are the wrong way round."""
    sides = (boxes[:, 2:] - boxes[:, :2]).clip(min=0.0)
    product: Floats = sides[:, 0] * sides[:, 1]
    return product


def intersections(boxes: NDArray[Any], others: NDArray[Any]) -> Floats:
    """Return the areas common to boxes [n, 4] and others [m, 4]: [n, m]."""
    left, top, right, bottom = boxes.T[:, :, None]
    width = np.minimum(right, others[:, 2]) - np.maximum(left, others[:, 0])
    height = np.minimum(bottom, others[:, 3]) - np.maximum(top, others[:, 1])
    common: Floats = width.clip(min=0.0) * height.clip(min=0.0)
    return common


def intersections_over_unions(boxes: NDArray[Any], others: NDArray[Any]) -> Floats:
    """Return how well boxes [n, 4] and others [m, 4] agree: [n, m], 0 to 1."""
    common = intersections(boxes, others)
    union = areas(boxes)[:, None] + areas(others) - common
    shares: Floats = common / np.maximum(union, 1e-12)
    return shares
