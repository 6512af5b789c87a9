# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_torch_thread")]


def _head(**sizes: int):  # type: ignore[no-untyped-def]
    from lowlat_nodes.train.flow import FlowConfig, Head

    head = Head(FlowConfig(**{"width": 32, "blocks": 2, "keypoints": 4, "horizon": 8, **sizes}))
    with torch.no_grad():
        for value in (*head.parameters(), *head.buffers()):
            value.add_(0.1 * torch.rand_like(value))
    return head


def _inputs(head, batch: int, dtype: torch.dtype):  # type: ignore[no-untyped-def]
    config = head.config
    noise = torch.randn(batch, config.horizon, config.joints, dtype=dtype)
    return noise, torch.randn(batch, config.features, dtype=dtype), torch.randn(batch, 6, dtype=dtype)


def test_the_product_is_that_of_automatic_differentiation() -> None:
    from lowlat_nodes.train.guidance import denoise_and_pull

    head = _head().double()
    noise, features, state = _inputs(head, 3, torch.float64)
    x = noise.flatten(1).requires_grad_()
    time, weights, decided = torch.rand(3, 1).double(), torch.rand_like(x), torch.randn_like(x)
    clean, error, pulled = denoise_and_pull(head, x, time, features, state, weights, decided)
    expected = head(x, time, features, state)
    assert torch.allclose(clean, expected, atol=1e-12)
    assert torch.allclose(error, weights * (decided - expected), atol=1e-12)
    (slope,) = torch.autograd.grad(expected, x, error.detach())
    assert torch.allclose(pulled, slope, atol=1e-12)


def test_without_weights_guidance_changes_nothing() -> None:
    from lowlat_nodes.train.guidance import guided_sample

    head = _head()
    noise, features, state = _inputs(head, 4, torch.float32)
    decided, weights, jacobian = torch.randn(4, 8, 3), torch.zeros(4, 8), torch.rand(4, 1)
    guided = guided_sample(head, noise, features, state, decided, weights, jacobian)
    assert torch.allclose(guided, head.sample(noise, features, state), atol=1e-6)


def test_guidance_draws_rows_with_weight_towards_what_is_decided() -> None:
    from lowlat_nodes.train.guidance import guided_sample

    head = _head()
    torch.nn.init.zeros_(head.out.weight)  # the clean chunk is the same whatever it is made of
    noise, features, state = _inputs(head, 4, torch.float32)
    free = head.sample(noise, features, state)
    decided, weights = torch.randn_like(free), torch.zeros(4, 8)
    weights[:, :2], weights[:, 2:4] = 1.0, 0.5
    as_it_is, pulled_back = (
        guided_sample(head, noise, features, state, decided, weights, torch.full((4, 1), jacobian))
        for jacobian in (0.0, 1.0)
    )
    # The last of five Euler steps starts at 0.8, where the weight is 4.25.
    expected = free + 4.25 / 5 * weights[..., None] * (decided - free)
    assert torch.allclose(as_it_is, expected, atol=1e-5)
    assert torch.allclose(pulled_back, free, atol=1e-6)


def test_the_guidance_weight_is_the_published_one() -> None:
    from lowlat_nodes.train.guidance import guidance_weight

    assert guidance_weight(0.0) == 5.0
    assert guidance_weight(0.1) == 5.0  # 9 * 0.82 / 0.81 is more
    assert guidance_weight(0.5) == pytest.approx(2.0)
    assert guidance_weight(0.8) == pytest.approx(0.25 * 0.68 / 0.04)


def test_the_product_of_an_exported_policy_is_close_to_finite_differences(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from lowlat_nodes.train.export import export_policy
    from lowlat_nodes.train.flow import Encoder
    from lowlat_nodes.train.guidance import vjp_error

    head = _head(horizon=32)
    encoder, contract = Encoder(head.config), {"max_offset": 10, "action_dt_ns": 20_000_000}
    export_policy("base", head, tmp_path / "base.onnx", encoder=encoder, **contract)
    assert vjp_error(tmp_path / "base.onnx", samples=3) < 1e-6


def test_only_a_policy_that_can_be_guided_has_an_error(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from lowlat_nodes.train.export import export_policy
    from lowlat_nodes.train.flow import Encoder
    from lowlat_nodes.train.guidance import vjp_error

    head, path = _head(), tmp_path / "vlash.onnx"
    export_policy("vlash", head, path, encoder=Encoder(head.config), max_offset=10, action_dt_ns=20_000_000)
    with pytest.raises(ConfigurationError, match="expected a policy that can be guided, got 'vlash'"):
        vjp_error(path)
