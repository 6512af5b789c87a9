# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much faster a training step is that computes an observation once for all its delay offsets.

Whole steps (forward, backward, optimiser) take turns: one has each observation once with all its offsets, the
other repeats it for each offset. Samples, noise and flow times are the same, so the losses must be.
docs/bench_shared_observation.md explains the figures.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lowlat_nodes.benchmarks._energy import Metered
from lowlat_nodes.inference.tokens import TOKENS
from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    from torch import Tensor, nn

_WARM_UP = 2


def transformer(observations: int, offsets: int, rounds: int) -> dict[str, Any]:
    """Compare steps of a transformer with about as many tokens to an image and to a chunk as pi0.5 has."""
    import torch

    from lowlat_nodes.train.transformer import TransformerConfig, TransformerPolicy

    config = TransformerConfig(horizon=49, image_size_px=(104, 104))
    net = TransformerPolicy(config)
    image = torch.rand(observations, 3, *config.image_size_px) * 255.0
    tokens = torch.randint(1, 100, (observations, TOKENS))
    states = torch.randn(observations, offsets, 2 * config.joints)
    targets, noise = torch.randn(2, observations, offsets, config.horizon, config.joints)
    branches = (states, targets, noise, torch.rand(observations, offsets))
    prefix = net.perceive(image, tokens)[0][0].shape[2]

    def shared() -> Tensor:
        return net.loss(image, tokens, *branches)

    def repeated() -> Tensor:
        seen = (part.repeat_interleave(offsets, dim=0) for part in (image, tokens))
        return net.loss(*seen, *(part.flatten(0, 1).unsqueeze(1) for part in branches))

    return {
        "observations": observations,
        "tokens_per_observation": prefix,
        "tokens_per_offset": 1 + config.horizon,
        **compare(net, shared, repeated, rounds),
    }


def flow_policy(observations: int, offsets: int, rounds: int) -> dict[str, Any]:
    """Compare steps of the shipped policies' architecture, which has features of an image, not tokens."""
    import torch

    from lowlat_nodes.train.flow import Encoder, FlowConfig, Head
    from lowlat_nodes.train.variants import Sample, flow_loss

    config = FlowConfig()
    encoder, head = Encoder(config), Head(config)
    image = torch.rand(observations, 3, 60, 80) * 255.0
    tokens = torch.randint(1, 100, (observations, TOKENS))
    states = torch.randn(observations * offsets, 2 * config.joints)
    sample = Sample(states, torch.randn(observations * offsets, config.horizon, config.joints))

    def loss(features: Tensor) -> Tensor:
        torch.manual_seed(1)  # it draws noise and flow times itself
        return flow_loss(head, sample, features)

    def shared() -> Tensor:
        return loss(encoder(image, tokens).repeat_interleave(offsets, dim=0))

    def repeated() -> Tensor:
        return loss(encoder(*(part.repeat_interleave(offsets, dim=0) for part in (image, tokens))))

    net = torch.nn.ModuleList([encoder, head])
    return {"observations": observations, **compare(net, shared, repeated, rounds)}


def compare(
    net: nn.Module, shared: Callable[[], Tensor], repeated: Callable[[], Tensor], rounds: int
) -> dict[str, Any]:
    """Train `net` with both losses in turns; return the times, and how the losses differ in the end."""
    import torch

    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)

    def step(loss: Callable[[], Tensor]) -> None:
        optimiser.zero_grad(set_to_none=True)
        loss().backward()
        optimiser.step()

    with Metered() as energy:
        times_ms = take_turns({"shared": lambda: step(shared), "repeated": lambda: step(repeated)}, rounds)
    took_ms = {name: float(values.sum()) for name, values in times_ms.items()}
    losses, gradients = [], []
    for loss in (shared(), repeated()):
        losses.append(loss.item())
        parts = torch.autograd.grad(loss, list(net.parameters()), allow_unused=True, materialize_grads=True)
        gradients.append(torch.cat([part.flatten() for part in parts]))
    apart = (gradients[0] - gradients[1]).norm() / gradients[0].norm()
    return {
        "parameters": sum(parameter.numel() for parameter in net.parameters()),
        "speedup": round(float(np.median(times_ms["repeated"] / times_ms["shared"])), 2),
        "shared_step_ms": round(float(np.median(times_ms["shared"])), 1),
        "repeated_step_ms": round(float(np.median(times_ms["repeated"])), 1),
        "loss": losses[0],
        "loss_difference": abs(losses[0] - losses[1]),
        "gradient_relative_difference": apart.item(),
        "energy": {
            name: energy.plain("step", rounds, energy.cpu_s * spent_ms / sum(took_ms.values()))
            for name, spent_ms in took_ms.items()
        },
    }


