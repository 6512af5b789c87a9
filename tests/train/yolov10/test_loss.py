# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

CLASSES, BINS = 3, 16


def made_for(boxes: list[list[float]], sharp: float, anchors: torch.Tensor, strides: torch.Tensor):
    """Return logits that say boxes (x1, y1, x2, y2, class) at all anchors within, as surely as `sharp`."""
    from lowlat_nodes.train.yolov10.boxes import to_distances

    distances = torch.zeros(1, len(anchors), 4, BINS)
    scores = torch.full((1, len(anchors), CLASSES), -sharp)
    for *box, label in boxes:
        sides = to_distances(torch.tensor(box), anchors) / strides[:, None]
        inside = (sides > 0).all(1)
        bins = torch.arange(BINS)
        distances[0, inside] = -sharp * (sides[inside][..., None] - bins).abs()
        scores[0, inside, int(label)] = sharp
    return distances.flatten(2), scores


def anchors_of(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    at = torch.arange(4.0, size, 8.0)
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), 1), torch.full((x.numel(),), 8.0)


BOXES = [[6.0, 6.0, 30.0, 34.0, 0.0], [36.0, 40.0, 60.0, 56.0, 2.0]]


def truth():
    from lowlat_nodes.train.yolov10.boxes import PaddedTruth

    return PaddedTruth.pad([np.array(BOXES, np.float32)])


@pytest.mark.parametrize("most", [1, 10])
def test_the_loss_falls_as_the_prediction_nears_the_truth(most: int) -> None:
    from lowlat_nodes.train.yolov10.loss import head_loss

    anchors, strides = anchors_of()
    losses = []
    for shift in (8.0, 4.0, 0.0):
        moved = [[x1 + shift, y1, x2 + shift, y2, label] for x1, y1, x2, y2, label in BOXES]
        loss = head_loss(*made_for(moved, 4.0, anchors, strides), anchors, strides, truth(), most=most)
        losses.append((float(loss.box), float(loss.distance)))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1][0] < 0.25 * losses[0][0]


def test_descent_finds_boxes_and_classes() -> None:
    from lowlat_nodes.train.yolov10.head import decode
    from lowlat_nodes.train.yolov10.loss import ONE_TO_ONE, head_loss

    anchors, strides = anchors_of()
    distances = torch.zeros(1, len(anchors), 4 * BINS, requires_grad=True)
    scores = torch.full((1, len(anchors), CLASSES), -3.0, requires_grad=True)
    optimiser = torch.optim.Adam([distances, scores], lr=0.2)
    first = None
    for _ in range(150):
        loss = head_loss(distances, scores, anchors, strides, truth(), most=ONE_TO_ONE).total
        first = first or float(loss.detach())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.3 * first
    best = scores[0].sigmoid().amax(1).topk(2).indices
    boxes = decode(distances[:, best], anchors[best], strides[best])[0].detach()
    order = boxes[:, 0].argsort()
    assert torch.allclose(boxes[order], torch.tensor(BOXES)[:, :4], atol=1.0)
    assert scores[0, best].argmax(1)[order].tolist() == [0, 2]


def test_images_without_things_only_lower_the_scores() -> None:
    from lowlat_nodes.train.yolov10.boxes import PaddedTruth
    from lowlat_nodes.train.yolov10.loss import head_loss

    anchors, strides = anchors_of()
    distances = torch.zeros(2, len(anchors), 4 * BINS, requires_grad=True)
    scores = torch.zeros(2, len(anchors), CLASSES, requires_grad=True)
    loss = head_loss(
        distances, scores, anchors, strides, PaddedTruth.pad([np.empty((0, 5), np.float32)] * 2), most=10
    )
    loss.total.backward()
    assert loss.box.item() == loss.distance.item() == 0.0
    assert bool((scores.grad > 0).all())
    assert bool(torch.isfinite(distances.grad).all())
