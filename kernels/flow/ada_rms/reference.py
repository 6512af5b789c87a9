# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The adaptive RMS norm in float64."""

from __future__ import annotations

from torch import Tensor


def run(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    *,
    residual: Tensor | None = None,
    gate: Tensor | None = None,
    eps: float = 1e-6,
    total: Tensor | None = None,
    out: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the sum and the normalised tokens in float64, or `total` and `out`."""
    summed = x.double()
    if residual is not None:
        weight = 1.0 if gate is None else gate.double().unsqueeze(-2)
        summed = summed + weight * residual.double()
    root = (summed.square().mean(-1, keepdim=True) + eps).sqrt()
    result = summed / root * (1.0 + scale.double().unsqueeze(-2))
    if shift is not None:
        result = result + shift.double().unsqueeze(-2)
    return (
        summed if total is None else total.copy_(summed),
        result if out is None else out.copy_(result),
    )
