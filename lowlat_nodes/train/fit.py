# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gradient descent: AdamW under a cosine schedule, with the exponential average of the weights kept."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class FitConfig:
    """How a network is fitted.

    The learning rate rises over `warm_up` steps and falls to nothing over all of them. All but the last
    `exact_share` of the steps compute in bfloat16 where that is safe.
    """

    steps: int
    learning_rate: float = 2e-3
    weight_decay: float = 1e-4
    average_decay: float = 0.998
    warm_up: int = 200
    exact_share: float = 0.05


def fit(
    net: nn.Module,
    loss: Callable[[], Tensor],
    config: FitConfig,
    *,
    name: str,
    say: Callable[[str], None],
) -> float:
    """Minimise `loss`, which depends on the weights of `net`; leave their average in it.

    Returns the mean loss of the last steps. Raises RuntimeError for a loss that is not finite.
    """
    average = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    warm_up = max(1, min(config.warm_up, config.steps // 10))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser,
        lambda s: min((s + 1) / warm_up, 0.5 * (1.0 + math.cos(math.pi * s / config.steps)) + 1e-3),
    )
    began, smooth = time.monotonic(), math.nan
    for step in range(config.steps):
        with torch.autocast("cpu", torch.bfloat16, enabled=step < (1.0 - config.exact_share) * config.steps):
            error = loss()
        optimiser.zero_grad(set_to_none=True)
        error.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        with torch.no_grad():
            decay = min(config.average_decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1.0 - decay)
        value = float(error.detach())
        if not math.isfinite(value):
            raise RuntimeError(f"{name}: the loss is {value} at step {step + 1}; try another seed")
        smooth = value if math.isnan(smooth) else 0.98 * smooth + 0.02 * value
        if step % 250 == 249 or step + 1 == config.steps:
            took_s = time.monotonic() - began
            say(f"{name}: step {step + 1} of {config.steps}, loss {smooth:.5f}, {took_s:.0f} s")
    net.load_state_dict(average.state_dict())
    return smooth
