# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import itertools

import numpy as np
import pytest
from rectangles import rectangles

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

SIDE = 64


def _network():
    from lowlat_nodes.train.yolov10.model import YoloV10
    from lowlat_nodes.train.yolov10.scales import Scale

    return YoloV10(Scale("tiny", 1 / 3, 0.125, 1024, frozenset()), 2)


def _steps(count: int):
    """Return a budget that ends after that many looks at it."""
    from lowlat_nodes.train.yolov10.fit import Budget

    ticks = itertools.count()
    return Budget(float(count), lambda: float(next(ticks)))


def test_the_rate_rises_and_falls_to_nothing() -> None:
    from lowlat_nodes.train.yolov10.fit import learning_rate

    rates = [learning_rate(share / 100, 0.1) for share in range(101)]
    assert rates[0] == 0.0
    assert max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(0.0)
    assert learning_rate(1.5, 0.1) == pytest.approx(0.0)


def test_a_budget_counts_from_when_it_is_made() -> None:
    from lowlat_nodes.train.yolov10.fit import Budget

    times = iter((100.0, 103.0, 120.0))
    budget = Budget(10.0, lambda: next(times))
    assert budget.spent_s == 3.0
    assert budget.share == 2.0


def test_the_one_to_one_head_does_not_move_the_backbone() -> None:
    from lowlat_nodes.train.yolov10.batches import collect
    from lowlat_nodes.train.yolov10.fit import losses

    net = _network().train()
    images, truth = next(collect(rectangles(SIDE, seed=1), 2)).tensors()
    many, one = losses(net, images, truth)
    one.total.backward()
    shared = [*net.backbone.parameters(), *net.neck.parameters(), *net.head.one_to_many.parameters()]
    assert all(weight.grad is None for weight in shared)
    assert any(weight.grad.any() for weight in net.head.one_to_one.parameters() if weight.grad is not None)
    many.total.backward()
    assert all(weight.grad is not None for weight in net.backbone.parameters())


def test_every_weight_has_one_optimiser() -> None:
    from lowlat_nodes.train.yolov10.fit import FitConfig, optimisers

    net = _network()
    moved = [
        weight
        for optimiser in optimisers(net, FitConfig())
        for group in optimiser.param_groups
        for weight in group["params"]
    ]
    assert len(moved) == len({id(weight) for weight in moved}) == len(list(net.parameters()))


def test_the_average_follows_the_weights() -> None:
    from lowlat_nodes.train.yolov10.fit import Average

    net = torch.nn.Linear(2, 2)
    average = Average(net, 0.5)
    start = net.weight.detach().clone()
    with torch.no_grad():
        net.weight += 1.0
    for _ in range(40):
        average.update(net)
    assert torch.allclose(average.net.weight, start + 1.0, atol=1e-4)


@pytest.mark.slow
def test_a_small_network_learns_rectangles() -> None:
    from lowlat_nodes.train.yolov10.batches import collect
    from lowlat_nodes.train.yolov10.fit import FitConfig, fit
    from lowlat_nodes.train.yolov10.fuse import FusedYoloV10

    net, lines, saved = _network(), [], []
    fitted = fit(
        net,
        collect(rectangles(SIDE, seed=1), 8),
        FitConfig(average_decay=0.9),
        _steps(300),
        say=lines.append,
        save=saved.append,
        save_every_s=0.0,
    )
    assert fitted.images == 8 * fitted.steps
    assert len(saved) == fitted.steps
    boxes, scores = _found(FusedYoloV10(net, SIDE, SIDE))
    right = 0
    for frame, box, score in zip(itertools.islice(rectangles(SIDE, seed=2), 20), boxes, scores, strict=True):
        best = int(score.amax(1).argmax())
        wanted = frame.boxes[frame.labels == int(score[best].argmax())]
        right += bool(len(wanted)) and bool((np.abs(wanted - box[best].numpy()).max(1) < 4.0).any())
    assert right >= 14


def _found(net):
    images = np.stack([frame.image for frame in itertools.islice(rectangles(SIDE, seed=2), 20)])
    with torch.no_grad():
        return net(torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255.0)
