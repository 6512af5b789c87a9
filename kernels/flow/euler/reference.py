# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The Euler step in float64."""

from __future__ import annotations

import itertools

from torch import Tensor


def run(
    x: Tensor,
    prediction: Tensor,
    step_size: float,
    *,
    clean: bool = False,
    decided: Tensor | None = None,
    decided_rows: Tensor | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """Return the next chunks in float64, or `out`."""
    start, towards = x.double(), prediction.double()
    result = start + step_size * (towards - start if clean else towards)
    if decided is not None and decided_rows is not None:
        for chunk in itertools.product(*map(range, x.shape[:-2])):
            rows = max(int(decided_rows[chunk]), 0)
            result[chunk][:rows] = decided[chunk][:rows].double()
    return result if out is None else out.copy_(result)
