# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies of this package: the same chunks wrapped as bare, and nothing in them waits for a GPU."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from lowlat_nodes.benchmarks._pi0_shape import SIZES, Pi0Shape
from lowlat_nodes.inference.tokens import TOKENS
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.graphed.inspection import waits
from lowlat_nodes.kernels.graphed.policy import GraphedPolicy, by_name
from lowlat_nodes.train.flow import Encoder, FlowConfig, Head, Sight
from lowlat_nodes.train.transformer import TransformerConfig, TransformerPolicy

pytestmark = pytest.mark.torch

Policy = Callable[[Mapping[str, Any]], Any]
Inputs = dict[str, np.ndarray]


def robot(seed: int) -> Inputs:
    """Return what a policy of `train` takes of a robot with three joints."""
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (1, 120, 160, 3), np.uint8),
        "state": random.standard_normal((1, 6), np.float32),
        "tokens": random.integers(0, 9, (1, TOKENS)),
        "noise": random.standard_normal((1, 32, 3), np.float32),
    }


def flow() -> Policy:
    config = FlowConfig(width=32, blocks=1)
    sight, head = Sight(Encoder(config)).eval(), Head(config).eval()

    def run(inputs: Mapping[str, Any]) -> Any:
        return head.sample(inputs["noise"], sight(inputs["image"], inputs["tokens"]), inputs["state"])

    return run


def transformer() -> Policy:
    config = TransformerConfig(patch_px=10, width=32, expert_width=16, depth=2)
    return by_name(TransformerPolicy(config).eval())


PI0 = replace(SIZES["tiny"], vision_depth=1, depth=2, steps=3)


def pi0() -> Policy:
    return Pi0Shape(PI0)


def pi0_inputs(seed: int) -> Inputs:
    made = Pi0Shape(PI0).example_inputs(1, "cpu", seed)
    return {name: tensor.numpy() for name, tensor in made.items()}


EACH = pytest.mark.parametrize(
    ("make", "example"),
    [(flow, robot), (transformer, robot), (pi0, pi0_inputs)],
    ids=["flow", "transformer", "pi0"],
)


@EACH
def test_chunks_are_the_same(make: Callable[[], Policy], example: Callable[[int], Inputs]) -> None:
    torch.manual_seed(1)
    bare = make()
    policy = GraphedPolicy(bare, device="cpu")
    chunks = []
    for seed in (1, 2, 1):
        inputs = example(seed)
        with torch.inference_mode():
            expected = bare({name: torch.from_numpy(array) for name, array in inputs.items()})
        chunks.append(policy(inputs))
        assert torch.equal(chunks[-1], expected)
        assert chunks[-1].isfinite().all()
    assert torch.equal(chunks[0], chunks[2])
    assert not torch.equal(chunks[0], chunks[1])
    with pytest.raises(BadArgument, match="noise: expected float32, got float64"):
        policy(inputs | {"noise": inputs["noise"].astype(np.float64)})


@EACH
def test_nothing_waits_for_the_device(make: Callable[[], Policy], example: Callable[[int], Inputs]) -> None:
    """As a graph needs it; the device is the CPU, then one that has no numbers, and none of the host's."""
    inputs = {name: torch.from_numpy(array) for name, array in example(3).items()}
    bare = make()
    assert waits(lambda: bare(inputs), "cpu") == ()
    with torch.device("meta"):
        elsewhere = make()
    moved = {name: tensor.to("meta") for name, tensor in inputs.items()}
    assert waits(lambda: elsewhere(moved), "meta") == ()
