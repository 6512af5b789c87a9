# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop of the classifier of alerts: as many steps as a budget of time allows."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.tokens import tokenise
from lowlat_nodes.train.alerts.augment import AugmentConfig, augment
from lowlat_nodes.train.yolov10.fit import Budget, learning_rate
from lowlat_nodes.train.yolov10.muon import Muon


@dataclass(frozen=True)
class FitConfig:
    """How a classifier is fitted.

    The learning rate rises over `warm_up` of the budget and falls to nothing over all of it. The labels of a
    batch are smoothed by `smoothing`; `batches_together` are drawn at once.
    """

    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    warm_up: float = 0.03
    average_decay: float = 0.999
    clip: float = 1.0
    smoothing: float = 0.03
    batch: int = 128
    batches_together: int = 16
    augment: AugmentConfig = field(default_factory=AugmentConfig)


def views(
    light_curves: LightCurves, labels: NDArray[np.int64], config: FitConfig, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of tokens [B, L, 5] and labels [B] without end: all classes alike, each light curve seen anew.

    Many are drawn together, so that each batch has alerts of similar length.
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    while True:
        kinds = random.integers(0, len(members), config.batch * config.batches_together)
        rows = np.array([members[kind][random.integers(len(members[kind]))] for kind in kinds])
        found = tokenise(augment(light_curves.take(rows), random, config.augment))
        batches = list(found.batches(config.batch))
        for number in random.permutation(len(batches)):
            chosen, tokens = batches[number]
            yield torch.from_numpy(tokens), torch.from_numpy(labels[rows[chosen]])


@dataclass(frozen=True)
class Fitted:
    """What a fit took: `steps`, `views` of light curves, and the mean `loss` of the last steps."""

    steps: int
    views: int
    loss: float


class Average:
    """The exponential average of the weights of a network, which does better than the last ones."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval()
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move towards the weights of `net`."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        torch._foreach_lerp_(list(self.net.parameters()), list(net.parameters()), 1.0 - decay)


def optimisers(net: nn.Module, config: FitConfig) -> list[torch.optim.Optimizer]:
    """Muon for matrices, which decay, and AdamW for biases."""
    matrices = [weight for weight in net.parameters() if weight.ndim > 1]
    others = [weight for weight in net.parameters() if weight.ndim < 2]
    return [
        Muon(matrices, config.learning_rate, weight_decay=config.weight_decay, dtype=torch.float32),
        torch.optim.AdamW(others, lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def fit(
    net: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    config: FitConfig,
    budget: Budget,
    *,
    say: Callable[[str], None],
    save: Callable[[nn.Module], None] = lambda _: None,
    save_every_s: float = 300.0,
) -> Fitted:
    """Train on batches until the budget is spent; leave the average weights in `net`.

    `save` gets the average weights every `save_every_s` of time that passes.
    """
    net.train()
    average, moves = Average(net, config.average_decay), optimisers(net, config)
    weights = list(net.parameters())
    steps = seen = 0
    smooth = right = math.nan
    told = saved = time.monotonic()
    while budget.share < 1.0:
        tokens, labels = next(batches)
        with torch.autocast("cpu", torch.bfloat16):
            logits = net(tokens)
        loss = functional.cross_entropy(logits.float(), labels, label_smoothing=config.smoothing)
        for move in moves:
            move.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, config.clip)
        factor = learning_rate(budget.share, config.warm_up)
        for move in moves:
            for group in move.param_groups:
                group["lr"] = factor * config.learning_rate
            move.step()
        average.update(net)
        steps, seen = steps + 1, seen + len(labels)
        accuracy = float((logits.argmax(1) == labels).float().mean())
        smooth = loss.item() if steps == 1 else 0.99 * smooth + 0.01 * loss.item()
        right = accuracy if steps == 1 else 0.99 * right + 0.01 * accuracy
        if time.monotonic() - told > 20.0:
            told = time.monotonic()
            share = f"{100 * budget.share:.0f} %"
            say(f"{share}, step {steps}, {seen} views, loss {smooth:.3f}, right {right:.3f}")
        if time.monotonic() - saved > save_every_s:
            saved = time.monotonic()
            save(average.net)
    net.load_state_dict(average.net.state_dict())
    net.eval()
    return Fitted(steps, seen, smooth)
