# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of t2 in torch, with the hyper-parameters of the model that FINK deployed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.alerts.gaussian_process import STEPS
from lowlat_nodes.alerts.t2_inputs import PASSBANDS
from lowlat_nodes.stream.errors import ConfigurationError

FLUX_UNIT_NJY: Final = 5000.0
"""About the noise of a ZTF exposure: fluxes below it enter linearly, brighter ones by their logarithm."""


@dataclass(frozen=True)
class T2Config:
    """Sizes of the network.

    Attributes:
        channels: Values for each time step; the published network has one for each passband.
        classes: Published: 14.
        steps: Times.
        width: Of a time step within the network.
        heads: Of the attention, which share the width.
        hidden: Of the layer within the feed-forward part.
        dropout: Share of activations that training drops, in three places.
    """

    channels: int = 2
    classes: int = 14
    steps: int = 100
    width: int = 32
    heads: int = 16
    hidden: int = 128
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads):
            raise ConfigurationError(f"width {self.width} has no even part for each of {self.heads} heads")


OURS: Final = T2Config(channels=2 * len(PASSBANDS) + 1, classes=len(CLASSES), steps=STEPS)


class SelfAttention(nn.Module):
    """Multi-head attention of a sequence [B, L, width] to itself."""

    def __init__(self, config: T2Config) -> None:
        super().__init__()
        self.heads, self.depth = config.heads, config.width // config.heads
        self.query = nn.Linear(config.width, config.width)
        self.key = nn.Linear(config.width, config.width)
        self.value = nn.Linear(config.width, config.width)
        self.combine = nn.Linear(config.width, config.width)

    def forward(self, x: Tensor) -> Tensor:
        """Return what each step takes from all steps."""
        query, key, value = (
            part(x).unflatten(-1, (self.heads, self.depth)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        taken = functional.scaled_dot_product_attention(query, key, value)
        return self.combine(taken.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Attention and feed-forward part, each added to its input and normalised afterwards."""

    def __init__(self, config: T2Config) -> None:
        super().__init__()
        self.attention = SelfAttention(config)
        self.norm_attention = nn.LayerNorm(config.width, eps=1e-6)
        self.widen = nn.Linear(config.width, config.hidden)
        self.narrow = nn.Linear(config.hidden, config.width)
        self.norm_forward = nn.LayerNorm(config.width, eps=1e-6)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return the sequence [B, L, width]."""
        x = self.norm_attention(x + self.dropout(self.attention(x)))
        return self.norm_forward(x + self.dropout(self.narrow(torch.relu(self.widen(x)))))


class T2(nn.Module):
    """The time-series transformer: float32 [B, steps, channels] to logits [B, classes]."""

    positions: Tensor

    def __init__(self, config: T2Config) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Linear(config.channels, config.width)  # a convolution over one step
        self.register_buffer("positions", sinusoids(config.steps, config.width), persistent=False)
        self.encoder = EncoderBlock(config)
        self.dropout = nn.Dropout(config.dropout)
        self.classify = nn.Linear(config.width, config.classes)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):  # as Keras does
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits; t2 gives their softmax."""
        x = torch.relu(self.embed(x)) + self.positions
        return self.classify(self.dropout(self.encoder(x).mean(1)))


def sinusoids(steps: int, width: int) -> Tensor:
    """Return the position table [steps, width]: sine and cosine of the number of the step, in turns."""
    step, pair = torch.arange(steps), torch.arange(width // 2)
    phase = step[:, None] / 10000.0 ** (2.0 * pair / width)
    return torch.stack([torch.sin(phase), torch.cos(phase)], dim=-1).flatten(1)


class ScaledT2(nn.Module):
    """t2 behind a scaling that is the same for every light curve.

    The published network sees fluxes only, on a time axis of unknown length. Here the standard deviation of
    the Gaussian process tells where there are no data, and a channel holds the length of the time axis.
    """

    inputs = ("flux_njy", "error_njy", "span_days")

    def __init__(self, config: T2Config = OURS) -> None:
        super().__init__()
        self.network = T2(config)

    def forward(self, flux_njy: Tensor, error_njy: Tensor, span_days: Tensor) -> Tensor:
        """Return the logits [B, classes] of [B, steps, passbands] twice and [B]."""
        span = torch.log1p(span_days)[:, None, None].expand(-1, flux_njy.shape[1], 1)
        scaled = torch.asinh(torch.cat([flux_njy, error_njy], -1) / FLUX_UNIT_NJY)
        return self.network(torch.cat([scaled, span], -1))
