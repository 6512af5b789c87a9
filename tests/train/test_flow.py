# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_torch_thread")]


def test_targets_survive_normalisation() -> None:
    from lowlat_nodes.train.flow import FlowConfig, Head

    head = Head(FlowConfig())
    head.action_scale.uniform_(0.1, 2.0)
    targets, state = torch.randn(4, 32, 3), torch.randn(4, 6)
    assert torch.allclose(head.to_targets(head.from_targets(targets, state), state), targets, atol=1e-5)


def test_a_head_ignores_new_conditions_at_first_and_forgets_its_old_ones() -> None:
    from lowlat_nodes.train.flow import FlowConfig, Head

    head = Head(FlowConfig())
    told = head.recondition(5)
    assert told.config.conditions == 5
    noise, features, state = torch.randn(3, 32, 3), torch.randn(3, head.config.features), torch.randn(3, 6)
    plain = head.sample(noise, features, state)
    assert torch.allclose(told.sample(noise, features, state, torch.randn(3, 5)), plain, atol=1e-6)
    torch.nn.init.normal_(told.join.weight[:, -5:])
    assert not torch.allclose(told.sample(noise, features, state, torch.randn(3, 5)), plain, atol=1e-3)
    again = told.recondition(2)
    assert torch.allclose(again.sample(noise, features, state, torch.randn(3, 2)), plain, atol=1e-6)


def test_features_follow_a_thing_and_the_task_decides_which() -> None:
    from lowlat_nodes.train.flow import Encoder, FlowConfig

    encoder = Encoder(FlowConfig())
    images = torch.zeros(2, 3, 60, 80)
    images[0, :, 10:16, 10:16] = images[1, :, 40:46, 60:66] = 255.0
    tokens = torch.tensor([[5, 6] + [0] * 10])
    here, there = encoder(images, tokens.expand(2, -1))
    other, _ = encoder(images, torch.tensor([[7, 8] + [0] * 10]).expand(2, -1))
    assert (here - there).abs().max() > 1e-4
    assert (here - other).abs().max() > 1e-4


def test_fitting_reduces_the_loss_and_keeps_the_average() -> None:
    from lowlat_nodes.train.fit import FitConfig, fit
    from lowlat_nodes.train.flow import FlowConfig, Head
    from lowlat_nodes.train.variants import Sample, flow_loss

    head = Head(FlowConfig(width=32, blocks=1))
    features, sample = (
        torch.randn(16, head.config.features),
        Sample(torch.randn(16, 6), torch.randn(16, 32, 3)),
    )
    said: list[str] = []
    before = float(flow_loss(head, sample, features).detach())
    config = FitConfig(150, learning_rate=5e-3)
    last = fit(head, lambda: flow_loss(head, sample, features), config, name="it", say=said.append)
    assert last < 0.5 * before
    assert float(flow_loss(head, sample, features).detach()) < 0.5 * before
    assert said[-1].startswith("it: step 150 of 150, loss ")


def test_a_loss_that_is_not_finite_ends_the_fit() -> None:
    from lowlat_nodes.train.fit import FitConfig, fit

    net = torch.nn.Linear(1, 1)
    with pytest.raises(RuntimeError, match="it: the loss is nan at step 1"):
        fit(net, lambda: net.weight.sum() * np.nan, FitConfig(3), name="it", say=print)
