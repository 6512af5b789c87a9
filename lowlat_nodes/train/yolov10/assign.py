# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which anchors answer for which things: task-aligned assignment (TOOD, arXiv 2108.07755).

Both heads of YOLOv10 rank anchors by the same metric, so what is best for the one-to-one head is best for the
one-to-many head as well: the consistent matching of arXiv 2405.14458, section 3.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from lowlat_nodes.train.yolov10.boxes import PaddedTruth, complete_iou

SCORE_POWER: Final = 0.5
IOU_POWER: Final = 6.0

_LEAST: Final = 1e-6
"""Scores and IoUs below count as this, so that a network that knows nothing yet still ranks its anchors."""

_NEVER: Final = -torch.inf


@dataclass(frozen=True, eq=False)
class Targets:
    """What each anchor is to say.

    Attributes:
        positive: bool [B, A], whether the anchor answers for a thing.
        boxes: float32 [B, A, 4], that thing's box in px; of no meaning where not positive.
        scores: float32 [B, A, C], from 0 to 1: how well the anchor does compared with the best one for its
            thing, times the best IoU that the thing gets; 0 for all other classes.
    """

    positive: Tensor
    boxes: Tensor
    scores: Tensor


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, anchors: Tensor, strides: Tensor, truth: PaddedTruth, *, most: int
) -> Targets:
    """Give each thing up to `most` anchors, those with the highest score^0.5 x IoU^6.

    An anchor may answer for a thing if it lies within its box; a box that is smaller than the finest stride
    counts as that large, so that it holds an anchor wherever it is. An anchor that several things would have
    answers for the one that it overlaps most.

    Args:
        scores: float32 [B, A, C], predicted, from 0 to 1.
        boxes: float32 [B, A, 4], predicted, px.
        anchors: float32 [A, 2], centres, px.
        strides: float32 [A], px.
        truth: What is there.
        most: Anchors for each thing: 10 for the one-to-many head, 1 for the one-to-one head.
    """
    allowed = _within(anchors, truth, float(strides.min())) & truth.real[..., None]
    image, thing, anchor = allowed.nonzero(as_tuple=True)
    iou = torch.zeros_like(allowed, dtype=boxes.dtype)
    iou[image, thing, anchor] = complete_iou(truth.boxes[image, thing], boxes[image, anchor])[1].clamp(min=0)
    said = scores.gather(2, truth.classes[:, None].expand(-1, scores.shape[1], -1)).transpose(1, 2)
    metric = SCORE_POWER * said.clamp(min=_LEAST).log() + IOU_POWER * iou.clamp(min=_LEAST).log()
    metric = metric.masked_fill(~allowed, _NEVER)

    best = metric.topk(min(most, metric.shape[2]), dim=2)
    chosen = torch.zeros_like(allowed).scatter_(2, best.indices, best.values > _NEVER)
    owner = iou.masked_fill(~chosen, -1.0).argmax(1)  # [B, A]
    positive = chosen.any(1)
    chosen &= torch.arange(chosen.shape[1], device=chosen.device)[:, None] == owner[:, None]

    metric = metric.masked_fill(~chosen, _NEVER)
    best_metric = metric.amax(2, keepdim=True).clamp(min=torch.finfo(metric.dtype).min)
    best_iou = iou.masked_fill(~chosen, 0.0).amax(2, keepdim=True)
    aligned = ((metric - best_metric).exp() * best_iou).amax(1)  # [B, A]
    classes = truth.classes.gather(1, owner)
    return Targets(
        positive,
        truth.boxes.gather(1, owner[..., None].expand(-1, -1, 4)),
        torch.zeros_like(scores).scatter_(2, classes[..., None], (aligned * positive)[..., None]),
    )


def _within(anchors: Tensor, truth: PaddedTruth, least: float) -> Tensor:
    """Whether anchors [A, 2] lie in the boxes of the truth, widened to `least` px: bool [B, M, A]."""
    low, high = truth.boxes[..., :2], truth.boxes[..., 2:]
    more = (least - (high - low)).clamp(min=0) / 2
    low, high = (low - more)[:, :, None], (high + more)[:, :, None]
    return ((anchors >= low) & (anchors <= high)).all(-1)
