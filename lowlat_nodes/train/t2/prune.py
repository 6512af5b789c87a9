# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Magnitude pruning: the smallest weights of a layer are 0 and stay so (Zhu and Gupta, arXiv 1710.01878)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

SPARSITY: Final = 0.5
"""What TensorFlow's toolkit prunes unless it is told otherwise, and so what t2 was pruned to."""


class _Kept(nn.Module):
    """Lets some weights pass and holds the others at 0."""

    mask: Tensor

    def __init__(self, weight: Tensor, sparsity: float) -> None:
        super().__init__()
        size = weight.detach().abs().flatten()
        mask = torch.ones_like(size)
        mask[size.argsort()[: round(sparsity * len(size))]] = 0.0
        self.register_buffer("mask", mask.view_as(weight))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weights that are left."""
        return weight * self.mask


def prune(layer: nn.Linear, sparsity: float = SPARSITY) -> None:
    """Hold a share of the weights of a layer, the smallest, at 0."""
    parametrize.register_parametrization(layer, "weight", _Kept(layer.weight, sparsity))
