# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The torch network is t2: as many parameters, and the same numbers as its formulas written out."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.stream.errors import ConfigurationError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


def test_the_published_network_has_13262_parameters() -> None:
    from lowlat_nodes.train.t2.model import T2, T2Config

    assert sum(weight.numel() for weight in T2(T2Config()).parameters()) == 13_262


def test_it_computes_the_published_formulas() -> None:
    from lowlat_nodes.train.t2.model import T2, T2Config

    torch.manual_seed(0)
    net = T2(T2Config()).eval()
    for name, weight in net.named_parameters():
        if "bias" in name or "norm" in name:
            torch.nn.init.normal_(weight)
    x = np.random.default_rng(0).standard_normal((3, 100, 2))
    found = net.double()(torch.from_numpy(x)).detach().numpy()
    w = {name: value.numpy() for name, value in net.state_dict().items()}

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * w[f"{name}.weight"] + w[f"{name}.bias"]

    position = np.zeros((100, 32))
    for step in range(100):
        for pair in range(16):
            angle = step / 10000 ** (2 * pair / 32)
            position[step, 2 * pair : 2 * pair + 2] = np.sin(angle), np.cos(angle)
    x = np.maximum(dense(x, "embed"), 0.0) + position
    parts = []
    q, k, v = (dense(x, f"encoder.attention.{part}") for part in ("query", "key", "value"))
    for head in range(16):
        columns = slice(2 * head, 2 * head + 2)
        scores = np.exp(q[..., columns] @ k[..., columns].swapaxes(1, 2) / np.sqrt(2.0))
        parts.append(scores / scores.sum(-1, keepdims=True) @ v[..., columns])
    x = norm(x + dense(np.concatenate(parts, -1), "encoder.attention.combine"), "encoder.norm_attention")
    hidden = np.maximum(dense(x, "encoder.widen"), 0.0)
    x = norm(x + dense(hidden, "encoder.narrow"), "encoder.norm_forward")
    np.testing.assert_allclose(found, dense(x.mean(1), "classify"), atol=1e-5)


def test_a_width_that_heads_cannot_share_is_refused() -> None:
    from lowlat_nodes.train.t2.model import T2Config

    with pytest.raises(ConfigurationError, match="16 heads"):
        T2Config(width=24)
