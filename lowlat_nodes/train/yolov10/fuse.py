# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A trained network for use: one head, and every convolution that can be folded into another."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.train.yolov10.blocks import Conv, LargeKernel
from lowlat_nodes.train.yolov10.head import HeadName, decode, grid
from lowlat_nodes.train.yolov10.model import YoloV10, check_size


class FusedYoloV10(nn.Module):
    """A copy of a network with one of its heads, folded, for images of one size in px; it decodes boxes.

    Raises ConfigurationError unless height and width are multiples of 32.
    """

    anchors: Tensor
    strides: Tensor

    def __init__(self, model: YoloV10, height: int, width: int, head: HeadName = "one_to_one") -> None:
        super().__init__()
        check_size(height, width)
        self.classes = model.classes
        self.backbone = copy.deepcopy(model.backbone)
        self.neck = copy.deepcopy(model.neck)
        self.head = copy.deepcopy(getattr(model.head, head))
        anchors, strides = grid(height, width, next(model.parameters()).device)
        self.register_buffer("anchors", anchors, persistent=False)
        self.register_buffer("strides", strides, persistent=False)
        fuse(self)
        self.eval()

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes x1, y1, x2, y2 in px [B, A, 4] and probabilities [B, A, C] of images as `YoloV10` takes."""
        said = self.head(self.neck(self.backbone(images)))
        return decode(said.distances, self.anchors, self.strides), said.scores.sigmoid()


@torch.no_grad()
def fuse(module: nn.Module) -> None:
    """Fold batch normalisations, as they are in evaluation, and large kernels' branches into convolutions."""
    for name, child in module.named_children():
        if isinstance(child, LargeKernel):
            setattr(module, name, _one_kernel(child))
        elif isinstance(child, Conv):
            _fold(child)
        else:
            fuse(child)


def _fold(block: Conv) -> None:
    conv, norm = block.conv, cast(nn.BatchNorm2d, block.norm)
    gain = cast(Tensor, norm.weight / torch.sqrt(cast(Tensor, norm.running_var) + norm.eps))
    conv.weight = nn.Parameter(conv.weight * gain[:, None, None, None])
    conv.bias = nn.Parameter(norm.bias - cast(Tensor, norm.running_mean) * gain)
    block.norm = nn.Identity()


def _one_kernel(block: LargeKernel) -> Conv:
    wide, narrow = block.wide, block.narrow
    _fold(wide)
    _fold(narrow)
    border = (wide.conv.kernel_size[0] - narrow.conv.kernel_size[0]) // 2
    wide.conv.weight = nn.Parameter(wide.conv.weight + functional.pad(narrow.conv.weight, [border] * 4))
    wide.conv.bias = nn.Parameter(cast(Tensor, wide.conv.bias) + cast(Tensor, narrow.conv.bias))
    wide.act = True
    return wide
