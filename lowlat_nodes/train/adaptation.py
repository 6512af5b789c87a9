# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Fitting the adapters of a policy to recorded episodes, and its error on episodes that were held out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.adapters import AdaptedPolicy, AdapterConfig
from lowlat_nodes.train.fit import FitConfig, fit
from lowlat_nodes.train.flow import Encoder, Head
from lowlat_nodes.train.loading import PolicyNetworks
from lowlat_nodes.train.recorded import Recording
from lowlat_nodes.train.stages import disturbed
from lowlat_nodes.train.variants import VARIANTS, Rows, flow_loss

_VIEWS = 2  # differently disturbed copies of each image whose features are kept
_BATCH = 256
_JUDGED_FRAMES = 2048


@dataclass(frozen=True)
class AdaptConfig:
    """How a policy is adapted.

    Attributes:
        adapters: Which.
        steps: Gradient steps.
        batch: Samples in one of them.
        learning_rate: The highest of its schedule.
        held_out: Share of the episodes that is not trained on, at least one.
        seed: Of adapters, batches and noise, and of which episodes are held out.
    """

    adapters: AdapterConfig = field(default_factory=AdapterConfig)
    steps: int = 1000
    batch: int = 256
    learning_rate: float = 2e-3
    held_out: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.seed < 0:
            raise ConfigurationError(
                f"expected steps and batch of 1 or more and a seed of 0 or more, got {self.steps}, "
                f"{self.batch} and {self.seed}"
            )
        if not (0.0 < self.learning_rate < 1.0 and 0.0 < self.held_out < 1.0):
            raise ConfigurationError(
                f"expected a learning rate and a share of held-out episodes between 0 and 1, got "
                f"{self.learning_rate:g} and {self.held_out:g}"
            )


@dataclass(frozen=True)
class Adaptation:
    """What came of it.

    Attributes:
        trained: Numbers that were trained.
        frozen: Numbers of the policy.
        episodes_trained: Episodes that were trained on.
        episodes_held_out: Those that were not.
        loss: Of the last steps, in units of the policy's action scale, squared.
        before_rad: Mean absolute error of the policy's targets for the held-out frames, nothing decided and
            the state that of the image.
        after_rad: The same with the adapters.
    """

    trained: int
    frozen: int
    episodes_trained: int
    episodes_held_out: int
    loss: float
    before_rad: float
    after_rad: float


def adapt(
    policy: PolicyNetworks, recording: Recording, config: AdaptConfig, say: Callable[[str], None]
) -> Adaptation:
    """Adapt a policy's networks in place: its adapters are trained and then merged.

    Raises:
        ConfigurationError: If there are too few episodes to hold one out.
        MissingExtra: Without `peft`.
    """
    random = np.random.default_rng(config.seed)
    torch.manual_seed(config.seed)
    episodes, held_out = _split(recording, config.held_out, random)
    rows, held = recording.frames(episodes), recording.frames(held_out)
    judged = held[:: -(-len(held) // _JUDGED_FRAMES)]
    encoder, head = policy.encoder, policy.head
    frozen = sum(weight.numel() for weight in (*encoder.parameters(), *head.parameters()))
    before = held_out_error(encoder, head, recording, judged)
    adapted = AdaptedPolicy(encoder, head, config.adapters)
    trained = adapted.trained
    loss = fit(
        adapted.net,
        _loss(policy, recording, rows, config, random),
        # The weights to be decayed are not zero in all kinds of adapters, and these networks are small.
        FitConfig(config.steps, config.learning_rate, weight_decay=0.0, average_decay=0.99, exact_share=1.0),
        name=config.adapters.kind,
        say=say,
    )
    adapted.merge()
    after = held_out_error(encoder, head, recording, judged)
    return Adaptation(trained, frozen, len(episodes), len(held_out), loss, before, after)


def held_out_error(encoder: Encoder, head: Head, recording: Recording, rows: Rows) -> float:
    """Mean absolute error in rad of the chunks for some frames, from the same noise each time.

    Nothing is decided, and the state is that of the image.
    """
    noise = torch.Generator().manual_seed(0)
    missed, count = 0.0, 0
    with torch.no_grad():
        for part in np.array_split(rows, -(-len(rows) // _BATCH)):
            images = torch.from_numpy(recording.images[part]).to(torch.float32).permute(0, 3, 1, 2)
            features = encoder(images, torch.from_numpy(recording.tokens[part]))
            sample = recording.at(part, np.zeros_like(part))
            start = torch.randn(sample.targets.shape, generator=noise)
            conditions = torch.zeros(len(part), head.config.conditions) if head.config.conditions else None
            made = head.sample(start, features, sample.state, conditions)
            known = ~sample.padded[..., None]
            missed += float(((made - sample.targets).abs() * known).sum())
            count += int(known.sum()) * head.config.joints
    return missed / count


def _split(recording: Recording, share: float, random: np.random.Generator) -> tuple[Rows, Rows]:
    """The numbers of the episodes to train on, and of those held out."""
    count = len(recording.ends)
    held = max(1, round(share * count))
    if held >= count:
        raise ConfigurationError(
            f"expected at least {held + 1} episodes, of which {held} are held out to judge by, got {count}: "
            f"record more, or give a smaller --held-out"
        )
    order = random.permutation(count)
    return np.sort(order[held:]), np.sort(order[:held])


def _loss(
    policy: PolicyNetworks,
    recording: Recording,
    rows: Rows,
    config: AdaptConfig,
    random: np.random.Generator,
) -> Callable[[], Tensor]:
    """Return what makes the loss of the next batch."""
    encoder, head = policy.encoder, policy.head
    variant = VARIANTS[policy.variant]
    latest = 1.0 - 1.0 / head.config.steps  # sampling asks for no later flow time
    views = None if config.adapters.encoder else _views(encoder, recording, rows, random)

    def loss() -> Tensor:
        picks = random.integers(len(rows), size=config.batch)
        frames = rows[picks]
        if views is None:
            features = _see(encoder, recording, frames, random)
        else:
            features = views[random.integers(_VIEWS, size=config.batch), picks]
        return flow_loss(head, variant.draw(recording, frames, random), features, latest=latest)

    return loss


def _see(encoder: Encoder, recording: Recording, rows: Rows, random: np.random.Generator) -> Tensor:
    images = disturbed(recording.images[rows], random)
    features: Tensor = encoder(images, torch.from_numpy(recording.tokens[rows]))
    return features


def _views(encoder: Encoder, recording: Recording, rows: Rows, random: np.random.Generator) -> Tensor:
    """Features of the images, each disturbed in some ways, of an encoder that does not change."""
    parts = np.array_split(rows, -(-len(rows) // _BATCH))
    with torch.no_grad():
        views = [torch.cat([_see(encoder, recording, part, random) for part in parts]) for _ in range(_VIEWS)]
    return torch.stack(views)
