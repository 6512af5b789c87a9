# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""When to ask the policy, and for which instant: one small class per asynchronous strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

STRATEGIES = ("sync", "naive_async", "vlash")
LAUNCHES = ("back_to_back", "just_in_time")


@dataclass(frozen=True, slots=True)
class Situation:
    """What a strategy may know at a tick.

    Attributes:
        now_ns: The present tick.
        tick_ns: Time between ticks.
        delay_ns: Estimated inference delay; 0 while nothing was measured.
        remaining_ns: How long the plan lasts from the next tick on; 0 when it has run out.
    """

    now_ns: int
    tick_ns: int
    delay_ns: int
    remaining_ns: int


@dataclass(frozen=True, slots=True)
class Intent:
    """An inference to launch now.

    Attributes:
        start_ns: When row 0 of the answer is due; None means at the tick after it arrives.
        project: Whether the policy gets the state projected to `start_ns` instead of the measured one.
        aligned: Whether `start_ns` lies before the arrival by intention.
    """

    start_ns: int | None
    project: bool = False
    aligned: bool = False


class Strategy(Protocol):
    """Decides at a tick, while no inference is in flight, whether to launch one.

    Attributes:
        waits: Whether the robot stands by design while the policy thinks, which no miss policy should answer.
    """

    waits: ClassVar[bool]

    def decide(self, situation: Situation) -> Intent | None:
        """Return the inference to launch now, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Sync:
    """Think, then act: ask when the plan has run out, and hold meanwhile (VLASH's baseline, 2512.01031)."""

    waits: ClassVar[bool] = True

    def decide(self, situation: Situation) -> Intent | None:
        """Launch once nothing is left to execute."""
        return Intent(None) if situation.remaining_ns <= 0 else None


@dataclass(frozen=True, slots=True)
class Trigger:
    """The launch rule that the asynchronous strategies share.

    Attributes:
        back_to_back: Launch as soon as the last answer is in. Otherwise just in time: when the plan will last
            no longer than the estimated delay and the margin.
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
        return self.back_to_back or situation.remaining_ns <= self.lead_ns(situation)


@dataclass(frozen=True, slots=True)
class NaiveAsync:
    """Think while acting, as if no time passed.

    The chunk is planned from the state at launch and executed after the delay: what VLASH (2512.01031,
    section 3) calls prediction-execution misalignment. Its two published forms differ in the row that comes
    first: row 0 on arrival (that paper's definition), or the row that belongs to the present (`aligned`, the
    baseline in the code of real-time chunking, 2506.07339).
    """

    waits: ClassVar[bool] = False
    trigger: Trigger = Trigger()
    aligned: bool = False

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due, with the state as measured."""
        if not self.trigger.due(situation):
            return None
        return Intent(situation.now_ns, aligned=True) if self.aligned else Intent(None)


@dataclass(frozen=True, slots=True)
class Vlash:
    """Think while acting, for the instant at which the answer will be used (VLASH, 2512.01031).

    The state is rolled forward over the actions that are already decided to `now + delay`, and the chunk
    takes over exactly then. The authors' code takes the last action of the running chunk for that state, and
    swaps at the chunk's border only; here the roll-forward is exchangeable, and projection and swap are one
    number.
    """

    waits: ClassVar[bool] = False
    trigger: Trigger = Trigger()

    def decide(self, situation: Situation) -> Intent | None:
        """Launch when due, for the tick at which the answer is expected."""
        if not self.trigger.due(situation):
            return None
        if situation.delay_ns == 0:  # nothing to plan with yet: the robot stands, so any instant will do
            return Intent(None)
        return Intent(situation.now_ns + self.trigger.lead_ns(situation), project=True)


def make_strategy(name: str, *, launch: str, margin_ticks: int, naive_aligned: bool) -> Strategy:
    """Return a strategy by its parameter names.

    Raises:
        ValueError: If the name or the launch rule is unknown.
    """
    if launch not in LAUNCHES:
        raise ValueError(f"expected one of {LAUNCHES}, got {launch!r}")
    trigger = Trigger(launch == "back_to_back", margin_ticks)
    if name == "sync":
        return Sync()
    if name == "naive_async":
        return NaiveAsync(trigger, naive_aligned)
    if name == "vlash":
        return Vlash(trigger)
    raise ValueError(f"expected one of {STRATEGIES}, got {name!r}")
