# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Temperature scaling (Guo et al. 2017, arXiv 1706.04599): one number that makes probabilities honest."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.tokens import Tokens


@torch.no_grad()
def logits(net: nn.Module, tokens: Tokens, batch: int = 256) -> Tensor:
    """What a network says of all alerts, float32 [n, 12]."""
    found = torch.empty(len(tokens), len(CLASSES))
    for chosen, values in tokens.batches(batch):
        found[torch.from_numpy(chosen)] = net(torch.from_numpy(values))
    return found


def temperature(scores: Tensor, labels: NDArray[np.int64]) -> float:
    """The temperature that makes the cross-entropy of logits [n, 12] least."""
    target = torch.from_numpy(labels)
    log_temperature = torch.zeros((), requires_grad=True)
    optimiser = torch.optim.LBFGS([log_temperature], lr=0.2, max_iter=100, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(scores / log_temperature.exp(), target)
        loss.backward()
        return loss

    optimiser.step(closure)
    return float(log_temperature.detach().exp())
