# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy whose number of steps is an input: the same chunks as the file that it was made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")

from lowlat_nodes import resources
from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import blank_observation, infer
from lowlat_nodes.inference.segments.sharing import Sharing
from lowlat_nodes.inference.torchscript import TorchModel
from lowlat_nodes.inference.turn import Unshared
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train import loading
from lowlat_nodes.train.steps import write_program

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")]


def test_it_makes_the_same_chunks_and_others_with_other_steps(tmp_path: Path) -> None:
    exported = loading.load_networks(resources.model("table_vlash"))
    write_program(exported, tmp_path / "table.pt")
    values = {"kind": "torch", "model": str(tmp_path / "table.pt")}
    policy, shipped = (
        load_policy(build(PolicyConfig, values)),
        load_policy(build(PolicyConfig, {"model": "table_vlash"})),
    )
    usual = exported.head.config.steps
    assert policy.spec.accepts == ("steps",)
    assert policy.spec.steps == usual

    seen = blank_observation(policy.spec, "touch the red light")
    chunk = infer(policy, seen)
    np.testing.assert_allclose(chunk, infer(shipped, seen), atol=1e-4)
    seen.steps = usual
    assert np.array_equal(infer(policy, seen), chunk)
    seen.steps = 1
    once = infer(policy, seen)
    assert not np.allclose(once, chunk, atol=1e-4)

    configured = load_policy(build(PolicyConfig, {**values, "steps": 1}))
    assert configured.spec.steps == 1
    seen.steps = 0
    np.testing.assert_allclose(infer(configured, seen), once, atol=1e-6)


def test_each_number_of_steps_is_a_graph_of_its_own(tmp_path: Path) -> None:
    """Here on a CPU, where graphs are none but told apart all the same."""
    write_program(loading.load_networks(resources.model("table_vlash")), tmp_path / "table.pt")
    plain, graphed = (TorchModel(tmp_path / "table.pt", graphs=graphs) for graphs in (False, True))
    random = np.random.default_rng(1)
    for steps in (2, 5, 2):
        feed = {
            name: random.integers(0, 9, item.shape).astype(item.dtype) for name, item in plain.inputs.items()
        }
        feed["steps"] = np.array([steps])
        assert np.array_equal(graphed.run(feed, ["actions"])[0], plain.run(feed, ["actions"])[0])
    assert graphed.graphs is not None
    assert len(graphed.graphs.buckets) == 2


def test_it_gives_way_after_each_step_and_makes_the_same_chunks(tmp_path: Path) -> None:
    class Counting(Unshared):
        gaps = 0

        def between(self) -> None:
            self.gaps += 1

    write_program(loading.load_networks(resources.model("table_vlash")), tmp_path / "table.pt")
    config = build(PolicyConfig, {"kind": "torch", "model": str(tmp_path / "table.pt")})
    turn = Counting()
    whole, stepped = load_policy(config), load_policy(config, sharing=Sharing(turn, 5.0))
    assert stepped.spec == whole.spec
    seen = blank_observation(whole.spec, "touch the red light")
    for steps in (1, 3, 7):
        turn.gaps, seen.request, seen.steps = 0, steps, steps
        np.testing.assert_array_equal(infer(stepped, seen), infer(whole, seen))
        assert turn.gaps == steps + 1


def test_steps_of_a_policy_that_has_its_own_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"policy\.steps: .* has no input 'steps'"):
        load_policy(build(PolicyConfig, {"steps": 3}))


def test_policies_that_are_told_more_are_refused(tmp_path: Path) -> None:
    exported = loading.load_networks(resources.model("table_vlash"))
    exported = type(exported)(**{**vars(exported), "variant": "prefix"})
    with pytest.raises(ConfigurationError, match="told image, state and task alone"):
        write_program(exported, tmp_path / "p.pt")
