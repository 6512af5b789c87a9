# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `auto` chooses, when it changes its mind, and what it says about it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator, save_actuators
from lowlat_nodes.control.config import ControlConfig, build_loop
from lowlat_nodes.control.policies.policy import PolicySpec
from lowlat_nodes.control.strategies.auto import Auto, Circumstances
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.control.strategies.strategy import Intent, Situation, Strategy, Trigger
from lowlat_nodes.stream.config import build

MS = 1_000_000
ACTION_MS = 20
MODEL = {"roll_forward.kind": "actuator"}
BLIND = "the policy sees no joint positions"
SPEC = PolicySpec(("a",), ("position",), {}, False, 16, ACTION_MS * MS, (False,))


def circumstances(*accepts: str, obstacle: str = "") -> Circumstances:
    return Circumstances(ACTION_MS * MS, frozenset(accepts), obstacle)


def decide(strategy: Strategy, delay_ms: float) -> Intent | None:
    return strategy.decide(Situation(1000 * MS, 10 * MS, round(delay_ms * MS), 0))


@pytest.mark.parametrize(
    ("known", "delay_ms", "name", "words"),
    [
        (
            circumstances(),
            64,
            "vlash",
            "model of the drives rolls the state forward over the delay of 64 ms$",
        ),
        (circumstances("delay"), 64, "vlash_delay_conditioned", "64 ms, which the policy is told$"),
        (circumstances("delay", "prefix"), 10, "naive_async", "10 ms is less than an action of 20 ms"),
        (circumstances("prefix", "guidance"), 20, "vlash", "20 ms"),
        (circumstances("prefix", "guidance", obstacle=BLIND), 64, "rtc_trained", BLIND),
        (circumstances("guidance", "delay", obstacle=BLIND), 64, "naive_async", "takes no plan to continue"),
        (circumstances("delay", obstacle=BLIND), 64, "naive_async", "takes no plan to continue"),
    ],
)
def test_each_row_of_the_table(known: Circumstances, delay_ms: float, name: str, words: str) -> None:
    auto = make_strategy(
        "auto", launch="back_to_back", margin_ticks=1, naive_aligned=False, circumstances=known
    )
    assert isinstance(auto, Auto)
    chosen = make_strategy(name, launch="back_to_back", margin_ticks=1, naive_aligned=True)
    assert decide(auto, delay_ms) == decide(chosen, delay_ms)
    assert auto.name == name
    assert auto.reason.startswith(f"{name}: ")
    assert re.search(words, auto.reason)


def test_the_mind_is_changed_only_when_the_delay_has_clearly_changed() -> None:
    auto = Auto(Trigger(), circumstances())
    delays = [0, 64, 19, 15, 14, 15, 19, 20, 19, 15, 14, 0]
    names = []
    for delay_ms in delays:
        decide(auto, delay_ms)
        names.append(auto.name)
    far, near = "vlash", "naive_async"
    assert names == [far, far, far, far, near, near, near, far, far, far, near, far]


def test_before_anything_is_measured_it_says_so() -> None:
    auto = Auto(Trigger(), circumstances())
    assert auto.reason.startswith("vlash: the model of the drives rolls the state forward over a delay yet")
    assert decide(auto, 0) == Intent(None)


def test_it_never_refuses_and_always_thinks_ahead() -> None:
    assert (Auto.needs, Auto.waits, Auto.slots) == (frozenset(), False, 1)


@pytest.mark.parametrize(
    ("spec", "changes", "reason"),
    [
        ({}, {}, "naive_async: there is no model of the drives, which lowlat identify makes, and the policy"),
        ({"accepts": ("prefix",)}, {}, "rtc_trained: there is no model of the drives"),
        ({"accepts": ("prefix",)}, {"execution.merge": 2}, "naive_async: there is no model of the drives"),
        ({}, MODEL, "vlash: the model of the drives"),
        ({"accepts": ("delay",)}, MODEL, "vlash_delay_conditioned: "),
        ({"state_fields": ("velocity",)}, MODEL, "naive_async: the policy sees no joint positions that"),
        ({"state_fields": ("velocity",), "accepts": ("prefix",)}, MODEL, "rtc_trained: the policy sees no"),
        ({}, {"observation.align": "image"}, "naive_async: observation.align shows the state of the past"),
    ],
)
def test_circumstances_come_from_the_policy_and_the_parameters(
    spec: dict[str, Any], changes: dict[str, Any], reason: str, tmp_path: Path
) -> None:
    if changes is MODEL:
        save_actuators(tmp_path / "drives.yaml", ActuatorModel({"a": JointActuator(lag_ms=50.0)}))
        changes = {**MODEL, "roll_forward.model_file": str(tmp_path / "drives.yaml")}
    values = {"observation.joints.names": ["a"], "execution.strategy": "auto", **changes}
    loop = build_loop(build(ControlConfig, values), dataclasses.replace(SPEC, **spec))
    assert isinstance(loop.strategy, Auto)
    assert loop.strategy.reason.startswith(reason)


def test_without_circumstances_there_is_nothing_to_choose_by() -> None:
    with pytest.raises(ValueError, match="expected the circumstances"):
        make_strategy("auto", launch="back_to_back", margin_ticks=1, naive_aligned=False)
