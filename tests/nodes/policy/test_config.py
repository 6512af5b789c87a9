# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the parameters of the policy node say beyond their own types."""

from __future__ import annotations

import dataclasses

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.nodes.policy.config import PolicyNodeConfig
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

PLAIN = PolicySpec(
    joints=("a",),
    state_fields=("position",),
    images={},
    takes_task=False,
    horizon=8,
    action_period_ns=20_000_000,
    delta=(False,),
)
STEPPED = dataclasses.replace(PLAIN, accepts=("steps",), steps=10)


def config(*steps: int) -> PolicyNodeConfig:
    return build(PolicyNodeConfig, {"cheaper_steps": list(steps), "observation.joints.names": ["a"]})


def test_steps_are_those_of_the_policy_and_the_cheaper_ones() -> None:
    assert config().steps(PLAIN) == (0,)
    assert config(5, 2).steps(STEPPED) == (0, 5, 2)


@pytest.mark.parametrize(
    ("steps", "spec"), [((5,), PLAIN), ((10,), STEPPED), ((5, 6), STEPPED), ((5, 5), STEPPED)]
)
def test_steps_that_are_not_cheaper_are_refused(steps: tuple[int, ...], spec: PolicySpec) -> None:
    with pytest.raises(ConfigurationError, match="cheaper_steps: expected ever fewer steps"):
        config(*steps).steps(spec)
