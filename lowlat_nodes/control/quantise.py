# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Action quantisation: a coarse action in the place of several fine ones moves a robot faster."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Floats


def quantise(actions: Floats, q: int, delta: NDArray[np.bool_]) -> Floats:
    """Merge groups of q actions into one (action quantisation, VLASH, arXiv 2512.01031).

    Differences are summed. Of everything else the last value of a group stands: of absolute targets, and of
    discrete dimensions such as grippers, which must not be marked as differences. Groups begin at the first
    row and the last one may be short, so every row counts once, and chunks of any length follow each other
    without a drift of the phase. (The published code sends every q-th action by a running
    step counter, which drifts where the length is no multiple of q, and merges nothing.)

    Args:
        actions: float64 [H, A].
        q: How many actions are merged, at least 1.
        delta: bool [A], which dimensions are differences.

    Returns:
        float64 [ceil(H / q), A], a new array.

    Raises:
        ValueError: If q is below 1, or the shapes do not fit.
    """
    if actions.ndim != 2 or delta.shape != actions.shape[1:]:
        raise ValueError(f"expected actions [H, A] and delta [A], got {actions.shape} and {delta.shape}")
    if q < 1:
        raise ValueError(f"expected q >= 1, got {q}")
    starts = np.arange(0, len(actions), q)
    merged: Floats = actions[np.minimum(starts + q, len(actions)) - 1]
    if delta.any() and len(actions):
        merged[:, delta] = np.add.reduceat(actions[:, delta], starts, axis=0)
    return merged
