# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Exported policies that continue the plan, in a closed loop: what is shown to them, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")

from continuing_policy import ACTION_NS, write_continuing_policy

from lowlat_nodes.control.config import ControlConfig, build_loop
from lowlat_nodes.control.contract import Contract
from lowlat_nodes.control.loop import Launch
from lowlat_nodes.control.observer import Observer
from lowlat_nodes.control.policies.load import load_policy
from lowlat_nodes.control.policies.policy import Observation, infer
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.config import build, flatten
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

TICK_NS = 10_000_000
DELAY_TICKS = 6


@dataclass
class Record:
    """What happened.

    Attributes:
        launches: All that were answered.
        observations: What the policy saw in each.
        answers: Its actions, in its units.
        steps: How far the commands of a tick lie apart by the old plan and by the new chunk, at each swap.
    """

    launches: list[Launch] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    answers: list[Floats] = field(default_factory=list)
    steps: list[float] = field(default_factory=list)


def parameters(path: Path, strategy: str, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "tick_hz": 100.0,
        "policy.model": str(path),
        "observation.joints.names": ["a"],
        "execution.strategy": strategy,
        "execution.naive_aligned": True,
        **(changes or {}),
    }


def drive(values: dict[str, Any], ticks: int = 400) -> Record:
    """Play a policy on a robot that is where it is told to be; each inference takes six ticks."""
    config = build(ControlConfig, flatten(values))
    policy = load_policy(config.policy)
    contract = Contract(config.observation, config.command, policy.spec)
    observer = Observer(config.observation, contract)
    loop = build_loop(config, policy.spec)
    loop.start()
    record, asked, position = Record(), None, np.zeros(1)
    for now_ns in range(0, ticks * TICK_NS, TICK_NS):
        loop.observe(RobotState(now_ns, position, np.zeros(1)))
        if asked is not None and now_ns >= asked.launched_ns + DELAY_TICKS * TICK_NS:
            seen, _ = observer.observe(
                asked.state,
                request=asked.request,
                task="",
                launched_ns=asked.launched_ns,
                align=False,
                start_ns=asked.start_ns,
                decided=asked.decided,
                committed=asked.committed,
            )
            actions = infer(policy, seen)
            before = loop.outlook(now_ns, 1)
            assert loop.deliver(asked.request, contract.targets(actions), 0, now_ns).outcome is not None
            after = loop.outlook(now_ns, 1)
            if before is not None and after is not None:
                record.steps.append(float(np.abs(after.planned - before.planned).max()))
            record.launches.append(asked)
            record.observations.append(seen)
            record.answers.append(actions)
            asked = None
        tick = loop.tick(now_ns)
        assert tick is not None
        position = tick.position
        asked = asked or loop.launch(now_ns)
    return record


@pytest.mark.parametrize(
    ("action_kind", "changes"),
    [
        ("absolute", {}),
        ("delta", {}),
        (
            "absolute",
            {"observation.joints.unit": "deg", "command.action_std": [0.5], "command.action_mean": [1.0]},
        ),
        ("delta", {"observation.gripper.a.closed": 0.5, "observation.gripper.a.open": 0.1}),
        ("absolute", {"execution.launch": "just_in_time"}),
    ],
)
def test_a_learnt_prefix_is_what_will_be_executed_anyway(
    tmp_path: Path, action_kind: str, changes: dict[str, Any]
) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", "prefix", action_kind=action_kind)
    record = drive(parameters(path, "rtc_trained", changes))
    assert len(record.launches) > 10
    answered = zip(record.observations[2:], record.answers[2:], record.launches[2:], strict=True)
    for seen, answer, launch in answered:
        # Seven ticks, one of margin among them, begin four actions.
        assert launch.committed == 4
        assert seen.decided is not None
        assert answer[:4] == pytest.approx(seen.decided[:4], rel=1e-6, abs=1e-6)
        assert not np.allclose(answer[4 : len(seen.decided)], seen.decided[4:])
    assert max(record.steps[2:]) < 1e-5


@pytest.mark.parametrize("guidance", ["vjp", "identity"])
def test_guidance_brings_chunks_together(tmp_path: Path, guidance: str) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", "guidance")
    guided = drive(parameters(path, "rtc", {"policy.guidance": guidance}))
    free = drive(parameters(path, "naive_async"))
    assert len(guided.steps) > 20
    assert np.mean(guided.steps) < 0.5 * np.mean(free.steps)
    assert all(seen.decided is None for seen in free.observations)


def test_the_plan_shown_is_the_one_in_force_from_the_launch_on(tmp_path: Path) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", "prefix")
    record = drive(parameters(path, "rtc_trained"))
    launches, answers = record.launches, record.answers
    for before, launch, answer in zip(launches[2:], launches[3:], answers[2:], strict=False):
        assert launch.start_ns == launch.launched_ns
        rows = (launch.start_ns - before.start_ns) // ACTION_NS
        assert launch.start_ns - before.start_ns == rows * ACTION_NS
        assert launch.decided == pytest.approx(answer[rows:], abs=1e-9)


def test_the_delay_is_that_of_the_chunk(tmp_path: Path) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", "none", delay=True)
    record = drive(parameters(path, "vlash_delay_conditioned"))
    assert {seen.delay_rows for seen in record.observations[2:]} == {3.5}  # six ticks, and one of margin


@pytest.mark.parametrize(
    ("kind", "strategy", "changes", "words"),
    [
        ("prefix", "rtc", {}, "rtc needs a policy that accepts guidance; this one accepts prefix"),
        ("none", "rtc_trained", {}, "rtc_trained needs a policy that accepts prefix; .* nothing of the kind"),
        ("guidance", "vlash_delay_conditioned", {}, "accepts delay; this one accepts guidance"),
        ("prefix", "rtc_trained", {"execution.merge": 2}, r"execution\.merge: expected 1 with rtc_trained"),
    ],
)
def test_strategies_that_the_policy_does_not_accept_are_refused(
    tmp_path: Path, kind: str, strategy: str, changes: dict[str, Any], words: str
) -> None:
    path = write_continuing_policy(tmp_path / "p.onnx", kind)
    with pytest.raises(ConfigurationError, match=words):
        drive(parameters(path, strategy, changes))
