# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the network is built of; every block maps [B, C, H, W] to the same layout."""
# ruff: noqa: D102  (a block's class says what its forward does)

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

_NORM_EPSILON = 1e-3
_NORM_MOMENTUM = 0.03
_HEAD_CHANNELS = 64  # of attention


class Conv(nn.Module):
    """Convolution that keeps the size (divided by the stride), batch normalisation, and SiLU if `act`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        *,
        act: bool = True,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(outputs, eps=_NORM_EPSILON, momentum=_NORM_MOMENTUM)
        self.act = act

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return functional.silu(x, inplace=True) if self.act else x


def depthwise(channels: int, kernel: int = 3, stride: int = 1, *, act: bool = True) -> Conv:
    """A convolution of each channel by itself."""
    return Conv(channels, channels, kernel, stride, channels, act=act)


class Bottleneck(nn.Module):
    """Two 3x3 convolutions, with a shortcut if asked for."""

    def __init__(self, channels: int, *, shortcut: bool) -> None:
        super().__init__()
        self.first = Conv(channels, channels, 3)
        self.second = Conv(channels, channels, 3)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = cast(Tensor, self.second(self.first(x)))
        return x + y if self.shortcut else y


class LargeKernel(nn.Module):
    """A 7x7 depthwise convolution trained beside a 3x3 one; `fuse.fuse` makes one of the two.

    Structural reparameterisation as in RepVGG (Ding et al. 2021, arXiv 2101.03697).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.wide = depthwise(channels, 7, act=False)
        self.narrow = depthwise(channels, 3, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return functional.silu(self.wide(x) + self.narrow(x), inplace=True)


class CompactBlock(nn.Module):
    """The compact inverted block: depthwise convolutions mix space, pointwise ones channels; a shortcut."""

    def __init__(self, channels: int, *, large_kernel: bool) -> None:
        super().__init__()
        inner = 2 * channels
        self.layers = nn.Sequential(
            depthwise(channels),
            Conv(channels, inner),
            LargeKernel(inner) if large_kernel else depthwise(inner),
            Conv(inner, channels),
            depthwise(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, x + self.layers(x))


class C2f(nn.Module):
    """Half of the channels pass a chain of blocks, each of whose results reaches the end."""

    def __init__(self, inputs: int, outputs: int, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.half = outputs // 2
        self.split = Conv(inputs, 2 * self.half)
        self.blocks = nn.ModuleList(blocks)
        self.merge = Conv((2 + len(blocks)) * self.half, outputs)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.split(x).split(self.half, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return cast(Tensor, self.merge(torch.cat(parts, 1)))


class Downsample(nn.Module):
    """Spatial-channel decoupled: a pointwise convolution, then a depthwise one of stride two."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pointwise = Conv(inputs, outputs)
        self.depthwise = depthwise(outputs, 3, 2, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return cast(Tensor, self.depthwise(self.pointwise(x)))


class PoolPyramid(nn.Module):
    """Spatial pyramid pooling: what is in windows of 1, 5, 9 and 13 cells around each."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.shrink = Conv(channels, channels // 2)
        self.merge = Conv(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        parts = [self.shrink(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return cast(Tensor, self.merge(torch.cat(parts, 1)))


class Attention(nn.Module):
    """Multi-head self-attention over all cells, keys half as wide as values, places by a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.heads = channels // _HEAD_CHANNELS
        self.value = channels // self.heads
        self.key = self.value // 2
        self.project = Conv(channels, channels + 2 * self.heads * self.key, act=False)
        self.place = depthwise(channels, act=False)
        self.merge = Conv(channels, channels, act=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, height, width = map(int, x.shape)  # int: constants in an exported graph
        heads = self.project(x).reshape(batch, self.heads, -1, height * width)
        query, key, value = heads.split([self.key, self.key, self.value], 2)
        weights = ((query.transpose(2, 3) * self.key**-0.5) @ key).softmax(-1)
        seen = (value @ weights.transpose(2, 3)).reshape(batch, channels, height, width)
        places = self.place(value.reshape(batch, channels, height, width))
        return cast(Tensor, self.merge(seen + places))


class PartialAttention(nn.Module):
    """Partial self-attention: half of the channels pass an attention and a feed-forward network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = self.half = channels // 2
        self.split = Conv(channels, 2 * half)
        self.attention = Attention(half)
        self.feed_forward = nn.Sequential(Conv(half, 2 * half), Conv(2 * half, half, act=False))
        self.merge = Conv(2 * half, channels)

    def forward(self, x: Tensor) -> Tensor:
        kept, seen = self.split(x).split(self.half, 1)
        seen = seen + self.attention(seen)
        seen = seen + self.feed_forward(seen)
        return cast(Tensor, self.merge(torch.cat([kept, seen], 1)))
