# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy with our kernels says what it says without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

from lowlat_nodes.benchmarks._pi0_shape import EAGER, FUSED, SIZES, Operations, Pi0Shape  # noqa: E402


@pytest.mark.parametrize("ada_rms", [True, False])
def test_our_kernels_make_the_same_actions(ada_rms: bool) -> None:
    torch.manual_seed(0)
    policy = Pi0Shape(
        replace(SIZES["tiny"], cameras=1, vision_depth=1, depth=2, horizon=5, steps=3, ada_rms=ada_rms)
    )
    inputs = policy.example_inputs(2)
    assert policy.operations is EAGER
    expected = policy(inputs)
    policy.operations = Operations(*(op.on("cuda") for op in FUSED))
    torch.testing.assert_close(policy(inputs), expected, rtol=0.0, atol=1e-5)
