# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The loss of YOLOv10 (arXiv 2405.14458): both heads against the same truth, each with its own assignment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor
from torch.nn import functional

from lowlat_nodes.train.yolov10.assign import assign
from lowlat_nodes.train.yolov10.boxes import PaddedTruth, complete_iou, to_distances
from lowlat_nodes.train.yolov10.head import decode

SCORE_WEIGHT: Final = 0.5
BOX_WEIGHT: Final = 7.5
DISTANCE_WEIGHT: Final = 1.5

ONE_TO_MANY: Final = 10
ONE_TO_ONE: Final = 1


@dataclass(frozen=True, eq=False)
class Loss:
    """The loss of one head and its parts, each a scalar and already weighted.

    Attributes:
        score: Binary cross entropy of all scores against the aligned ones.
        box: 1 - complete IoU of the anchors that answer for something.
        distance: Cross entropy of the distributions of their distances (DFL, arXiv 2006.04388).
    """

    score: Tensor
    box: Tensor
    distance: Tensor

    @property
    def total(self) -> Tensor:
        """Their sum."""
        return self.score + self.box + self.distance


def head_loss(
    distances: Tensor, scores: Tensor, anchors: Tensor, strides: Tensor, truth: PaddedTruth, *, most: int
) -> Loss:
    """Compare the output of a head with the truth, in float32.

    Args:
        distances: [B, A, 4 x bins], logits of the distances to left, top, right and bottom, in strides.
        scores: [B, A, C], logits.
        anchors: float32 [A, 2], centres, px.
        strides: float32 [A], px.
        truth: What is there.
        most: Anchors for each thing; see `assign`.
    """
    distances, scores = distances.float(), scores.float()
    boxes = decode(distances, anchors, strides)
    targets = assign(scores.detach().sigmoid(), boxes.detach(), anchors, strides, truth, most=most)
    norm = targets.scores.sum().clamp(min=1.0)
    score = functional.binary_cross_entropy_with_logits(scores, targets.scores, reduction="sum") / norm

    image, anchor = targets.positive.nonzero(as_tuple=True)
    weight = targets.scores[image, anchor].sum(-1)
    wanted = targets.boxes[image, anchor]
    _, iou = complete_iou(boxes[image, anchor], wanted)
    box = ((1.0 - iou) * weight).sum() / norm
    sides = to_distances(wanted, anchors[anchor]) / strides[anchor, None]
    distance = (_distribution_loss(distances[image, anchor], sides) * weight).sum() / norm
    return Loss(SCORE_WEIGHT * score, BOX_WEIGHT * box, DISTANCE_WEIGHT * distance)


def _distribution_loss(logits: Tensor, distances: Tensor) -> Tensor:
    """Cross entropy with the two bins beside each distance: [n, 4 x bins] and [n, 4] to [n]."""
    logits = logits.unflatten(-1, (4, -1))
    distances = distances.clamp(0.0, logits.shape[-1] - 1.01)
    low = distances.floor().long()
    share = distances - low
    shares = logits.log_softmax(-1)
    left, right = shares.gather(-1, low[..., None])[..., 0], shares.gather(-1, low[..., None] + 1)[..., 0]
    return -(left * (1.0 - share) + right * share).mean(-1)
