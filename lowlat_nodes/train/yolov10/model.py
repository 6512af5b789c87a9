# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The network of YOLOv10: backbone, path aggregation neck and both heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.yolov10.blocks import (
    Bottleneck,
    C2f,
    CompactBlock,
    Conv,
    Downsample,
    PartialAttention,
    PoolPyramid,
)
from lowlat_nodes.train.yolov10.head import STRIDES, Head, Outputs, grid
from lowlat_nodes.train.yolov10.scales import Scale, Stage


def check_size(height: int, width: int) -> None:
    """Raise ConfigurationError unless the network takes images of that size in px."""
    step = STRIDES[-1]
    if min(height, width) < step or height % step or width % step:
        raise ConfigurationError(
            f"image size: expected positive multiples of {step} px, got height {height}, width {width}"
        )


def _stage(scale: Scale, name: Stage | None, inputs: int, base: int, repeats: int, *, shortcut: bool) -> C2f:
    outputs = scale.channels(base)
    blocks: list[nn.Module] = [
        CompactBlock(outputs // 2, large_kernel=name in scale.large_kernel)
        if name in scale.compact
        else Bottleneck(outputs // 2, shortcut=shortcut)
        for _ in range(scale.repeats(repeats))
    ]
    return C2f(inputs, outputs, blocks)


class Backbone(nn.Module):
    """Images to features of strides 8, 16 and 32."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c1, c2, c3, c4, c5 = (scale.channels(base) for base in (64, 128, 256, 512, 1024))
        self.stem = Conv(3, c1, 3, 2)
        self.down2 = Conv(c1, c2, 3, 2)
        self.stage2 = _stage(scale, None, c2, 128, 3, shortcut=True)
        self.down3 = Conv(c2, c3, 3, 2)
        self.stage3 = _stage(scale, None, c3, 256, 6, shortcut=True)
        self.down4 = Downsample(c3, c4)
        self.stage4 = _stage(scale, "stage4", c4, 512, 6, shortcut=True)
        self.down5 = Downsample(c4, c5)
        self.stage5 = _stage(scale, "stage5", c5, 1024, 3, shortcut=True)
        self.pool = PoolPyramid(c5)
        self.attention = PartialAttention(c5)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Features by stride of images [B, 3, H, W]."""
        x = self.stage2(self.down2(self.stem(images)))
        p3 = self.stage3(self.down3(x))
        p4 = self.stage4(self.down4(p3))
        p5 = self.attention(self.pool(self.stage5(self.down5(p4))))
        return [p3, p4, p5]


class Neck(nn.Module):
    """Each level told of the coarser, then of the finer ones (Liu et al. 2018, arXiv 1803.01534)."""

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        c3, c4, c5 = self.outputs = tuple(scale.channels(base) for base in (256, 512, 1024))
        self.top_down4 = _stage(scale, "top_down4", c4 + c5, 512, 3, shortcut=False)
        self.top_down3 = _stage(scale, None, c3 + c4, 256, 3, shortcut=False)
        self.down4 = Conv(c3, c3, 3, 2)
        self.bottom_up4 = _stage(scale, "bottom_up4", c3 + c4, 512, 3, shortcut=False)
        self.down5 = Downsample(c4, c4)
        self.bottom_up5 = _stage(scale, "bottom_up5", c4 + c5, 1024, 3, shortcut=False)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Features of the same strides and heights, of `outputs` channels."""
        p3, p4, p5 = features
        p4 = self.top_down4(torch.cat([_doubled(p5), p4], 1))
        p3 = self.top_down3(torch.cat([_doubled(p4), p3], 1))
        p4 = self.bottom_up4(torch.cat([self.down4(p3), p4], 1))
        p5 = self.bottom_up5(torch.cat([self.down5(p4), p5], 1))
        return [p3, p4, p5]


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


class YoloV10(nn.Module):
    """YOLOv10 of a scale for a number of classes (Wang et al. 2024, arXiv 2405.14458).

    Raises ConfigurationError for less than one class.
    """

    def __init__(self, scale: Scale, classes: int) -> None:
        super().__init__()
        if classes < 1:
            raise ConfigurationError(f"classes: expected at least one, got {classes}")
        self.scale = scale
        self.classes = classes
        self.backbone = Backbone(scale)
        self.neck = Neck(scale)
        self.head = Head(self.neck.outputs, classes)

    def forward(self, images: Tensor) -> Outputs:
        """What both heads say of images, float [B, 3, H, W], RGB from 0 to 1; float32 under autocast too.

        Raises ConfigurationError unless height and width are multiples of 32.
        """
        height, width = images.shape[-2:]
        check_size(height, width)
        many, one = self.head(self.neck(self.backbone(images)))
        return Outputs(many.float(), one.float(), *grid(height, width, images.device))
