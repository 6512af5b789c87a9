# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The gate in plain torch."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional


def run(
    projected: Tensor, *, activation: Literal["silu", "gelu_tanh"] = "silu", out: Tensor | None = None
) -> Tensor:
    """Return the gated half."""
    a, b = projected.chunk(2, dim=-1)
    activated = functional.silu(a) if activation == "silu" else functional.gelu(a, approximate="tanh")
    return torch.mul(activated, b, out=out)
