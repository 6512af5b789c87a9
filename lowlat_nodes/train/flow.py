# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small chunked flow-matching policy: image, joint state and task in, a chunk of joint targets out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.inference.tokens import PADDING, VOCABULARY_SIZE
from lowlat_nodes.train.rollouts import IMAGE_SHRINK


@dataclass(frozen=True)
class FlowConfig:
    """Sizes of the network; `steps` is the number of Euler steps from noise to actions."""

    joints: int = 3
    horizon: int = 32
    steps: int = 5
    channels: int = 16
    keypoints: int = 16
    words: int = 16
    width: int = 256
    blocks: int = 3


class _Block(nn.Module):
    """A residual two-layer perceptron."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.rise = nn.Linear(width, width)
        self.fall = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.fall(functional.silu(self.rise(self.norm(x)))))


class FlowPolicy(nn.Module):
    """Flow matching over action chunks (Lipman et al. 2022, arXiv 2210.02747), conditioned on an observation.

    The head predicts the clean chunk rather than the velocity; the two are related by
    velocity = (chunk - x) / (1 - time).  Actions are modelled relative to the joint positions given with the
    observation, so that "stay" is zero for every posture.
    """

    position_scale: Tensor
    velocity_scale: Tensor
    position_mean: Tensor
    action_scale: Tensor

    def __init__(self, config: FlowConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or FlowConfig()
        joints, channels = config.joints, config.channels
        self.embed = nn.Embedding(VOCABULARY_SIZE, config.words, padding_idx=PADDING)
        self.see = nn.Conv2d(3, channels, 5, stride=2, padding=2)
        self.modulate = nn.Linear(config.words, 4 * channels)
        self.look = nn.Conv2d(channels, channels, 3, padding=1)
        self.locate = nn.Conv2d(channels, config.keypoints, 1)
        self.join = nn.Linear(
            joints * config.horizon + 3 * config.keypoints + config.words + 4 * joints + 8, config.width
        )
        self.blocks = nn.ModuleList(_Block(config.width) for _ in range(config.blocks))
        self.out = nn.Linear(config.width, joints * config.horizon)
        self.register_buffer("position_mean", torch.zeros(joints))
        self.register_buffer("position_scale", torch.ones(joints))
        self.register_buffer("velocity_scale", torch.ones(joints))
        self.register_buffer("action_scale", torch.ones(config.horizon, joints))

    def perceive(self, image: Tensor, tokens: Tensor) -> Tensor:
        """Features [B, F] of already shrunk images, float 0 to 255 [B, 3, h, w], under a task, int64 [B, T].

        Keypoints by spatial softmax (Levine et al. 2015, arXiv 1504.00702) with the strength of each map's
        peak; the task scales and shifts the channels (FiLM, Perez et al. 2017, arXiv 1709.07871).
        """
        known = (tokens != PADDING).to(torch.float32).unsqueeze(-1)
        words = (self.embed(tokens) * known).sum(1) / known.sum(1).clamp(min=1.0)
        scale1, shift1, scale2, shift2 = self.modulate(words)[:, :, None, None].chunk(4, dim=1)
        x = functional.silu(self.see(image / 128.0 - 1.0) * (1.0 + scale1) + shift1)
        x = functional.silu(self.look(x) * (1.0 + scale2) + shift2)
        maps = self.locate(x)
        height, width = maps.shape[-2:]
        weight = functional.softmax(maps.flatten(2), dim=-1).unflatten(-1, (height, width))
        column = torch.linspace(-1.0, 1.0, width, device=maps.device)
        row = torch.linspace(-1.0, 1.0, height, device=maps.device)
        across, down = (weight.sum(2) * column).sum(-1), (weight.sum(3) * row).sum(-1)
        peak = maps.flatten(2).amax(-1)
        return torch.cat([across, down, torch.tanh(peak / 4.0), words], dim=-1)

    def denoise(self, x: Tensor, time: Tensor, features: Tensor, state: Tensor) -> Tensor:
        """The clean chunk [B, H * J] expected at a flow time [B, 1] for a noisy one `x` [B, H * J]."""
        position, velocity = state.chunk(2, dim=-1)
        angles = torch.cat([torch.sin(position), torch.cos(position)], dim=-1)
        inputs = [
            x,
            features,
            (position - self.position_mean) / self.position_scale,
            velocity / self.velocity_scale,
            angles,
            torch.cat([torch.cos(time * 3.1416 * k) for k in range(1, 9)], dim=-1),
        ]
        hidden = self.join(torch.cat(inputs, dim=-1))
        for block in self.blocks:
            hidden = block(hidden)
        return cast(Tensor, self.out(functional.silu(hidden)))

    def forward(self, image: Tensor, state: Tensor, tokens: Tensor, noise: Tensor) -> Tensor:
        """A chunk of absolute joint targets in rad: float32 [B, H, J].

        `image` uint8 [B, height, width, 3], rgb8, full size; `state` float32 [B, 2 J], positions in rad then
        velocities in rad/s; `tokens` int64 [B, T]; `noise` float32 [B, H, J], standard normal.
        """
        shrunk = functional.avg_pool2d(image.permute(0, 3, 1, 2).to(torch.float32), IMAGE_SHRINK)
        features = self.perceive(shrunk, tokens)
        x = noise.flatten(1)
        for step in range(self.config.steps):
            time = torch.full_like(x[:, :1], step / self.config.steps)
            x = x + (self.denoise(x, time, features, state) - x) / (self.config.steps - step)
        return self.to_targets(x, state)

    def to_targets(self, x: Tensor, state: Tensor) -> Tensor:
        """Joint targets in rad [B, H, J] of a normalised chunk [B, H * J]."""
        relative = x.unflatten(1, (self.config.horizon, self.config.joints)) * self.action_scale
        return relative + state[:, None, : self.config.joints]

    def from_targets(self, targets: Tensor, state: Tensor) -> Tensor:
        """The inverse of `to_targets`."""
        return ((targets - state[:, None, : self.config.joints]) / self.action_scale).flatten(1)

    def loss(self, x: Tensor, features: Tensor, state: Tensor) -> Tensor:
        """Mean squared error of the clean chunk `x` [B, H * J] at flow times uniform in 0 to 1."""
        time = torch.rand(len(x), 1, device=x.device)
        noisy = (1.0 - time) * torch.randn_like(x) + time * x
        return functional.mse_loss(self.denoise(noisy, time, features, state), x)
