# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small flow-matching transformer with an action expert, trained on all offsets of an image at once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.inference.tokens import VOCABULARY_SIZE
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.packing import Packing, attend
from lowlat_nodes.train.rollouts import IMAGE_SHRINK

Memory: TypeAlias = list[tuple[Tensor, Tensor]]
"""Keys and values of an observation's tokens in each layer: float32 [B, heads, P, D]."""

Gate: TypeAlias = "Tensor | float"


@dataclass(frozen=True)
class TransformerConfig:
    """Sizes of the network; `steps` is the number of Euler steps from noise to actions.

    `image_size_px` is height and width after shrinking; `width` is that of an observation's tokens and of all
    heads together, `expert_width` that of state and action tokens.
    """

    joints: int = 3
    horizon: int = 32
    steps: int = 5
    image_size_px: tuple[int, int] = (60, 80)
    patch_px: int = 4
    width: int = 128
    expert_width: int = 64
    heads: int = 4
    depth: int = 4

    def __post_init__(self) -> None:
        if any(size % self.patch_px for size in self.image_size_px):
            raise ConfigurationError(f"{self.image_size_px} px are not whole patches of {self.patch_px} px")
        if self.width % (2 * self.heads):
            raise ConfigurationError(f"width {self.width} has no even part for each of {self.heads} heads")
        if self.expert_width % 2:
            raise ConfigurationError(f"expected an even expert_width, got {self.expert_width}")


def _waves(x: Tensor, shortest: float, longest: float, pairs: int) -> Tensor:
    """Phases [..., pairs] of `x` in waves whose lengths are spaced evenly in logarithm."""
    lengths = torch.linspace(math.log(shortest), math.log(longest), pairs, device=x.device).exp()
    return x.unsqueeze(-1) * (2.0 * math.pi / lengths)


def _turn(heads: Tensor, phases: Tensor) -> Tensor:
    """Rotary position embedding (Su et al. 2021, arXiv 2104.09864) of [..., L, D], phases [L, D / 2]."""
    one, other = heads.chunk(2, dim=-1)
    cos, sin = torch.cos(phases), torch.sin(phases)
    return torch.cat([one * cos - other * sin, other * cos + one * sin], dim=-1)


class _Norm(nn.Module):
    """RMS normalisation; a condition, if there is one, sets scale, shift and the gate of what follows.

    Gates start closed, so a conditioned layer starts as the identity (Peebles and Xie, arXiv 2212.09748).
    """

    def __init__(self, width: int, condition: int) -> None:
        super().__init__()
        self.modulate = nn.Linear(condition, 3 * width) if condition else None
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, condition: Tensor | None) -> tuple[Tensor, Gate]:
        x = x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)  # ONNX has no RMS norm before opset 23
        if self.modulate is None:
            return x, 1.0
        scale, shift, gate = self.modulate(condition).chunk(3, dim=-1)
        return x * (1.0 + scale) + shift, gate


class _Layer(nn.Module):
    """One layer of one of the two streams, around an attention that both share."""

    def __init__(self, config: TransformerConfig, width: int, condition: int = 0) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = _Norm(width, condition)
        self.project = nn.Linear(width, 3 * config.width, bias=False)
        self.merge = nn.Linear(config.width, width, bias=False)
        self.norm_again = _Norm(width, condition)
        self.rise = nn.Linear(width, 4 * width)
        self.fall = nn.Linear(4 * width, width)

    def before_attention(self, x: Tensor, condition: Tensor | None = None) -> tuple[list[Tensor], Gate]:
        """Query, key and value of tokens [..., W], each [..., heads, D], and the gate of the attention."""
        x, gate = self.norm(x, condition)
        return list(self.project(x).unflatten(-1, (3, self.heads, -1)).unbind(-3)), gate

    def after_attention(
        self, x: Tensor, found: Tensor, gate: Gate, condition: Tensor | None = None
    ) -> Tensor:
        """Add what the attention found [..., heads, D] to the tokens, then a perceptron of both."""
        x = x + gate * self.merge(found.flatten(-2))
        rise, gate = self.norm_again(x, condition)
        return cast(Tensor, x + gate * self.fall(functional.gelu(self.rise(rise), approximate="tanh")))


