# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The two stages of training: one encoder and head, then every variant from there with equal effort."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.sim.kinematics import forward
from lowlat_nodes.train.corrector import Corrector, Pairs, correction_loss
from lowlat_nodes.train.fit import FitConfig, fit
from lowlat_nodes.train.flow import Encoder, FlowConfig, Head
from lowlat_nodes.train.variants import VARIANTS, Lessons, flow_loss

_VIEWS = 2  # differently disturbed copies of each image whose features are kept for the second stage
_LOSS = "last loss"


@dataclass(frozen=True)
class TrainConfig:
    """What determines the trained policies, together with the demonstrations.

    Attributes:
        seed: Of initial weights, batches and noise.
        steps: Gradient steps of the first stage.
        batch: Images in one of them.
        draws: Flow times and noises for each image.
        variant_steps: Gradient steps of each variant in the second stage.
        variant_batch: Samples in one of them; `corrector_batch` those of a corrector.
        network: Sizes.
    """

    seed: int = 0
    steps: int = 8_000
    batch: int = 96
    draws: int = 6
    variant_steps: int = 5_000
    variant_batch: int = 768
    corrector_batch: int = 384
    network: FlowConfig = field(default_factory=FlowConfig)


Say = Callable[[str], None]
Features = Callable[[], Tensor]
"""Makes the features of all images, as `views` does, once they are needed."""


class _Places(nn.Module):
    """Names the place to go to and whether there is one: a second task for the encoder, dropped later."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(features, 64), nn.SiLU(), nn.Linear(64, 3))

    def loss(self, features: Tensor, place: Tensor, there: Tensor) -> Tensor:
        """Squared error of the place, in units of 0.3 m, where there is one, and how surely it is known."""
        made = self.layers(features)
        missed = (made[:, :2] - place / 0.3).square().sum(-1)
        return (missed * there).mean() + 0.1 * functional.binary_cross_entropy_with_logits(made[:, 2], there)


def seeded(config: TrainConfig, name: str) -> np.random.Generator:
    """Seed torch and return a generator, so that each fit repeats however the run before it was cut."""
    number = zlib.crc32(name.encode())
    torch.manual_seed(1_000_003 * config.seed + number)
    return np.random.default_rng((config.seed, number))


def disturbed(images: NDArray[np.uint8], random: np.random.Generator) -> Tensor:
    """Images under other light and with noise: float32 [B, 3, h, w], 0 to 255."""
    gain = torch.from_numpy(random.uniform(0.85, 1.15, size=(len(images), 1, 1, 1)).astype(np.float32))
    clean = torch.from_numpy(images).to(torch.float32)
    noisy = clean * gain + 2.0 * torch.randn_like(clean)
    # NCHW over the bytes as they lie is the channels-last layout, which is fastest.
    return noisy.clamp(0.0, 255.0).permute(0, 3, 1, 2)


def first_stage(lessons: Lessons, config: TrainConfig, checkpoint: Path, say: Say) -> tuple[Encoder, Head]:
    """Train encoder and head on states at the image, or take them from the checkpoint."""
    random = seeded(config, "first stage")
    encoder = Encoder(config.network).to(memory_format=torch.channels_last)
    head = Head(config.network)
    whole = nn.ModuleDict({"encoder": encoder, "head": head})
    if checkpoint.exists():
        load(whole, checkpoint)
        return encoder, head
    normalise(head, lessons)
    data = lessons.data
    places = _Places(config.network.features)
    whole["places"] = places
    place = np.zeros((len(data.goal), 2), dtype=np.float32)
    there = np.isfinite(data.goal[:, 0])
    place[there] = forward(data.goal[there])[:, -1]

    def loss() -> Tensor:
        rows = random.integers(len(data.images), size=config.batch)
        features = encoder(disturbed(data.images[rows], random), torch.from_numpy(data.tokens[rows])).float()
        many = np.repeat(rows, config.draws)
        sample = lessons.at(many, np.zeros_like(many))
        error = flow_loss(head, sample, features.repeat_interleave(config.draws, dim=0))
        known = torch.from_numpy(there[rows].astype(np.float32))
        return error + 0.1 * places.loss(features, torch.from_numpy(place[rows]), known)

    final = fit(whole, loss, FitConfig(config.steps, exact_share=0.1), name="first stage", say=say)
    del whole["places"]
    save(whole, checkpoint, final)
    return encoder, head


def normalise(head: Head, lessons: Lessons) -> None:
    """Set the scales of a head to those of the demonstrations."""
    start = lessons.at(np.arange(len(lessons.chunks)), np.zeros(len(lessons.chunks), dtype=np.int64))
    position, velocity = start.state.chunk(2, dim=-1)
    head.position_mean.copy_(position.mean(0))
    head.position_scale.copy_(position.std(0))
    head.velocity_scale.copy_(velocity.std(0))
    head.action_scale.copy_((start.targets - position[:, None]).square().mean(0).sqrt())


def views(encoder: Encoder, lessons: Lessons, config: TrainConfig) -> Tensor:
    """Features of all images, each disturbed in some ways: float32 [views, N, F]."""
    random = seeded(config, "views")
    data = lessons.data
    made = torch.empty(_VIEWS, len(data.images), config.network.features)
    with torch.no_grad():
        for view in range(_VIEWS):
            for first in range(0, len(data.images), 256):
                rows = slice(first, first + 256)
                made[view, rows] = encoder(
                    disturbed(data.images[rows], random), torch.from_numpy(data.tokens[rows])
                )
    return made


def second_stage(
    name: str,
    lessons: Lessons,
    head: Head,
    features: Features,
    config: TrainConfig,
    checkpoint: Path,
    say: Say,
) -> Head:
    """Train a variant on from the first stage's head, or take it from the checkpoint."""
    variant = VARIANTS[name]
    net = head.widen(variant.conditions(config.network.horizon))
    if checkpoint.exists():
        load(net, checkpoint)
        return net
    count, known = len(lessons.chunks), features()
    random = seeded(config, name)
    latest = 1.0 - 1.0 / config.network.steps  # sampling asks for no later flow time

    def loss() -> Tensor:
        rows = random.integers(count, size=config.variant_batch)
        sample = variant.draw(lessons, rows, random)
        seen = known[random.integers(len(known), size=len(rows)), rows]
        return flow_loss(net, sample, seen, latest=latest)

    final = fit(net, loss, FitConfig(config.variant_steps, learning_rate=1e-3), name=name, say=say)
    save(net, checkpoint, final)
    return net


