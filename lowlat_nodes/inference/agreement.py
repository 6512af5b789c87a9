# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whether two ways to run a model give the same result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

# Scores without an object are far below this, and what they differ by then means nothing.
_SMALLEST_SCALE = 0.05

Values = NDArray[np.float64]


def disagreement(expected: Sequence[np.ndarray], got: Sequence[np.ndarray]) -> float:
    """Return how far two results are apart, the worst over the outputs.

    Rows that a top-k has chosen hang on ties between scores, in their order and at the end: one may be
    another without anything being wrong. So the difference of an output is the largest value by value or,
    where that is less, the mean one of the sorted values of the worst column.

    Args:
        expected: What is held to be right.
        got: The same outputs, made in another way.

    Returns:
        Relative to the mean size of the expected values, at least 0.05; infinite if shapes differ or values
        are not finite.
    """
    if len(expected) != len(got):
        return np.inf
    return max((_apart(right, made) for right, made in zip(expected, got, strict=True)), default=0.0)


def _apart(expected: np.ndarray, got: np.ndarray) -> float:
    if expected.shape != got.shape:
        return np.inf
    right, made = expected.astype(np.float64), got.astype(np.float64)
    if not (np.isfinite(right).all() and np.isfinite(made).all()):
        return np.inf
    if not right.size:
        return 0.0
    rows = _rows(right)
    scale = np.maximum(np.abs(rows).mean(axis=0), _SMALLEST_SCALE)
    by_value = np.abs(_rows(made) - rows) / scale
    sorted_apart = np.abs(np.sort(_rows(made), axis=0) - np.sort(rows, axis=0)) / scale
    return float(min(by_value.max(), sorted_apart.mean(axis=0).max()))


def _rows(values: Values) -> Values:
    """Return [rows, columns], where the shorter of the last two axes is that of the columns."""
    if values.ndim < 2:
        return values.reshape(-1, 1)
    if values.shape[-2] < values.shape[-1]:
        values = values.swapaxes(-2, -1)
    return values.reshape(-1, values.shape[-1])
