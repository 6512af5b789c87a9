# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Chooses an asynchronous strategy by what there is and by the measured delay, and says why.

The first row that holds is taken. The state cannot be rolled forward where the policy sees no joint
positions, or where there is no model of the drives: to take the last command for the state of a robot that
lags costs more than it gains, unless the policy was trained on that. So does guided inpainting against a
chunk that is entered at the row that is due (docs/bench_control_suite.md has the figures).

============================================================== =============================================
what holds                                                     strategy
============================================================== =============================================
the state cannot be rolled forward, the policy takes a prefix  `rtc_trained`
the state cannot be rolled forward                             `naive_async`, aligned
the delay is less than an action                               `naive_async`, aligned, as if there were none
the policy accepts the delay                                   `vlash_delay_conditioned`
none of these                                                  `vlash`
============================================================== =============================================

A delay that was less than an action counts as long from an action on; one that was not counts as short below
three quarters of one. While none is measured it counts as long.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from lowlat_nodes.control.strategies.naive import NaiveAsync
from lowlat_nodes.control.strategies.rtc import RtcTrained
from lowlat_nodes.control.strategies.strategy import Intent, Situation, Strategy, Trigger
from lowlat_nodes.control.strategies.vlash import DelayConditioned, Vlash

_SHORT_BELOW = 0.75  # actions
_POLICY: Mapping[str, str] = {
    "rtc_trained": "has learnt to continue the plan",
    "naive_async": "takes no plan to continue",
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What does not change in flight.

    Attributes:
        action_ns: Time between the rows of a chunk.
        accepts: What the policy accepts, of `control.policies.policy.CONDITIONS`.
        obstacle: Why the state cannot be rolled forward, as half a sentence; empty where it can.
    """

    action_ns: int
    accepts: frozenset[str]
    obstacle: str = ""


def choose(circumstances: Circumstances, *, short: bool) -> str:
    """Return the name of the strategy by the table above; `short`: the delay is less than an action."""
    accepts = circumstances.accepts
    if circumstances.obstacle and "prefix" in accepts:
        return "rtc_trained"
    if circumstances.obstacle or short:
        return "naive_async"
    return "vlash_delay_conditioned" if "delay" in accepts else "vlash"


class Auto:
    """The strategy that suits the circumstances and the delay.

    Args:
        trigger: When to launch.
        circumstances: What there is to choose by.
    """

    waits: ClassVar[bool] = False
    slots: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, trigger: Trigger, circumstances: Circumstances) -> None:
        self._circumstances = circumstances
        self._strategies: Mapping[str, Strategy] = {
            "naive_async": NaiveAsync(trigger, aligned=True),
            "rtc_trained": RtcTrained(trigger),
            "vlash": Vlash(trigger),
            "vlash_delay_conditioned": DelayConditioned(trigger),
        }
        self._delay_ns = 0
        self._short = False

    @property
    def name(self) -> str:
        """Return what is chosen at present."""
        return choose(self._circumstances, short=self._short)

    @property
    def reason(self) -> str:
        """Return what is chosen and why, as a sentence without its full stop."""
        known, name = self._circumstances, self.name
        if known.obstacle:
            return f"{name}: {known.obstacle}, and the policy {_POLICY[name]}"
        delay = f"the delay of {self._delay_ns * 1e-6:.0f} ms" if self._delay_ns else "a delay yet unknown"
        if self._short:
            return (
                f"{name}: {delay} is less than an action of {known.action_ns * 1e-6:g} ms, it counts as none"
            )
        told = ", which the policy is told" if name == "vlash_delay_conditioned" else ""
        return f"{name}: the model of the drives rolls the state forward over {delay}{told}"

    def decide(self, situation: Situation) -> Intent | None:
        """Do as the strategy that suits the delay."""
        self._delay_ns = situation.delay_ns
        least = 1.0 if self._short else _SHORT_BELOW
        self._short = 0 < situation.delay_ns < least * self._circumstances.action_ns
        return self._strategies[self.name].decide(situation)
