# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.mark.parametrize("shape", [(8, 8), (6, 40), (40, 6)])
def test_singular_values_go_towards_one(shape: tuple[int, int]) -> None:
    from lowlat_nodes.train.yolov10.muon import orthogonalised

    values = torch.linalg.svdvals(orthogonalised(torch.randn(shape)))
    assert float(values.min()) > 0.3
    assert float(values.max()) < 1.5


def test_a_matrix_of_zeros_stays_so() -> None:
    from lowlat_nodes.train.yolov10.muon import orthogonalised

    assert not orthogonalised(torch.zeros(4, 9)).any()


def test_descent_fits_a_convolution() -> None:
    from lowlat_nodes.train.yolov10.muon import Muon

    wanted, net = (torch.nn.Conv2d(3, 8, 3, bias=False) for _ in range(2))
    optimiser = Muon(net.parameters(), lr=0.05)
    images = torch.randn(16, 3, 8, 8)
    target = wanted(images).detach()
    errors = []
    for step in range(100):
        optimiser.param_groups[0]["lr"] = 0.05 * (1.0 - step / 100)
        error = (net(images) - target).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.01 * errors[0]


def test_weights_without_a_gradient_stay() -> None:
    from lowlat_nodes.train.yolov10.muon import Muon

    net = torch.nn.Conv2d(1, 2, 3, bias=False)
    before = net.weight.detach().clone()
    Muon(net.parameters(), lr=0.1, weight_decay=0.1).step()
    assert torch.equal(net.weight, before)
