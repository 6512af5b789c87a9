# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_distances_to_the_sides() -> None:
    from lowlat_nodes.train.yolov10.boxes import to_distances

    boxes = torch.tensor([[9.0, 18.0, 13.0, 24.0], [0.0, 0.0, 5.0, 5.0]])
    anchors = torch.tensor([[10.0, 20.0], [6.0, 2.0]])
    assert to_distances(boxes, anchors).tolist() == [[1.0, 2.0, 3.0, 4.0], [6.0, 2.0, -1.0, 3.0]]


def test_complete_iou_by_hand() -> None:
    from lowlat_nodes.train.yolov10.boxes import complete_iou

    a = torch.tensor([0.0, 0.0, 4.0, 2.0])
    b = torch.tensor([2.0, 0.0, 4.0, 2.0])
    iou, complete = complete_iou(a, b)
    aspect = 4 / math.pi**2 * (math.atan(2.0) - math.atan(1.0)) ** 2
    assert float(iou) == pytest.approx(0.5)
    assert float(complete) == pytest.approx(0.5 - 1.0 / 20.0 - aspect * aspect / (0.5 + aspect), abs=1e-5)


def test_complete_iou_of_equal_and_of_distant_boxes() -> None:
    from lowlat_nodes.train.yolov10.boxes import complete_iou

    box = torch.tensor([3.0, 4.0, 10.0, 30.0])
    assert float(complete_iou(box, box)[1]) == pytest.approx(1.0, abs=1e-5)
    iou, complete = complete_iou(box, box + 100.0)
    assert float(iou) == 0.0
    assert -1.0 < float(complete) < 0.0


def test_a_box_without_area_has_finite_gradients() -> None:
    from lowlat_nodes.train.yolov10.boxes import complete_iou

    box = torch.tensor([5.0, 5.0, 5.0, 5.0], requires_grad=True)
    complete_iou(box, torch.tensor([0.0, 0.0, 8.0, 8.0]))[1].backward()
    assert bool(torch.isfinite(box.grad).all())
