# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes while a detector is trained: truth padded to a batch, distances to sides, complete IoU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True, eq=False)
class PaddedTruth:
    """What is in a batch of images, padded to as many things M as the fullest of them has.

    Attributes:
        boxes: float32 [B, M, 4]: x1, y1, x2, y2 in px of the network's input; zeros where padded.
        classes: int64 [B, M].
        real: bool [B, M], False where padded.
    """

    boxes: Tensor
    classes: Tensor
    real: Tensor

    @classmethod
    def pad(cls, images: Sequence[NDArray[np.float32]]) -> PaddedTruth:
        """Take rows of x1, y1, x2, y2, class, float32 [n, 5] for each image; n may be 0."""
        most = max(1, *(len(rows) for rows in images))
        boxes = torch.zeros(len(images), most, 4)
        classes = torch.zeros(len(images), most, dtype=torch.int64)
        real = torch.zeros(len(images), most, dtype=torch.bool)
        for image, rows in enumerate(images):
            count = len(rows)
            boxes[image, :count] = torch.from_numpy(rows[:, :4])
            classes[image, :count] = torch.from_numpy(rows[:, 4].astype(np.int64))
            real[image, :count] = True
        return cls(boxes, classes, real)


def to_distances(boxes: Tensor, anchors: Tensor) -> Tensor:
    """How far left, top, right and bottom of boxes [..., A, 4] are from the anchors [A, 2], in px."""
    return torch.cat((anchors - boxes[..., :2], boxes[..., 2:] - anchors), dim=-1)


def complete_iou(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Plain and complete IoU (arXiv 1911.08287) of boxes [..., 4] that broadcast against each other.

    The plain one is from 0 to 1. The complete one is lower by the distance of the centres and by how much
    the proportions differ, and may be negative.
    """
    tiny = 1e-7
    a_size, b_size = (a[..., 2:] - a[..., :2]).clamp(min=tiny), (b[..., 2:] - b[..., :2]).clamp(min=tiny)
    shared = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0)
    overlap = shared.prod(-1)
    iou = overlap / (a_size.prod(-1) + b_size.prod(-1) - overlap + tiny)
    hull = torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])
    apart = (a[..., :2] + a[..., 2:] - b[..., :2] - b[..., 2:]) / 2
    distance = apart.square().sum(-1) / (hull.square().sum(-1) + tiny)
    turn = torch.atan(a_size[..., 0] / a_size[..., 1]) - torch.atan(b_size[..., 0] / b_size[..., 1])
    aspect = (4 / math.pi**2) * turn.square()
    with torch.no_grad():
        weight = aspect / (1 - iou + aspect + tiny)
    return iou, iou - distance - weight * aspect
