# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Between which values scores lie, whatever is to make probabilities of them."""

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


def greatest_value(activation: str) -> float:
    """Return the greatest value that a score may be made of, a float32 number."""
    return math.inf if activation == "sigmoid" else float(np.finfo(np.float32).max)
