# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What every strategy is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol


@dataclass(frozen=True, slots=True)
class Situation:
    """What a strategy may know at a tick.

    Attributes:
        now_ns: The present tick.
        tick_ns: Time between ticks.
        delay_ns: Estimated inference delay; 0 while nothing was measured.
        remaining_ns: How long the plan lasts from the next tick on; 0 when it has run out.
        in_flight: How many inferences are under way.
        since_launch_ns: Time since the last launch; 0 before the first.
        changed: Whether the scene changed abruptly since the last launch.
    """

    now_ns: int
    tick_ns: int
    delay_ns: int
    remaining_ns: int
    in_flight: int = 0
    since_launch_ns: int = 0
    changed: bool = False


@dataclass(frozen=True, slots=True)
class Intent:
    """An inference to launch now.

    Attributes:
        start_ns: When row 0 of the answer is due; None means at the tick after it arrives.
        project: Whether the policy gets the state projected to `start_ns` instead of the measured one.
        aligned: Whether `start_ns` lies before the arrival by intention.
        committed_until_ns: Until when the present plan will be executed whatever the answer is, for a policy
            that continues it; None where the policy is not told about the plan.
    """

    start_ns: int | None
    project: bool = False
    aligned: bool = False
    committed_until_ns: int | None = None


class Strategy(Protocol):
    """Decides at a tick whether to launch an inference.

    Attributes:
        waits: Whether the robot stands by design while the policy thinks, which no miss policy should answer.
        needs: What the policy must accept for it, of `control.policies.policy.CONDITIONS`.
    """

    waits: ClassVar[bool]
    needs: ClassVar[frozenset[str]]

    @property
    def slots(self) -> int:
        """Return how many inferences it may have under way."""
        ...

    def decide(self, situation: Situation) -> Intent | None:
        """Return the inference to launch now, or None; called while a slot is free."""
        ...


@dataclass(frozen=True, slots=True)
class Trigger:
    """The launch rule that the asynchronous strategies share.

    Attributes:
        back_to_back: Launch as soon as the last answer is in. Otherwise just in time: when the plan will last
            no longer than the estimated delay and the margin, or the scene changed abruptly.
        margin_ticks: Ticks of slack on the estimated delay.
    """

    back_to_back: bool = True
    margin_ticks: int = 1

    def lead_ns(self, situation: Situation) -> int:
        """Return the estimated delay in whole ticks, with the margin."""
        ticks = -(-situation.delay_ns // situation.tick_ns) + self.margin_ticks
        return ticks * situation.tick_ns

    def due(self, situation: Situation) -> bool:
        """Return whether to launch at this tick."""
        return self.back_to_back or situation.changed or situation.remaining_ns <= self.lead_ns(situation)
