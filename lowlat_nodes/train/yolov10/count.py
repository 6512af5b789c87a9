# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a network costs, without running it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from lowlat_nodes.train.yolov10.fuse import FusedYoloV10
from lowlat_nodes.train.yolov10.model import YoloV10
from lowlat_nodes.train.yolov10.scales import Scale


@dataclass(frozen=True)
class Cost:
    """Of one image through a folded network with its one-to-one head.

    Attributes:
        parameters: Numbers in its weights.
        gflops: 1e9 multiplications and additions of its convolutions and matrix products.
    """

    parameters: int
    gflops: float


def cost(scale: Scale, classes: int = 80, height: int = 640, width: int = 640) -> Cost:
    """Count for a scale and an image size in px; nothing is allocated or computed."""
    with torch.device("meta"), torch.no_grad():
        model = FusedYoloV10(YoloV10(scale, classes), height, width)
        counter = FlopCounterMode(display=False)
        with counter:
            model(torch.empty(1, 3, height, width))
    parameters = sum(weights.numel() for weights in model.parameters())
    return Cost(parameters, counter.get_total_flops() / 1e9)
