# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def grid(size: int = 64) -> tuple[torch.Tensor, torch.Tensor]:
    """Return centres and strides of the anchors for a square input."""
    centres, strides = [], []
    for stride in (8, 16, 32):
        at = (torch.arange(size // stride) + 0.5) * stride
        y, x = torch.meshgrid(at, at, indexing="ij")
        centres.append(torch.stack((x.flatten(), y.flatten()), 1))
        strides.append(torch.full((x.numel(),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def truth_of(*images: list[list[float]]):
    from lowlat_nodes.train.yolov10.boxes import PaddedTruth

    return PaddedTruth.pad([np.array(rows, np.float32).reshape(-1, 5) for rows in images])


def exact(truth, anchors: torch.Tensor, thing: int = 0) -> torch.Tensor:
    """Return predictions in which all anchors say the box of one thing."""
    return truth.boxes[:, thing : thing + 1].expand(-1, len(anchors), -1).clone()


def test_only_anchors_within_the_box_answer_for_it() -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid()
    truth = truth_of([[8, 8, 40, 24, 1]])
    scores = torch.full((1, len(anchors), 3), 0.5)
    targets = assign(scores, exact(truth, anchors), anchors, strides, truth, most=100)
    inside = ((anchors >= torch.tensor([8.0, 8.0])) & (anchors <= torch.tensor([40.0, 24.0]))).all(1)
    assert torch.equal(targets.positive[0], inside)
    assert torch.allclose(targets.scores[0, inside, 1], torch.tensor(1.0))
    assert float(targets.scores.sum()) == pytest.approx(int(inside.sum()))
    assert torch.equal(targets.boxes[0, inside], truth.boxes[0].expand(int(inside.sum()), 4))


def test_the_better_aligned_anchors_are_taken() -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid()
    truth = truth_of([[0, 0, 64, 64, 0]])
    boxes = exact(truth, anchors)
    boxes[:, :, 2] -= 30.0
    boxes[0, 5] = boxes[0, 17] = truth.boxes[0, 0]
    scores = torch.full((1, len(anchors), 1), 0.3)
    scores[0, 17] = 0.9
    two = assign(scores, boxes, anchors, strides, truth, most=2)
    one = assign(scores, boxes, anchors, strides, truth, most=1)
    assert two.positive[0].nonzero().flatten().tolist() == [5, 17]
    assert float(two.scores[0, 17, 0]) == pytest.approx(1.0)
    assert float(two.scores[0, 5, 0]) == pytest.approx((0.3 / 0.9) ** 0.5, abs=1e-5)
    assert one.positive[0].nonzero().flatten().tolist() == [17]


def test_the_one_to_one_head_gets_the_best_of_the_one_to_many_head() -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid(128)
    truth = truth_of([[4, 6, 50, 40, 0], [70, 60, 120, 120, 1]], [[30, 30, 39, 38, 2]])
    sizes = strides[:, None] * (0.5 + 3.0 * torch.rand(2, len(anchors), 2))
    boxes = torch.cat((anchors - sizes, anchors + sizes), -1)
    scores = torch.rand(2, len(anchors), 3)
    many = assign(scores, boxes, anchors, strides, truth, most=10)
    one = assign(scores, boxes, anchors, strides, truth, most=1)
    assert int(one.positive.sum()) == 3
    for image, label in ((0, 0), (0, 1), (1, 2)):
        best = int(many.scores[image, :, label].argmax())
        assert one.positive[image, best]
        assert float(one.scores[image, best, label]) == pytest.approx(float(many.scores[image, best, label]))


def test_an_anchor_that_two_things_want_answers_for_the_one_it_overlaps_more() -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid()
    truth = truth_of([[0, 0, 32, 32, 0], [0, 0, 24, 24, 1]])
    boxes = exact(truth, anchors, thing=1)
    scores = torch.full((1, len(anchors), 2), 0.5)
    targets = assign(scores, boxes, anchors, strides, truth, most=100)
    shared = ((anchors >= 0) & (anchors <= 24)).all(1)
    assert torch.equal(targets.boxes[0, shared], truth.boxes[0, 1].expand(int(shared.sum()), 4))
    assert float(targets.scores[0, shared, 0].sum()) == 0.0
    assert bool(targets.positive[0, 3])  # at (28, 4), in the first box only
    assert torch.equal(targets.boxes[0, 3], truth.boxes[0, 0])


@pytest.mark.parametrize("place", [(4.0, 4.0), (8.0, 8.0), (17.0, 22.5), (31.9, 40.1)])
def test_a_thing_smaller_than_the_finest_stride_has_an_anchor(place: tuple[float, float]) -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid()
    x, y = place
    truth = truth_of([[x - 1.5, y - 1.0, x + 1.5, y + 1.0, 0]])
    nothing = torch.zeros(1, len(anchors), 4)
    targets = assign(torch.zeros(1, len(anchors), 1), nothing, anchors, strides, truth, most=1)
    (found,) = targets.positive[0].nonzero().flatten().tolist()
    assert (anchors[found] - torch.tensor(place)).abs().max() <= 4.0


def test_padding_and_empty_images_get_nothing() -> None:
    from lowlat_nodes.train.yolov10.assign import assign

    anchors, strides = grid()
    truth = truth_of([], [[8, 8, 40, 24, 0], [8, 40, 40, 60, 0]])
    assert truth.real.tolist() == [[False, False], [True, True]]
    boxes = torch.rand(2, len(anchors), 4)
    targets = assign(torch.rand(2, len(anchors), 1), boxes, anchors, strides, truth, most=10)
    assert not targets.positive[0].any()
    assert float(targets.scores[0].sum()) == 0.0
    assert targets.positive[1].any()
    assert bool(torch.isfinite(targets.scores).all())
