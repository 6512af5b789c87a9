# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The two heads of YOLOv10: what they say of each cell, and what boxes that means."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import torch
from torch import Tensor, nn

from lowlat_nodes.train.yolov10.blocks import Conv, depthwise

BINS: Final = 16  # of the distribution over a side's distance
STRIDES: Final = (8, 16, 32)
_FALL = 0.3  # of the logits from bin to bin at first: boxes of about five strides
_USUAL_OBJECTS, _USUAL_SIDE_PX = 5, 640

HeadName = Literal["one_to_one", "one_to_many"]


@dataclass(frozen=True, eq=False)
class Predictions:
    """What one head says.

    Attributes:
        distances: float32 [B, A, 4 * BINS]; logits of the distances from the anchor to the left, top, right
            and bottom side, in strides.
        scores: float32 [B, A, C]; logits of the classes.
    """

    distances: Tensor
    scores: Tensor

    def float(self) -> Predictions:
        """The same in float32, as under autocast they are narrower."""
        return Predictions(self.distances.float(), self.scores.float())


@dataclass(frozen=True, eq=False)
class Outputs:
    """What the network says of a batch in training.

    Attributes:
        one_to_many: Of the head that may find an object several times.
        one_to_one: Of the head that finds each once; no gradient of it reaches the backbone.
        anchors: float32 [A, 2]; centres x, y of the cells in px, by level, then row, then column.
        strides: float32 [A]; side of each cell in px.
    """

    one_to_many: Predictions
    one_to_one: Predictions
    anchors: Tensor
    strides: Tensor


def grid(height: int, width: int, device: torch.device | str | None = None) -> tuple[Tensor, Tensor]:
    """Return the anchors [A, 2] and strides [A] in px, float32, for images of a size in px."""
    centres, sides = [], []
    for stride in STRIDES:
        x = (torch.arange(width // stride, device=device, dtype=torch.float32) + 0.5) * stride
        y = (torch.arange(height // stride, device=device, dtype=torch.float32) + 0.5) * stride
        rows, columns = torch.meshgrid(y, x, indexing="ij")
        centres.append(torch.stack([columns.flatten(), rows.flatten()], -1))
        sides.append(torch.full_like(centres[-1][:, 0], stride))
    return torch.cat(centres), torch.cat(sides)


def expected_distances(distances: Tensor) -> Tensor:
    """Means [B, A, 4] in strides, of logits [B, A, 4 * BINS] (Li et al. 2020, arXiv 2006.04388)."""
    bins = torch.arange(BINS, device=distances.device, dtype=distances.dtype)
    batch, count, _ = map(int, distances.shape)
    return distances.reshape(batch, count, 4, BINS).softmax(-1) @ bins


def decode(distances: Tensor, anchors: Tensor, strides: Tensor) -> Tensor:
    """Boxes x1, y1, x2, y2 in px [B, A, 4], of logits [B, A, 4 * BINS]; they may reach out of the image."""
    left_top, right_bottom = (expected_distances(distances) * strides[:, None]).split(2, -1)
    return torch.cat([anchors - left_top, anchors + right_bottom], -1)


class Branches(nn.Module):
    """One head: for each level a branch of distances, and a lighter one of scores."""

    def __init__(self, inputs: tuple[int, ...], classes: int) -> None:
        super().__init__()
        boxes = max(16, inputs[0] // 4, 4 * BINS)
        hidden = max(inputs[0], min(classes, 100))
        self.distances = nn.ModuleList(
            nn.Sequential(Conv(width, boxes, 3), Conv(boxes, boxes, 3), nn.Conv2d(boxes, 4 * BINS, 1))
            for width in inputs
        )
        self.scores = nn.ModuleList(
            nn.Sequential(
                nn.Sequential(depthwise(width), Conv(width, hidden)),
                nn.Sequential(depthwise(hidden), Conv(hidden, hidden)),
                nn.Conv2d(hidden, classes, 1),
            )
            for width in inputs
        )
        for stride, distances, scores in zip(STRIDES, self.distances, self.scores, strict=True):
            # Training starts from small boxes, which learn several times faster than large ones shrink, and
            # from the share of cells that hold an object of a class.
            with torch.no_grad():
                distances[-1].bias.copy_((-_FALL * torch.arange(BINS)).repeat(4))
            cells = (_USUAL_SIDE_PX / stride) ** 2
            nn.init.constant_(scores[-1].bias, math.log(_USUAL_OBJECTS / classes / cells))

    def forward(self, features: list[Tensor]) -> Predictions:
        """Predictions of features [B, C, H, W] of the strides in `STRIDES`, in their dtype."""
        return Predictions(_rows(self.distances, features), _rows(self.scores, features))


def _rows(branches: nn.ModuleList, features: list[Tensor]) -> Tensor:
    levels = []
    for branch, feature in zip(branches, features, strict=True):
        level = branch(feature).permute(0, 2, 3, 1)
        batch, height, width, channels = map(int, level.shape)  # int: constants in an exported graph
        levels.append(level.reshape(batch, height * width, channels))
    return torch.cat(levels, 1)


class Head(nn.Module):
    """Both heads, for consistent dual assignments (arXiv 2405.14458, section 3.1)."""

    def __init__(self, inputs: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.one_to_many = Branches(inputs, classes)
        self.one_to_one = Branches(inputs, classes)
        self.one_to_one.load_state_dict(self.one_to_many.state_dict())

    def forward(self, features: list[Tensor]) -> tuple[Predictions, Predictions]:
        """What the one-to-many and the one-to-one head say; only the first sends gradients back."""
        return self.one_to_many(features), self.one_to_one([feature.detach() for feature in features])
