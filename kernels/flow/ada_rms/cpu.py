# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The adaptive RMS norm in plain torch, by its own operations."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


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
    """Return the sum and the normalised tokens."""
    summed = x
    if residual is not None:
        summed = x + residual if gate is None else torch.addcmul(x, gate.unsqueeze(-2), residual)
        summed = summed.to(x.dtype) if total is None else total.copy_(summed)
    normal = functional.rms_norm(summed, summed.shape[-1:], eps=eps)
    factor = 1.0 + scale.unsqueeze(-2)
    result = normal * factor if shift is None else torch.addcmul(shift.unsqueeze(-2), normal, factor)
    return summed, result.to(x.dtype) if out is None else out.copy_(result)