class TransformerPolicy(nn.Module):
    """Flow matching over action chunks with two streams of tokens, shaped like pi0 (arXiv 2410.24164).

    Image patches and words, padding included, attend to each other. The expert's tokens, a state and one for
    each action, attend to them and to each other, in layers conditioned on the flow time; pi0's state does
    not see the actions. The observation sees nothing of the expert, so its keys and values are computed once:
    for all delay offsets of an image in training, for all Euler steps of a chunk later. Inputs, outputs and
    normalisation are those of `flow.Head`; so is the head, which predicts the clean chunk.
    """

    position_mean: Tensor
    position_scale: Tensor
    velocity_scale: Tensor
    action_scale: Tensor

    def __init__(self, config: TransformerConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TransformerConfig()
        joints, width, expert = config.joints, config.width, config.expert_width
        patches = math.prod(config.image_size_px) // config.patch_px**2
        self.embed = nn.Embedding(VOCABULARY_SIZE, width)
        self.see = nn.Conv2d(3, width, config.patch_px, stride=config.patch_px)
        self.place = nn.Parameter(0.02 * torch.randn(patches, width))
        self.observe = nn.ModuleList(_Layer(config, width) for _ in range(config.depth))
        self.feel = nn.Linear(2 * joints, expert)
        self.intend = nn.Linear(joints, expert)
        self.clock = nn.Sequential(nn.Linear(expert, expert), nn.SiLU(), nn.Linear(expert, expert), nn.SiLU())
        self.act = nn.ModuleList(_Layer(config, expert, expert) for _ in range(config.depth))
        self.norm = _Norm(expert, expert)
        self.out = nn.Linear(expert, joints)
        self.register_buffer("position_mean", torch.zeros(joints))
        self.register_buffer("position_scale", torch.ones(joints))
        self.register_buffer("velocity_scale", torch.ones(joints))
        self.register_buffer("action_scale", torch.ones(config.horizon, joints))

    def _phases(self, positions: Tensor) -> Tensor:
        pairs = self.config.width // self.config.heads // 2
        return _waves(positions, 2.0 * math.pi, 2e4 * math.pi, pairs)

    def perceive(self, image: Tensor, tokens: Tensor) -> Memory:
        """Keys and values of shrunk images, float 0 to 255 [B, 3, h, w], and words, int64 [B, T]."""
        patches = self.see(image / 128.0 - 1.0).flatten(2).transpose(1, 2) + self.place
        x = torch.cat([patches, self.embed(tokens)], dim=1)
        phases = self._phases(torch.arange(x.shape[1], device=x.device))
        memory: Memory = []
        for layer in self.observe:
            heads, gate = layer.before_attention(x)
            query, key, value = (part.transpose(1, 2) for part in heads)
            memory.append((_turn(key, phases), value))
            if len(memory) < len(self.observe):  # the last layer's tokens are read by nobody
                attended = functional.scaled_dot_product_attention(_turn(query, phases), *memory[-1])
                x = layer.after_attention(x, attended.transpose(1, 2), gate)
        return memory

    def denoise(self, x: Tensor, time: Tensor, memory: Memory, states: Tensor) -> Tensor:
        """The clean chunks [B, N, H, J] expected for noisy ones `x`, N to each observation.

        `time` is the flow time of each [B, N], `states` are positions in rad, then velocities in rad/s, that
        the robot will have at each offset [B, N, 2 J].
        """
        position, velocity = states.chunk(2, dim=-1)
        position = (position - self.position_mean) / self.position_scale
        state = self.feel(torch.cat([position, velocity / self.velocity_scale], dim=-1))
        phases = _waves(time, 4e-3, 4.0, self.config.expert_width // 2)
        condition = self.clock(torch.cat([torch.sin(phases), torch.cos(phases)], dim=-1)).unsqueeze(2)
        x = torch.cat([state.unsqueeze(2), self.intend(x)], dim=2)
        packing = Packing(memory[0][0].shape[2], x.shape[2], x.shape[1])
        phases = self._phases(packing.positions(x.device)[packing.prefix :])
        mask = packing.mask(x.device)[packing.prefix :] if packing.branches > 1 else None
        for layer, prefix in zip(self.act, memory, strict=True):
            heads, gate = layer.before_attention(x, condition)
            query, key, value = (packing.pack(part).transpose(1, 2) for part in heads)
            attended = attend(_turn(query, phases), _turn(key, phases), value, prefix, mask)
            x = layer.after_attention(x, packing.unpack(attended.transpose(1, 2)), gate, condition)
        return cast(Tensor, self.out(self.norm(x[:, :, 1:], condition)[0]))

    def forward(self, image: Tensor, state: Tensor, tokens: Tensor, noise: Tensor) -> Tensor:
        """A chunk of absolute joint targets in rad, float32 [B, H, J], of what an exported policy takes."""
        shrunk = functional.avg_pool2d(image.permute(0, 3, 1, 2).to(torch.float32), IMAGE_SHRINK)
        memory, states, x = self.perceive(shrunk, tokens), state.unsqueeze(1), noise.unsqueeze(1)
        for step in range(self.config.steps):
            time = torch.full_like(x[:, :, 0, 0], step / self.config.steps)
            x = x + (self.denoise(x, time, memory, states) - x) / (self.config.steps - step)
        return (x * self.action_scale + states[..., None, : self.config.joints]).squeeze(1)

    def loss(
        self, image: Tensor, tokens: Tensor, states: Tensor, targets: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """Mean squared error of the clean chunks at flow times [B, N], N offsets of each image in one pass.

        `targets` in rad and `noise`, standard normal, are [B, N, H, J]; the rest is as for `perceive` and
        `denoise`. It is the mean of the losses of the offsets, each computed alone.
        """
        chunk = (targets - states[..., None, : self.config.joints]) / self.action_scale
        noisy = torch.lerp(noise, chunk, time[..., None, None])
        return functional.mse_loss(self.denoise(noisy, time, self.perceive(image, tokens), states), chunk)
