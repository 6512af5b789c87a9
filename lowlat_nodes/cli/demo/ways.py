# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The ways to run the policy that can be compared: strategies, and presets where more than that differs."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from lowlat_nodes import resources
from lowlat_nodes.control.strategies.make import STRATEGIES

COMPARED = ("sync", "naive_async", "vlash")
"""What a demo compares unless told otherwise."""

_DRIVES = {
    "roll_forward.kind": "actuator",
    "roll_forward.model_file": str(resources.path("config", "sim_arm_actuators.yaml")),
}

PRESETS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "vlash_once_per_chunk": {"execution.strategy": "vlash", "execution.launch": "just_in_time"},
        "vlash_sum_deltas": {"execution.strategy": "vlash", "roll_forward.kind": "sum_deltas"},
        "vlash_actuator": {"execution.strategy": "vlash", **_DRIVES},
        "ours": {
            "execution.strategy": "vlash_delay_conditioned",
            "policy.model": "table_delay",
            "corrector.model": "table_corrector_delay",
            **_DRIVES,
        },
    }
)
"""Parameters of the policy node, by the name of a preset."""

_NEEDED: Mapping[str, Mapping[str, Any]] = MappingProxyType({"pipelined": {"policy.workers": 2}})
"""Parameters that a strategy is nothing without."""

NAMES = (*STRATEGIES, *PRESETS)

_MEANINGS = {
    "sync": "plays a whole chunk, then stands still while the next one is thought up",
    "naive_async": "thinks while it moves, as if no time passed meanwhile",
    "temporal_ensemble": "averages all that was planned for an instant",
    "rtc": "thinks while it moves, and draws each chunk to the plan that is under way",
    "rtc_trained": "thinks while it moves, with a policy that learnt to continue the plan that is under way",
    "vlash": "thinks while it moves, for the state that the arm will be in when the answer comes",
    "vlash_delay_conditioned": "as vlash, with a policy that is told how old its image will be",
    "a2c2": "thinks while it moves, and corrects every command by the newest image",
    "pipelined": "as vlash, with the next thought begun before the last one is through",
    "auto": "chooses one of the others by the delay and by what the policy can do",
    "vlash_once_per_chunk": "as vlash, but asks once per chunk, just before it runs out",
    "vlash_actuator": "as vlash, with the arm taken to follow its commands as its identified drives do",
    "ours": "as vlash_actuator, with a policy that knows the delay, and a corrector that sees every image",
    "vlash_sum_deltas": "as vlash, with the arm taken to lag behind its commands as much as it does now",
}
_COLOURS = {"sync": "#66727e", "naive_async": "#b0740a", "vlash": "#0b7a75", "ours": "#7a4fa3"}
_FURTHER_COLOURS = ("#2f6db3", "#b2436e", "#5a7a1f", "#8a5a3c", "#3f7f9c", "#96751d", "#6a6fae")


def parameters(name: str) -> Mapping[str, Any]:
    """Return the parameters of the policy node that make a way, by dotted name."""
    return PRESETS.get(name, {"execution.strategy": name, **_NEEDED.get(name, {})})


def meaning(name: str) -> str:
    """Return what a way does, in a few words for people."""
    if name in _MEANINGS:
        return _MEANINGS[name]
    return ", ".join(f"{key} {value}" for key, value in parameters(name).items())


def colour(name: str) -> str:
    """Return the colour of a way in figures and tables."""
    if name in _COLOURS:
        return _COLOURS[name]
    others = [other for other in NAMES if other not in _COLOURS]
    return _FURTHER_COLOURS[others.index(name) % len(_FURTHER_COLOURS)]
