# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Policies that give way between their segments, and those that cannot."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from lowlat_nodes.control.policies.load import PolicyConfig, load_policy
from lowlat_nodes.control.policies.policy import Observation, blank_observation
from lowlat_nodes.control.policies.remote import RemoteConfig
from lowlat_nodes.inference.segments.sharing import ALONE, Sharing
from lowlat_nodes.inference.turn import Turn, Unshared
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError


class Counting(Unshared):
    def __init__(self) -> None:
        self.gaps = 0

    def between(self) -> None:
        self.gaps += 1


def observations(policy: Any) -> Iterator[Observation]:
    for request in range(4):
        observation = blank_observation(policy.spec, "touch the light")
        observation.request = request
        observation.state[:] = np.random.default_rng(request).normal(size=len(observation.state))
        yield observation


@pytest.mark.parametrize("model", ["reach_flow", "table_prefix"])
def test_a_policy_in_parts_plans_the_same(model: str) -> None:
    turn = Counting()
    config = PolicyConfig(model=model)
    whole, parts = load_policy(config), load_policy(config, sharing=Sharing(turn, 0.35))
    assert parts.spec == whole.spec
    for observation in observations(whole):
        turn.gaps = 0
        np.testing.assert_array_equal(parts.infer(observation), whole.infer(observation))
    # On a machine where the whole takes less, it is not cut: then this says that nothing is.
    segmented = type(parts._model).__name__ == "SegmentedModel"  # type: ignore[attr-defined]
    assert bool(turn.gaps) is segmented


class Taught:
    """A policy with a `turn`, which some have."""

    turn: Turn


def test_a_policy_of_ones_own_that_has_a_turn_is_given_it(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("own_policies")
    taught, plain = Taught(), object()
    taught.turn = Unshared()
    module.taught = lambda _config: taught  # type: ignore[attr-defined]
    module.plain = lambda _config: plain  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_policies", module)
    turn = Counting()
    load_policy(PolicyConfig(kind="python", factory="own_policies:taught"), sharing=Sharing(turn, 5.0))
    assert taught.turn is turn
    config = PolicyConfig(kind="python", factory="own_policies:plain")
    assert load_policy(config, sharing=Sharing(turn)) is plain
    with pytest.raises(ConfigurationError, match=r"own_policies:plain with an attribute `turn`"):
        load_policy(config, sharing=Sharing(turn, 5.0))


def test_a_server_has_a_device_of_its_own() -> None:
    config = PolicyConfig(kind="remote", remote=RemoteConfig(address="ws://nowhere"))
    with pytest.raises(ConfigurationError, match=r"turn\.device: a policy server"):
        load_policy(config, sharing=Sharing(Counting()))


def test_a_checkpoint_runs_in_one_piece() -> None:
    values = {"kind": "lerobot", "lerobot.directory": "here", "lerobot.python": sys.executable}
    with pytest.raises(ConfigurationError, match="kind lerobot runs in one piece"):
        load_policy(build(PolicyConfig, values), sharing=Sharing(Counting(), 5.0))


def test_alone_nothing_changes() -> None:
    policy = load_policy(PolicyConfig(), sharing=ALONE)
    assert type(policy._model).__name__ == "OnnxModel"  # type: ignore[attr-defined]
