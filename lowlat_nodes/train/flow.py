# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small chunked flow-matching policy: image, joint state and task in, a chunk of joint targets out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.inference.tokens import PADDING, VOCABULARY_SIZE
from lowlat_nodes.train.rollouts import IMAGE_SHRINK

DELAY_ROWS: Final = 10.0  # the unit in which the network is told a delay
_TIME_WAVES: Final = 8


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the network; `steps` is the number of Euler steps from noise to actions.

    `conditions` is the number of further inputs of the head: 0, 1 for a delay, or one for each row of the
    chunk to mark those that are decided already.
    """

    joints: int = 3
    horizon: int = 32
    steps: int = 5
    channels: int = 16
    keypoints: int = 16
    words: int = 16
    width: int = 256
    blocks: int = 3
    conditions: int = 0

    @property
    def features(self) -> int:
        """Numbers that the encoder makes of an image and a task."""
        return 3 * self.keypoints + self.words

    @property
    def inputs(self) -> int:
        """Numbers that the head takes."""
        chunk, state = self.joints * self.horizon, 4 * self.joints
        return chunk + self.features + state + _TIME_WAVES + self.conditions

    def taking(self, inputs: int) -> FlowConfig:
        """The same with as many conditions as make so many inputs."""
        return replace(self, conditions=self.conditions + inputs - self.inputs)


class Encoder(nn.Module):
    """Where things are in an image, as far as the task asks for them."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.channels
        self.embed = nn.Embedding(VOCABULARY_SIZE, config.words, padding_idx=PADDING)
        self.see = nn.Conv2d(3, channels, 5, stride=2, padding=2)
        self.modulate = nn.Linear(config.words, 4 * channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.locate = nn.Conv2d(channels, config.keypoints, 1)

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        """Features [B, F] of already shrunk images, float 0 to 255 [B, 3, h, w], under a task, int64 [B, T].

        Keypoints by spatial softmax (Levine et al. 2015, arXiv 1504.00702) with the strength of each map's
        peak; the task scales and shifts the channels (FiLM, Perez et al. 2017, arXiv 1709.07871).
        """
        known = (tokens != PADDING).to(torch.float32).unsqueeze(-1)
        words = (self.embed(tokens) * known).sum(1) / known.sum(1).clamp(min=1.0)
        film = self.modulate(words)[:, :, None, None]
        scale1, shift1, scale2, shift2 = film.chunk(4, dim=1)
        x = functional.silu(self.see(image / 128.0 - 1.0) * (1.0 + scale1) + shift1)
        x = functional.silu(self.look(x) * (1.0 + scale2) + shift2)
        maps = self.locate(x)
        height, width = maps.shape[-2:]
        maps = maps.flatten(2).to(words.dtype)
        row, column = torch.meshgrid(
            torch.linspace(-1.0, 1.0, height, device=maps.device),
            torch.linspace(-1.0, 1.0, width, device=maps.device),
            indexing="ij",
        )
        grid = torch.stack([column.flatten(), row.flatten()], dim=-1).to(maps.dtype)
        places = functional.softmax(maps, dim=-1) @ grid
        return torch.cat([places.flatten(1), torch.tanh(maps.max(-1).values / 4.0), words], dim=-1)


class _Block(nn.Module):
    """A residual two-layer perceptron."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.rise = nn.Linear(width, width)
        self.fall = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.fall(functional.silu(self.rise(self.norm(x)))))


class Head(nn.Module):
    """Flow matching over action chunks (Lipman et al. 2022, arXiv 2210.02747), given features and a state.

    It predicts the clean chunk rather than the velocity; the two are related by velocity = (chunk - x) /
    (1 - time). Actions are modelled relative to the joint positions given with the observation, so that
    "stay" is zero for every posture.
    """

    position_scale: Tensor
    velocity_scale: Tensor
    position_mean: Tensor
    action_scale: Tensor

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        joints = config.joints
        self.join = nn.Linear(config.inputs, config.width)
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.blocks))
        self.out = nn.Linear(config.width, joints * config.horizon)
        self.register_buffer("position_mean", torch.zeros(joints))
        self.register_buffer("position_scale", torch.ones(joints))
        self.register_buffer("velocity_scale", torch.ones(joints))
        self.register_buffer("action_scale", torch.ones(config.horizon, joints))

    def forward(
        self, x: Tensor, time: Tensor, features: Tensor, state: Tensor, conditions: Tensor | None = None
    ) -> Tensor:
        """The clean chunk [B, H * J] expected at a flow time [B, 1] for a noisy one `x` [B, H * J].

        `features` [B, F]; `state` [B, 2 J], positions in rad and velocities in rad/s; `conditions` [B, C].
        """
        hidden = self.joined(x, time, features, state, conditions)
        for block in self.blocks:
            hidden = block(hidden)
        return cast(Tensor, self.out(functional.silu(hidden)))

    def joined(
        self, x: Tensor, time: Tensor, features: Tensor, state: Tensor, conditions: Tensor | None = None
    ) -> Tensor:
        """All inputs in one: what the first block gets, [B, width]."""
        position, velocity = state.chunk(2, dim=-1)
        inputs = [
            x,
            features,
            (position - self.position_mean) / self.position_scale,
            velocity / self.velocity_scale,
            torch.sin(position),
            torch.cos(position),
            torch.cat([torch.cos(time * 3.1416 * k) for k in range(1, _TIME_WAVES + 1)], dim=-1),
        ]
        if conditions is not None:
            inputs.append(conditions)
        return cast(Tensor, self.join(torch.cat(inputs, dim=-1)))

    def sample(
        self, noise: Tensor, features: Tensor, state: Tensor, conditions: Tensor | None = None
    ) -> Tensor:
        """A chunk of absolute joint targets in rad, [B, H, J], from standard normal `noise` [B, H, J]."""
        x = noise.flatten(1)
        for step in range(self.config.steps):
            time = torch.full_like(x[:, :1], step / self.config.steps)
            x = x + (self(x, time, features, state, conditions) - x) / (self.config.steps - step)
        return self.to_targets(x, state)

    def to_targets(self, x: Tensor, state: Tensor) -> Tensor:
        """Joint targets in rad [B, H, J] of a normalised chunk [B, H * J]."""
        relative = x.unflatten(1, (self.config.horizon, self.config.joints)) * self.action_scale
        return relative + state[:, None, : self.config.joints]

    def from_targets(self, targets: Tensor, state: Tensor) -> Tensor:
        """The inverse of `to_targets`."""
        return ((targets - state[:, None, : self.config.joints]) / self.action_scale).flatten(1)

    def recondition(self, conditions: int) -> Head:
        """A copy with other conditions in place of its own, which it ignores until it is trained."""
        copy = Head(replace(self.config, conditions=conditions))
        weights = {name: value.clone() for name, value in self.state_dict().items()}
        rest = weights["join.weight"][:, : self.join.in_features - self.config.conditions]
        weights["join.weight"] = functional.pad(rest, (0, conditions))
        copy.load_state_dict(weights)
        return copy


def shrink(image: Tensor) -> Tensor:
    """What the encoder takes of full-size images, uint8 [B, height, width, 3]."""
    return functional.avg_pool2d(image.permute(0, 3, 1, 2).to(torch.float32), IMAGE_SHRINK)


class Sight(nn.Module):
    """The encoder behind a camera's image: takes it as it comes, and makes features."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor, tokens: Tensor) -> Tensor:
        """Return the features of images as `shrink` takes them, and tokens."""
        made: Tensor = self.encoder(shrink(image), tokens)
        return made
