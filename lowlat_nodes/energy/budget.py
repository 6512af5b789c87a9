# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Holds a node to a budget of watts, and of joules per result: what it is to do, judged once a second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from lowlat_nodes.energy.headline import Headline
from lowlat_nodes.energy.model_choice import ModelChoice
from lowlat_nodes.energy.rate_control import BELIEVED, MeanCost, RateControl
from lowlat_nodes.energy.settings import BudgetSettings
from lowlat_nodes.stream.meter import Kind

LEAST_HZ = 0.1
"""A lower rate would give no figures to judge by: the floor of whoever needs none."""

_KEEP_S = 30.0  # the last order, without figures
_SETTLE_S = 3.0  # figures after a switch are not yet of the new model
_FRESH_S = 4.0  # of figures of a new model, before they count
_REGRESSION_S = 120.0  # after a switch, a regression still knows the former model
_KEPT = 1.1  # of the budget: figures of a second tell no better
_DOOMED_S = 5.0  # a breach that nothing is left against lasts this long before it is an error
_LONGEST_WINDOW_S = 5.0


class Level(IntEnum):
    """How a budget is kept; the levels of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Leeway:
    """What a node can do to use less.

    Attributes:
        floor_hz: The lowest rate at which it still does what it is there for; infinite for a node that does
            not choose its rate.
        models: How many models it can switch between, the dearest first.
    """

    floor_hz: float = math.inf
    models: int = 1


@dataclass(frozen=True, slots=True)
class Order:
    """What a node is to do.

    Attributes:
        max_hz: Most results a second; infinite for as many as come.
        model: Which of its models is to run, 0 for the dearest.
        level: OK while the budget is kept; WARN on a breach, and where figures lack; ERROR where nothing that
            the node may do is enough.
        summary: The same in words, with figures; empty without a budget.
    """

    max_hz: float = math.inf
    model: int = 0
    level: Level = Level.OK
    summary: str = ""


class Budget:
    """Judges what a node uses, and says what it is to do about it.

    ============================ ======================================================================
    finding                      order
    ============================ ======================================================================
    power above the budget       a lower rate, found by `RateControl`
    the same, at the floor       the next cheaper model
    a result above the budget    the next cheaper model; a lower rate would not make a result cheaper
    nothing left to do           ERROR: by how much the budget is exceeded
    room for `hold_s`            the dearer model again, a higher rate, none at all
    figures lack                 the last order for 30 s; then none, and a WARN as long as it lasts
    ============================ ======================================================================

    Of these `respond` leaves out what the user does not want, and the leeway what the node cannot. The rate
    never falls below the floor of either. A budget counts as kept within 10 %: figures of a second tell no
    better.

    Args:
        settings: What the user wants.

    Attributes:
        settings: May be replaced at any time.
    """

    def __init__(self, settings: BudgetSettings) -> None:
        self.settings = settings
        self._leeway = Leeway()
        self._mean = MeanCost()
        self._joules = math.nan  # what a result costs, as far as is known
        self._rate = RateControl()
        self._choice = ModelChoice()
        self._judged_ns: int | None = None
        self._known_ns: int | None = None
        self._switched_ns: int | None = None
        self._settling = False
        self._doomed_s = 0.0

    def judge(self, use: Headline, leeway: Leeway, now_ns: int) -> Order:
        """Return what to do from now on; to be called about once a second.

        Args:
            use: What the node used in the last window.
            leeway: What it can do.
            now_ns: Steady time.
        """
        settings, self._leeway = self.settings, leeway
        elapsed_s = 1.0 if self._judged_ns is None else (now_ns - self._judged_ns) * 1e-9
        elapsed_s = min(max(elapsed_s, 0.0), _LONGEST_WINDOW_S)
        self._judged_ns = now_ns
        if not settings.w and not settings.j_per_result:
            self._release()
            return Order()
        if not self._slows:
            self._rate.release()
        self._rate.limit_hz = max(self._rate.limit_hz, self._floor_hz)  # which may have risen
        if self._choice.index >= self._models:
            self._choice.dearest()
        if not (0.0 <= use.watts < math.inf and 0.0 <= use.rate_hz < math.inf):
            return self._unknown(use, now_ns)
        self._known_ns = now_ns
        if self._switched_ns is None or now_ns - self._switched_ns > _SETTLE_S * 1e9:
            self._mean.take(use.watts, use.rate_hz, elapsed_s)
            self._respond(use, now_ns, elapsed_s)
        return self._order(elapsed_s, _doubts(use))

    def _unknown(self, use: Headline, now_ns: int) -> Order:
        if self._known_ns is None or now_ns - self._known_ns > _KEEP_S * 1e9:
            self._release()
            return self._say(self._warning, f"no budget is kept: {use.why}")
        return self._say(self._warning, f"no figures, the last order stands: {use.why}")

    def _release(self) -> None:
        self._mean, self._joules = MeanCost(), math.nan
        self._rate.release()
        self._choice.dearest()
        self._settling, self._doomed_s = False, 0.0

    @property
    def _slows(self) -> bool:
        """Whether the rate may be lowered."""
        settings = self.settings
        return settings.w > 0.0 and "rate" in settings.respond and math.isfinite(self._leeway.floor_hz)

    @property
    def _models(self) -> int:
        """How many models may be chosen from."""
        return self._leeway.models if "model" in self.settings.respond else 1

    @property
    def _floor_hz(self) -> float:
        return max(self.settings.floor_hz, self._leeway.floor_hz, LEAST_HZ)

    def _respond(self, use: Headline, now_ns: int, elapsed_s: float) -> None:
        settings, mean, floor_hz = self.settings, self._mean, self._floor_hz
        known = _by_regression(use)
        joules, error_j = (use.joules_per_result, use.error_j) if known else (math.nan, math.nan)
        wanted_hz = mean.rate_at(settings.w or math.inf, joules, error_j)
        recent = self._switched_ns is not None and now_ns - self._switched_ns < _REGRESSION_S * 1e9
        self._joules = joules if known and not recent else mean.joules
        if self._settling:
            if mean.age_s < _FRESH_S:
                return
            self._settling = False
            self._choice.learn(mean.joules)
            if self._slows:
                self._rate.start_at(max(floor_hz, wanted_hz))
        if self._slows:
            self._rate.step(settings.w, mean, wanted_hz, elapsed_s, hold_s=settings.hold_s, floor_hz=floor_hz)
        if use.rate_hz >= 0.5 * mean.rate_hz:  # where input goes away, what runs on is no result's cost
            self._choose(now_ns, elapsed_s)

    def _choose(self, now_ns: int, elapsed_s: float) -> None:
        """Change the model where that is called for."""
        settings, choice, joules = self.settings, self._choice, self._mean.joules
        before = choice.index
        choice.step(joules, self._load(), elapsed_s, hold_s=settings.hold_s, models=self._models)
        if choice.index == before:
            return
        if choice.index < before and self._slows:
            self._rate.start_at(max(self._floor_hz, settings.w / choice.expected_j))
        self._switched_ns = now_ns
        self._settling = True
        self._mean, self._joules = MeanCost(), math.nan

    def _load(self) -> float:
        """Return what a result costs as a multiple of what it may, for both budgets to be kept."""
        settings, mean = self.settings, self._mean
        load = self._joules / settings.j_per_result if settings.j_per_result else 0.0
        if not settings.w:
            return load
        if not self._slows:
            return max(load, mean.watts / settings.w)
        if self._choice.index or self._at_floor:
            return max(load, mean.joules * self._floor_hz / settings.w)
        return load  # while the rate can still fall, no model is too dear for the power

    @property
    def _at_floor(self) -> bool:
        return self._slows and self._rate.limit_hz <= 1.02 * self._floor_hz

    def _order(self, elapsed_s: float, note: str) -> Order:
        settings, mean = self.settings, self._mean
        used, excess = [], 0.0
        for value, allowed, unit in (
            (mean.watts, settings.w, "W"),
            (self._joules, settings.j_per_result, "J a result"),
        ):
            if allowed and not math.isnan(value):
                used.append(f"{value:.3g} of {allowed:.3g} {unit}")
                excess = max(excess, value / allowed)
        figures = ", ".join(used) + note
        if not used:
            return self._say(Level.OK, f"figures of the other model to come{note}")
        if excess <= _KEPT:
            self._doomed_s = 0.0
            return self._say(Level.OK, figures)
        self._doomed_s = self._doomed_s + elapsed_s if self._exhausted else 0.0
        if self._doomed_s <= _DOOMED_S:
            return self._say(self._warning, figures)
        figures += f", {excess * 100 - 100:.0f} % too much"
        if self._at_floor:
            figures += f" at the floor of {self._floor_hz:.3g} Hz"
        return self._say(Level.ERROR, f"the budget cannot be met: {figures}")

    @property
    def _warning(self) -> Level:
        return Level.WARN if "warn" in self.settings.respond else Level.OK

    @property
    def _exhausted(self) -> bool:
        """Whether the node may do something, and nothing is left of that."""
        may_act = self._slows or self._models > 1
        return may_act and not (self._slows and not self._at_floor) and self._choice.index + 1 >= self._models

    def _say(self, level: Level, figures: str) -> Order:
        """Return the order that stands, in words too."""
        limit_hz, model = self._rate.limit_hz, self._choice.index
        held = [f"at most {limit_hz:.3g} Hz"] if math.isfinite(limit_hz) else []
        held += [f"model {model + 1} of {self._leeway.models}"] if model else []
        return Order(limit_hz, model, level, f"{figures}; {', '.join(held)}" if held else figures)


def _by_regression(use: Headline) -> bool:
    """Return whether what a result costs is known by a regression that can be believed."""
    return use.method == "regression" and use.error_j <= BELIEVED * use.joules_per_result


def _doubts(use: Headline) -> str:
    doubts = [use.kind.value] if use.kind is Kind.MODELLED else []
    doubts += [f"fake: {use.fake}"] if use.fake else []
    return f" ({', '.join(doubts)})" if doubts else ""
