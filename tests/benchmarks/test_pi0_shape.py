# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policy with the shapes of pi0 has its sizes and its flow of information."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lowlat_nodes.kernels import flow

torch = pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_torch_thread")]

from lowlat_nodes.benchmarks._pi0_shape import SIZES, Pi0Shape  # noqa: E402 - it needs torch

if TYPE_CHECKING:
    from torch import Tensor

SHORT = replace(SIZES["tiny"], cameras=1, vision_depth=1, depth=2, horizon=5, steps=3)
VARIANTS = pytest.mark.parametrize("ada_rms", [True, False])


def _millions(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) * 1e-6


def test_the_full_size_has_the_parameters_of_pi0_and_runs_in_static_shapes() -> None:
    with torch.device("meta"):  # there are no numbers, so nothing can wait for one
        policy = Pi0Shape(replace(SIZES["full"], ada_rms=False, steps=2))
        assert policy(policy.example_inputs(2, "meta")).shape == (2, 50, 32)
    assert policy.config.prefix == 3 * 256 + 48
    assert _millions(policy.see) == pytest.approx(412.4 + 2.4, abs=0.5)  # SigLIP So400m, and to Gemma's width
    assert _millions(policy.observe) == pytest.approx(
        2506.2 - 257_152 * 2048e-6, abs=2.5
    )  # Gemma 2B's layers
    assert _millions(policy.act) == pytest.approx(311.0, abs=1.0)  # the paper: 300 M


def test_the_smallest_is_for_tests_on_a_cpu() -> None:
    assert _millions(Pi0Shape(SIZES["tiny"])) < 2.0


@VARIANTS
def test_actions_depend_on_every_input_and_on_no_other_sequence(ada_rms: bool) -> None:
    policy = Pi0Shape(replace(SHORT, ada_rms=ada_rms))
    inputs, others = policy.example_inputs(3, seed=1), policy.example_inputs(3, seed=2)
    actions = policy(inputs)
    assert actions.shape == inputs["noise"].shape
    assert actions.dtype == torch.float32
    for name, other in others.items():
        changed = inputs | {name: torch.cat([inputs[name][:1], other[1:2], inputs[name][2:]])}
        apart = (policy(changed) - actions).abs().amax(dim=(1, 2))
        assert apart[1] > 1e-3, name
        assert apart[[0, 2]].max() < 1e-5, name


def test_tokens_may_stand_for_images_and_words() -> None:
    policy = Pi0Shape(SHORT)
    inputs = policy.example_inputs(2)
    seen = torch.cat([policy.see(inputs["images"]), policy.embed(inputs["words"])], dim=1)
    rest = {name: inputs[name] for name in ("state", "noise")}
    assert torch.equal(policy({"tokens": seen} | rest), policy(inputs))


@VARIANTS
def test_the_state_of_pi0_sees_no_action_and_the_observation_nothing_of_the_expert(ada_rms: bool) -> None:
    policy = Pi0Shape(replace(SHORT, ada_rms=ada_rms))
    prefix = policy.config.prefix
    found: list[list[Tensor]] = []
    for seed in (1, 2):
        inputs = policy.example_inputs(seed=3)
        cache = policy.prefix(inputs)
        before = [part[:, :, :prefix].clone() for layer in cache for part in layer]
        x = policy.example_inputs(seed=seed)["noise"]
        assert policy.denoise_step(x, 0, cache, inputs["state"]).shape == x.shape
        found.append([part for layer in cache for part in layer])
        for part, unchanged in zip(found[-1], before, strict=True):
            assert torch.equal(part[:, :, :prefix], unchanged)
    for index, (one, other) in enumerate(zip(*found, strict=True)):
        apart = (one - other)[:, :, prefix:].abs().amax(dim=(0, 1, 3))
        sees_actions = ada_rms and index > 1  # from the second layer on, as keys and values are in turns
        assert apart[0] > 1e-4 if sees_actions else apart[0] < 1e-5
        assert apart[1:].min() > 1e-3


def test_later_tokens_of_the_cache_are_written_before_they_are_read() -> None:
    policy = Pi0Shape(SHORT)
    inputs = policy.example_inputs(2)
    cache = policy.prefix(inputs)
    for layer in cache:
        for part in layer:
            part[:, :, policy.config.prefix :] = torch.nan
    assert policy.denoise_step(inputs["noise"], 1, cache, inputs["state"]).isfinite().all()


def test_fused_means_the_operations_of_the_registry() -> None:
    fused, eager = Pi0Shape(SHORT, fused=True), Pi0Shape(SHORT)
    assert fused.operations == (flow.euler, flow.ada_rms, flow.rotary, flow.silu_gate)
    eager.load_state_dict(fused.state_dict())
    inputs = fused.example_inputs()
    torch.testing.assert_close(fused(inputs), eager(inputs))


@VARIANTS
def test_what_the_flow_time_does_may_be_computed_once(ada_rms: bool) -> None:
    policy = Pi0Shape(replace(SHORT, ada_rms=ada_rms))
    inputs = policy.example_inputs(2)
    expected = policy(inputs)
    policy.precompute()
    torch.testing.assert_close(policy(inputs), expected)
    for parameter in policy.parameters():
        parameter.mul_(1.1)
    policy.precompute()
    fresh = Pi0Shape(policy.config)
    fresh.load_state_dict(policy.state_dict())
    torch.testing.assert_close(policy(inputs), fresh(inputs))
    assert (fresh(inputs) - expected).abs().max() > 1e-3


@VARIANTS
def test_half_precision_is_close_and_leaves_places_and_times_alone(ada_rms: bool) -> None:
    policy = Pi0Shape(replace(SHORT, ada_rms=ada_rms))
    inputs = policy.example_inputs(2)
    expected = policy(inputs)
    tables = [table.clone() for table in policy.buffers() if not table.is_floating_point()]
    assert len(tables) == 2
    actions = policy.to(torch.bfloat16)(inputs)
    assert actions.dtype == torch.float32
    torch.testing.assert_close(actions, expected, rtol=0.0, atol=0.05)
    left = [table for table in policy.buffers() if not table.is_floating_point()]
    for table, before in zip(left, tables, strict=True):
        assert torch.equal(table, before)


@pytest.mark.parametrize("changes", [{"image_px": 30}, {"heads": 3, "kv_heads": 2}, {"head": 31}])
def test_sizes_that_do_not_divide_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"expected whole groups|are not whole patches"):
        replace(SIZES["tiny"], **changes)
