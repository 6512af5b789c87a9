# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Weight clustering: the weights of a layer take few values, which are trained (arXiv 1510.00149)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

CLUSTERS: Final = 16


class _Nearest(nn.Module):
    """Replaces each weight by the nearest of some values.

    As in TensorFlow's toolkit, which t2 was compressed with, the values start equally spaced between the
    least weight and the greatest; they get the gradients of their members, and so do the weights, which may
    then change their cluster.
    """

    def __init__(self, weight: Tensor, clusters: int) -> None:
        super().__init__()
        low, high = weight.detach().aminmax()
        steps = torch.linspace(0.0, 1.0, clusters, dtype=weight.dtype)
        self.values = nn.Parameter(low + (high - low) * steps)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the values in place of the weights."""
        nearest = (weight.detach()[..., None] - self.values.detach()).abs().argmin(-1)
        return self.values[nearest] + (weight - weight.detach())


def cluster(layer: nn.Linear, clusters: int = CLUSTERS) -> None:
    """Make a layer compute with so many different weights, and train them."""
    parametrize.register_parametrization(layer, "weight", _Nearest(layer.weight, clusters))
