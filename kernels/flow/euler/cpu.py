# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The Euler step in plain torch, which has nothing that a kernel could save on a CPU."""

from __future__ import annotations

import torch
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
    """Return the next chunks."""
    prediction = prediction.to(x.dtype) if clean else prediction
    result = torch.lerp(x, prediction, step_size) if clean else torch.add(x, prediction, alpha=step_size)
    if decided is not None and decided_rows is not None:
        row = torch.arange(x.shape[-2], device=x.device)
        keep = (row < decided_rows.unsqueeze(-1)).unsqueeze(-1)
        result = torch.where(keep, decided, result)
    return result.to(x.dtype) if out is None else out.copy_(result)
