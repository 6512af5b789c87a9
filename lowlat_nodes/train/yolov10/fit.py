# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The training loop of the detector: as many steps as a budget of time allows."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import Tensor, nn

from lowlat_nodes.train.yolov10.batches import Batch
from lowlat_nodes.train.yolov10.boxes import PaddedTruth
from lowlat_nodes.train.yolov10.loss import ONE_TO_MANY, ONE_TO_ONE, Loss, head_loss
from lowlat_nodes.train.yolov10.model import YoloV10
from lowlat_nodes.train.yolov10.muon import Muon

CLOCKS: Final[dict[str, Callable[[], float]]] = {"cpu": time.process_time, "wall": time.monotonic}
"""What a budget may be measured by, in s: CPU time of all threads of the process, or time that passes."""


@dataclass(frozen=True)
class FitConfig:
    """How a detector is fitted.

    The learning rate rises over `warm_up` of the budget and falls to nothing over all of it. Muon moves the
    kernels of whole convolutions, AdamW all else: depthwise kernels, biases and normalisation.
    """

    learning_rate: float = 6e-3
    weight_decay: float = 0.02
    warm_up: float = 0.04
    average_decay: float = 0.998
    clip: float = 10.0


@dataclass
class Budget:
    """Time that may be spent, in s of a clock; it begins to run when it is made."""

    seconds: float
    clock: Callable[[], float] = time.process_time
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def spent_s(self) -> float:
        """How much is gone."""
        return self.clock() - self.began

    @property
    def share(self) -> float:
        """How much is gone, from 0; 1 and more when all is."""
        return self.spent_s / self.seconds


def learning_rate(share: float, warm_up: float) -> float:
    """The factor at a share of the budget: up in a line, then down along a cosine to 0."""
    if share < warm_up:
        return share / warm_up
    left = (share - warm_up) / (1.0 - warm_up)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, left)))


@dataclass(frozen=True)
class Fitted:
    """What a fit took: `steps`, `images` that it saw, and the mean `loss` of the last steps."""

    steps: int
    images: int
    loss: float


class Average:
    """The exponential average of the weights of a network, which detects better than the last ones."""

    def __init__(self, net: YoloV10, decay: float) -> None:
        self.net = copy.deepcopy(net).eval()
        self._decay = decay
        self._steps = 0

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move towards the weights of `net`; statistics of normalisation are weights here."""
        decay = min(self._decay, (1 + self._steps) / (10 + self._steps))
        self._steps += 1
        mine, theirs = self.net.state_dict(), net.state_dict()
        names = [name for name, value in mine.items() if value.is_floating_point()]
        torch._foreach_lerp_([mine[name] for name in names], [theirs[name] for name in names], 1.0 - decay)


def optimisers(net: nn.Module, config: FitConfig) -> list[torch.optim.Optimizer]:
    """Muon for whole kernels, AdamW for the rest; only kernels decay."""
    whole, thin, flat = [], [], []
    for weight in net.parameters():
        if weight.requires_grad:
            (flat if weight.ndim < 2 else thin if weight.shape[1] == 1 else whole).append(weight)
    rest = [{"params": thin, "weight_decay": config.weight_decay}, {"params": flat, "weight_decay": 0.0}]
    return [
        Muon(whole, lr=config.learning_rate, weight_decay=config.weight_decay),
        torch.optim.AdamW(rest, lr=config.learning_rate, betas=(0.9, 0.99)),
    ]


def losses(net: YoloV10, images: Tensor, truth: PaddedTruth) -> tuple[Loss, Loss]:
    """The losses of the one-to-many and the one-to-one head on images, float [B, 3, H, W] from 0 to 1."""
    output = net(images)
    return tuple(  # type: ignore[return-value]
        head_loss(head.distances, head.scores, output.anchors, output.strides, truth, most=most)
        for head, most in ((output.one_to_many, ONE_TO_MANY), (output.one_to_one, ONE_TO_ONE))
    )


def fit(
    net: YoloV10,
    batches: Iterator[Batch],
    config: FitConfig,
    budget: Budget,
    *,
    say: Callable[[str], None],
    save: Callable[[YoloV10], None] = lambda _: None,
    save_every_s: float = 180.0,
) -> Fitted:
    """Train on batches until the budget is spent; leave the average weights in `net`.

    `save` gets the average weights every `save_every_s` of time that passes. Steps whose gradients are not
    finite are left out and counted. Raises RuntimeError after ten of them in a row.
    """
    net.to(memory_format=torch.channels_last).train()
    average, optimiser = Average(net, config.average_decay), optimisers(net, config)
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    steps = seen = refused = 0
    smooth: dict[str, float] = {}
    told = saved = time.monotonic()
    while budget.share < 1.0:
        images, truth = next(batches).tensors()
        with torch.autocast("cpu", torch.bfloat16):
            many, one = losses(net, images, truth)
        for item in optimiser:
            item.zero_grad(set_to_none=True)
        (many.total + one.total).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(weights, config.clip))
        if not math.isfinite(norm):
            refused += 1
            if refused == 10:
                raise RuntimeError(f"ten steps without finite gradients, at step {steps}; try another seed")
            continue
        refused = 0
        factor = learning_rate(budget.share, config.warm_up)
        for item in optimiser:
            for group in item.param_groups:
                group["lr"] = factor * config.learning_rate
            item.step()
        average.update(net)
        steps, seen = steps + 1, seen + len(images)
        now = {
            "many": float(many.total.detach()),
            "one": float(one.total.detach()),
            "score": float(one.score.detach()),
            "box": float(one.box.detach()),
            "distance": float(one.distance.detach()),
            "norm": norm,
        }
        smooth = {name: 0.96 * smooth.get(name, value) + 0.04 * value for name, value in now.items()}
        if time.monotonic() - told > 20.0:
            told = time.monotonic()
            parts = ", ".join(f"{name} {value:.3f}" for name, value in smooth.items())
            say(f"{100 * budget.share:.0f} %, step {steps}, {seen} images, loss {parts}")
        if time.monotonic() - saved > save_every_s:
            saved = time.monotonic()
            save(average.net)
    net.load_state_dict(average.net.state_dict())
    return Fitted(steps, seen, smooth.get("many", math.nan) + smooth.get("one", math.nan))