def corrector_stage(
    name: str,
    lessons: Lessons,
    head: Head,
    features: Features,
    config: TrainConfig,
    checkpoint: Path,
    say: Say,
) -> Corrector:
    """Train a corrector of a frozen head's plans, or take it from the checkpoint."""
    if checkpoint.exists():
        net = Corrector(head)
        load(net, checkpoint)
        return net
    pairs, known = Pairs.of(lessons), features()
    random = seeded(config, name)
    net = Corrector(head)

    def loss() -> Tensor:
        rows = random.integers(len(lessons.chunks), size=config.corrector_batch)
        view = known[int(random.integers(len(known)))]
        return correction_loss(net, head, pairs, view, rows, random)

    final = fit(net, loss, FitConfig(config.variant_steps), name=name, say=say)
    save(net, checkpoint, final)
    return net


def save(net: nn.Module, path: Path, loss: float) -> None:
    """Write weights and the last loss as .npz; a file that is there is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    weights = {name: value.numpy() for name, value in net.state_dict().items()}
    np.savez(partial, **{_LOSS: np.float64(loss)}, **weights)
    partial.replace(path)


def load(net: nn.Module, path: Path) -> None:
    """Read weights that `save` wrote into a network of the same sizes; raise RuntimeError for another."""
    with np.load(path, allow_pickle=False) as stored:
        net.load_state_dict({name: torch.from_numpy(stored[name]) for name in stored.files if name != _LOSS})


def last_loss(path: Path) -> float:
    """The loss that `save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        return float(stored[_LOSS])
