# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop of t2: as many steps as a budget of time allows, on the weighted log-loss."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from lowlat_nodes.train.t2.examples import Examples
from lowlat_nodes.train.t2.model import ScaledT2
from lowlat_nodes.train.yolov10.fit import Budget, learning_rate


@dataclass(frozen=True)
class FitConfig:
    """How t2 is fitted.

    Attributes:
        learning_rate: Of Adam; it rises over `warm_up` of the budget and falls along a cosine.
        warm_up: Share of the budget.
        batch: Light curves for each step.
        clip: Norm that gradients are cut to, as published.
    """

    learning_rate: float = 4e-3
    warm_up: float = 0.03
    batch: int = 64
    clip: float = 1.0


@dataclass(frozen=True)
class Fitted:
    """What a fit took: `steps`, and the mean `loss` of the last of them."""

    steps: int
    loss: float


def fit(
    net: ScaledT2,
    examples: Examples,
    config: FitConfig,
    budget: Budget,
    *,
    seed: int = 0,
    say: Callable[[str], None] = lambda _: None,
) -> Fitted:
    """Train until the budget is spent.

    The loss is the weighted log-loss of PLAsTiCC with equal weights: each class counts as much as any other,
    however frequent it is.
    """
    net.train()
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(weights, lr=config.learning_rate)
    counts = torch.bincount(examples.labels, minlength=net.network.config.classes)
    by_class = len(examples) / (counts.clamp(min=1) * (counts > 0).sum())
    batches = examples.batches(min(config.batch, len(examples)), seed)
    steps, smooth, told = 0, 0.0, time.monotonic()
    while (share := budget.share) < 1.0:
        batch = next(batches)
        loss = functional.cross_entropy(net(*batch.inputs), batch.labels, by_class)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, config.clip)
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(share, config.warm_up) * config.learning_rate
        optimiser.step()
        steps += 1
        smooth = loss.item() if steps == 1 else 0.99 * smooth + 0.01 * loss.item()
        if time.monotonic() - told > 30.0:
            told = time.monotonic()
            say(f"{100 * budget.share:.0f} %, step {steps}, loss {smooth:.3f}")
    net.eval()
    return Fitted(steps, smooth)


@torch.no_grad()
def logits(net: ScaledT2, examples: Examples, batch: int = 64) -> Tensor:
    """Return what a network says of all examples, float32 [n, classes]."""
    net.eval()
    rows = torch.arange(len(examples)).split(batch)
    return torch.cat([net(*examples.take(some).inputs) for some in rows])
