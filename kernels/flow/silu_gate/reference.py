# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gate in float64."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor


def run(
    projected: Tensor, *, activation: Literal["silu", "gelu_tanh"] = "silu", out: Tensor | None = None
) -> Tensor:
    """Return the gated half in float64, or `out`."""
    a, b = projected.double().chunk(2, dim=-1)
    if activation == "silu":
        activated = a / (1.0 + torch.exp(-a))
    else:
        activated = 0.5 * a * (1.0 + torch.tanh(math.sqrt(2.0 / math.pi) * (a + 0.044715 * a**3)))
    return activated * b if out is None else out.copy_(activated * b)
