# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Muon: gradient descent whose steps are orthogonal matrices."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


def orthogonalised(matrix: Tensor, rounds: int = 5, dtype: torch.dtype = torch.bfloat16) -> Tensor:
    """Push the singular values of a matrix [rows, columns] towards 1, to about 0.7 to 1.2.

    Newton-Schulz iteration with the quintic of Muon's authors, which trades exactness for speed. In bfloat16,
    but float32 is faster for matrices of less than about 100 rows.
    """
    x = matrix.to(dtype)
    wide = x.shape[0] <= x.shape[1]
    x = x if wide else x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * (square @ square)) @ x
    return (x if wide else x.T).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum whose step is orthogonalised (K. Jordan, 2024), as large as one of AdamW (arXiv 2502.16982).

    For weights of two dimensions and more; a kernel counts as the matrix of its output channels by the rest.
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter] | Iterable[dict[str, Any]],
        lr: float = 2e-3,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Take one step along the gradients that are there."""
        if closure is not None:
            raise ValueError("expected no closure: compute the gradients before the step")
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                mean = state["momentum"].lerp_(weight.grad, 1.0 - group["momentum"])
                ahead = weight.grad.lerp(mean, group["momentum"]).flatten(1)
                move = orthogonalised(ahead, dtype=self._dtype).view(weight.shape)
                size = 0.2 * math.sqrt(max(ahead.shape))
                weight.mul_(1.0 - group["lr"] * group["weight_decay"])
                weight.add_(move, alpha=-group["lr"] * size)
