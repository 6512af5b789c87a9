# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402
from lowlat_nodes.train.alerts.model import (  # noqa: E402
    FEATURES,
    Calibrated,
    TokenModel,
    TokenModelConfig,
    features,
)


def tokens(count: int = 12, seed: int = 0) -> torch.Tensor:
    random = np.random.default_rng(seed)
    values = np.zeros((3, count, 5), np.float32)
    values[..., 0] = np.sort(-random.random((3, count)) * 60.0, axis=1)
    values[:, -1, 0] = 0.0
    values[..., 1] = random.choice([0.48, 0.64, 0.8], (3, count))
    values[..., 2] = random.normal(1000.0, 800.0, (3, count))
    values[..., 3] = random.uniform(50.0, 100.0, (3, count))
    values[..., 4] = np.abs(values[..., 2]) > 5.0 * values[..., 3]
    return torch.from_numpy(values)


@pytest.fixture(scope="module")
def net() -> TokenModel:
    torch.manual_seed(1)
    return TokenModel(TokenModelConfig()).eval()


@torch.no_grad()
def test_neither_padding_nor_order_changes_what_is_said(net: TokenModel) -> None:
    given = tokens()
    said = net(given)
    padded = torch.cat([given, torch.zeros(3, 20, 5)], 1)
    torch.testing.assert_close(net(padded), said, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(net(padded[:, torch.randperm(32)]), said, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_a_scale_of_fluxes_is_seen_in_one_feature_alone() -> None:
    given = tokens()
    louder = given.clone()
    louder[..., 2:4] *= 100.0
    one, other = features(given)[0], features(louder)[0]
    changed = (one - other).abs().amax((0, 1)) > 1e-4
    assert one.shape[-1] == FEATURES
    assert changed.sum() == 1


@torch.no_grad()
def test_any_wavelength_has_its_place_between_its_neighbours() -> None:
    given = tokens()
    steps = []
    for wavelength in np.linspace(0.32, 1.0, 69):
        given[..., 1] = wavelength
        steps.append(features(given)[0][0, 0])
    moved = torch.stack(steps).diff(dim=0).norm(dim=1)
    assert moved.min() > 0.01
    assert moved.max() < 0.3


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e9])
@torch.no_grad()
def test_faint_and_bright_ones_have_features_of_one_size(scale: float) -> None:
    given = tokens()
    given[..., 2:4] *= scale
    found, real = features(given)
    assert torch.isfinite(found).all()
    assert found.abs().max() < 20.0
    assert real.all()


@torch.no_grad()
def test_what_was_never_detected_or_has_no_tokens_is_no_accident(net: TokenModel) -> None:
    given = tokens()
    given[0, :, 4] = 0.0
    given[1, :, 2] = 0.0
    given[1, :, 4] = 0.0
    given[2] = 0.0
    probabilities = Calibrated(net, 1.5)(given)
    assert torch.isfinite(probabilities).all()
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(3))


def test_a_temperature_makes_it_less_sure(net: TokenModel) -> None:
    with torch.no_grad():
        plain, warm = (Calibrated(net, warmth)(tokens()) for warmth in (1.0, 3.0))
    assert (warm.amax(-1) < plain.amax(-1)).all()
    assert (warm.argmax(-1) == plain.argmax(-1)).all()


def test_heads_share_the_width() -> None:
    with pytest.raises(ConfigurationError, match="width 64 cannot be shared by 3 heads"):
        TokenModelConfig(heads=3)
