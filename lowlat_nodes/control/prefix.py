# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much each row of a new chunk must agree with the plan that it continues."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.stream.payload import Floats


def hard_prefix(committed: int, rows: int) -> Floats:
    """Return float64 [rows], 1 for the rows that are executed anyway, else 0."""
    return (np.arange(rows) < committed).astype(np.float64)


def soft_prefix(committed: int, known: int, rows: int) -> Floats:
    """Return the soft mask of real-time chunking (2506.07339, equation 5), float64 [rows].

    Args:
        committed: Rows that are executed before the new chunk takes over, d in the paper: weight 1.
        known: Rows that the plan still has, H - s in the paper: beyond them the weight is 0.
        rows: Rows of the chunk.
    """
    committed = min(committed, known)
    index = np.arange(rows)
    linear = np.clip((known - index) / (known - committed + 1), 0.0, 1.0)
    weights: Floats = linear * np.expm1(linear) / (np.e - 1.0)
    weights[index < committed] = 1.0
    weights[index >= known] = 0.0
    return weights
