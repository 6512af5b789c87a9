# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Real-time chunking: inpainting guided by rows that are decided already (arXiv 2506.07339).

The vector-Jacobian product through the denoiser is written out, so that it can be exported with the network.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.flow import Head
from lowlat_nodes.train.loading import load_networks

STRONGEST: Final = 5.0  # the bound of the guidance weight, as published


def denoise_and_pull(
    head: Head, x: Tensor, time: Tensor, features: Tensor, state: Tensor, weights: Tensor, decided: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The clean chunk c, the weighted error e = w * (decided - c), and (dc/dx)^T e; all [B, H * J].

    Arguments as those of `Head.forward`; `weights` and `decided`, normalised, are [B, H * J].
    """
    clean, tape = _forward(head, x, time, features, state)
    error = weights * (decided - clean)
    return clean, error, _backward(head, tape, error)


_Tape = tuple[Tensor, list[tuple[Tensor, Tensor, Tensor]]]


def _forward(head: Head, x: Tensor, time: Tensor, features: Tensor, state: Tensor) -> tuple[Tensor, _Tape]:
    """`Head.forward`, and what its derivative needs."""
    hidden = head.joined(x, time, features, state)
    steps = []
    for block in head.blocks:
        mean = hidden.mean(-1, keepdim=True)
        spread = torch.sqrt((hidden - mean).square().mean(-1, keepdim=True) + block.norm.eps)
        normed = (hidden - mean) / spread
        risen = block.rise(normed * block.norm.weight + block.norm.bias)
        steps.append((normed, spread, risen))
        hidden = hidden + block.fall(risen * torch.sigmoid(risen))
    return head.out(hidden * torch.sigmoid(hidden)), (hidden, steps)


def _backward(head: Head, tape: _Tape, cotangent: Tensor) -> Tensor:
    """The product of a cotangent [B, H * J] with the derivative of the clean chunk by the noisy one."""
    hidden, steps = tape
    flow = (cotangent @ head.out.weight) * _silu_slope(hidden)
    for block, (normed, spread, risen) in zip(reversed(head.blocks), reversed(steps), strict=True):
        inner = ((flow @ block.fall.weight) * _silu_slope(risen)) @ block.rise.weight * block.norm.weight
        centred = inner - inner.mean(-1, keepdim=True) - normed * (inner * normed).mean(-1, keepdim=True)
        flow = flow + centred / spread
    return flow @ head.join.weight[:, : cotangent.shape[1]]


def _silu_slope(x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return gate * (1.0 + x * (1.0 - gate))


def guidance_weight(time: float) -> float:
    """The factor of the guidance at a flow time in 0 to 1 (exclusive), bounded by `STRONGEST`."""
    if time <= 0.0:
        return STRONGEST
    rest = 1.0 - time
    return min(rest / time * (time**2 + rest**2) / rest**2, STRONGEST)


def guided_sample(
    head: Head,
    noise: Tensor,
    features: Tensor,
    state: Tensor,
    decided: Tensor,
    weights: Tensor,
    jacobian: Tensor,
) -> Tensor:
    """A chunk of absolute joint targets in rad, [B, H, J], drawn towards the rows that are decided.

    `decided` [B, H, J] in rad, `weights` [B, H] in 0 to 1; where `jacobian` [B, 1] is 1 the error is pulled
    back through the denoiser, as published, where it is 0 it is added as it is. Without weights the result
    is that of `Head.sample`.
    """
    config = head.config
    x = noise.flatten(1)
    goal = head.from_targets(decided, state)
    mask = weights.repeat_interleave(config.joints, dim=1)
    for step in range(config.steps):
        time = step / config.steps
        clean, error, pulled = denoise_and_pull(
            head, x, torch.full_like(x[:, :1], time), features, state, mask, goal
        )
        pull = jacobian * pulled + (1.0 - jacobian) * error
        x = x + (clean - x) / (config.steps - step) + guidance_weight(time) / config.steps * pull
    return head.to_targets(x, state)


def vjp_error(path: Path, *, samples: int = 16, seed: int = 0, step: float = 1e-5) -> float:
    """How far the guidance of an exported policy is from central differences, relative to its size.

    The largest over random inputs, in float64. Raises ConfigurationError for a file that holds none.
    """
    policy = load_networks(path)
    if policy.variant != "base":
        raise ConfigurationError(f"{path}: expected a policy that can be guided, got {policy.variant!r}")
    head = policy.head.double()
    random = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    config = head.config
    size = config.horizon * config.joints
    worst = 0.0
    with torch.no_grad():
        for _ in range(samples):
            features, state = draw(1, config.features), draw(1, 2 * config.joints)
            x, goal, weights = draw(1, size), draw(1, size), torch.rand(1, size, generator=random).double()
            time = torch.rand(1, 1, generator=random, dtype=torch.float64)
            _, error, pulled = denoise_and_pull(head, x, time, features, state, weights, goal)
            shifts = step * torch.eye(size, dtype=torch.float64)
            many = (time.expand(size, 1), features.expand(size, -1), state.expand(size, -1))
            slopes = (head(x + shifts, *many) - head(x - shifts, *many)) / (2.0 * step)
            expected = slopes @ error[0]
            worst = max(worst, float((pulled[0] - expected).norm() / expected.norm()))
    return worst
