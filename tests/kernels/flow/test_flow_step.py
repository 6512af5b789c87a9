# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy with our kernels says what it says without them."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.triton]

from lowlat_nodes.benchmarks._pi0_shape import EAGER, FUSED, SIZES, Operations, Pi0Shape  # noqa: E402
from lowlat_nodes.kernels import flow  # noqa: E402
from lowlat_nodes.train.rollouts import IMAGE_SHRINK  # noqa: E402
from lowlat_nodes.train.transformer import TransformerConfig, TransformerPolicy  # noqa: E402


@pytest.mark.parametrize("ada_rms", [True, False])
def test_our_kernels_make_the_same_actions(ada_rms: bool, device: str) -> None:
    torch.manual_seed(0)
    policy = Pi0Shape(
        replace(SIZES["tiny"], cameras=1, words=1, heads=2, depth=2, horizon=2, steps=2, ada_rms=ada_rms)
    )
    inputs = policy.example_inputs(2, device)
    assert policy.operations is EAGER
    expected = policy(inputs)
    policy.operations = Operations(*(op.on("cuda") for op in FUSED))
    torch.testing.assert_close(policy(inputs), expected, rtol=0.0, atol=1e-5)


def test_the_operations_compute_what_our_own_policy_has_written_out(device: str) -> None:
    """It is trained with gradients, and exported to where there are only ONNX's operators."""
    torch.manual_seed(0)
    sizes = {"image_size_px": (12, 16), "width": 24, "expert_width": 10, "heads": 3, "depth": 2}
    net = TransformerPolicy(TransformerConfig(**sizes)).requires_grad_(requires_grad=False)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    joints, steps = net.config.joints, net.config.steps
    image, tokens = torch.rand(2, 3, 12, 16) * 255.0, torch.randint(0, 100, (2, 12))
    states, x = torch.randn(2, 1, 2 * joints), torch.randn(2, 1, net.config.horizon, joints)
    full_size = (
        image.permute(0, 2, 3, 1).repeat_interleave(IMAGE_SHRINK, 1).repeat_interleave(IMAGE_SHRINK, 2)
    )
    expected = net(full_size, states[:, 0], tokens, x[:, 0])

    memory = net.perceive(image, tokens)
    for step in range(steps):
        clean = net.denoise(x, torch.full((2, 1), step / steps), memory, states)
        flow.euler(x, clean, 1.0 / (steps - step), clean=True, out=x)
    torch.testing.assert_close((x * net.action_scale + states[..., None, :joints]).squeeze(1), expected)

    token, condition = torch.randn(2, 1, 5, 10), torch.randn(2, 1, 10)
    expected, gate = net.norm(token, condition.unsqueeze(2))
    scale, shift, own_gate = net.norm.modulate(condition).chunk(3, dim=-1)
    torch.testing.assert_close(flow.ada_rms(token, scale, shift)[1], expected)
    torch.testing.assert_close(
        flow.ada_rms(token, scale, residual=expected, gate=own_gate)[0], token + gate * expected
    )