def attention(offsets: int, rounds: int, *, prefix: int = 688, length: int = 50) -> dict[str, Any]:
    """Time three ways to the same attention of two streams of tokens, forward and backward."""
    import torch
    from torch.nn.functional import scaled_dot_product_attention

    from lowlat_nodes.train.packing import Packing, attend

    packing = Packing(prefix, length, offsets)
    mask = packing.mask()
    seen = [torch.randn(1, 4, prefix, 64, requires_grad=True) for _ in range(3)]
    own = [torch.randn(1, 4, offsets * length, 64, requires_grad=True) for _ in range(3)]

    def own_rows() -> Tensor:
        found = attend(*own, (seen[1], seen[2]), mask[prefix:])
        return scaled_dot_product_attention(*seen).sum() + found.sum()

    def one_pass() -> Tensor:
        heads = (torch.cat(pair, dim=2) for pair in zip(seen, own, strict=True))
        return scaled_dot_product_attention(*heads, attn_mask=mask).sum()

    def copies() -> Tensor:
        query, *parts = (part.unflatten(2, (offsets, length)).transpose(1, 2)[0] for part in own)
        prefixes = (part.expand(offsets, -1, -1, -1) for part in seen[1:])
        heads = (torch.cat(pair, dim=2) for pair in zip(prefixes, parts, strict=True))
        return scaled_dot_product_attention(*seen).sum() + scaled_dot_product_attention(query, *heads).sum()

    ways = {"own_rows": own_rows, "one_pass": one_pass, "copies": copies}
    times_ms = take_turns({name: lambda way=way: way().backward() for name, way in ways.items()}, rounds)
    return {f"{name}_ms": round(float(np.median(values)), 1) for name, values in times_ms.items()}


def take_turns(ways: Mapping[str, Callable[[], None]], rounds: int) -> dict[str, np.ndarray]:
    """Run each in every round, forwards and backwards in turns; return how long each took in each, ms."""
    times_ms = {name: np.zeros(_WARM_UP + rounds) for name in ways}
    for i in range(_WARM_UP + rounds):
        for name in list(ways)[:: -1 if i % 2 else 1]:
            started_ns = time.perf_counter_ns()
            ways[name]()
            times_ms[name][i] = (time.perf_counter_ns() - started_ns) * 1e-6
    return {name: values[_WARM_UP:] for name, values in times_ms.items()}


def run(*, offsets: int = 5, rounds: int = 15, threads: int = 1) -> dict[str, Any]:
    """Run the benchmark and return its figures.

    Args:
        offsets: Per observation.
        rounds: Steps of each kind.
        threads: CPU threads of torch.

    Raises:
        MissingExtra: If torch is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtra("torch", extra="torch")
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    try:
        tokens = transformer(2, offsets, rounds)
        features = flow_policy(16, offsets, rounds)
        ways = attention(offsets, rounds)
    finally:
        torch.set_num_threads(before)
    energy = {
        f"{name}.{way}": spent
        for name, found in (("transformer", tokens), ("flow_policy", features))
        for way, spent in found.pop("energy").items()
    }
    return {
        "shared_observation_speedup": tokens.pop("speedup"),
        "flow_policy_speedup": features.pop("speedup"),
        "offsets": offsets,
        "threads": threads,
        "transformer": tokens,
        "flow_policy": features,
        "attention": ways,
        "energy": energy,
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version(), "torch": torch.__version__},
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="lowlat bench shared_observation", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
    parser.add_argument("--offsets", type=int, default=5, help="per observation (default: 5)")
    parser.add_argument("--rounds", type=int, default=15, help="steps of each kind (default: 15)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of torch (default: 1)")
    options = parser.parse_args(argv)
    figures = run(offsets=options.offsets, rounds=options.rounds, threads=options.threads)
    if options.json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name}: {figure}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
