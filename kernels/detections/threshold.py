# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A threshold on probabilities, as one on what they are made of."""

from __future__ import annotations

import math

import numpy as np


def least_value(threshold: float, activation: str) -> float:
    """Return the least value whose score is the threshold or more, a float32 number.

    Args:
        threshold: Of scores from 0 to 1; float32 counts.
        activation: `sigmoid` or `none`.
    """
    least = float(np.float32(threshold))
    if activation == "none":
        return least
    if least in {0.0, 1.0}:
        return math.inf if least else -math.inf
    return float(np.float32(math.log(least) - math.log1p(-least)))
