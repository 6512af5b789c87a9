# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Finds the rate at which a node uses a given power."""

from __future__ import annotations

import math

BELIEVED = 0.25
"""Largest standard error of a cost by regression, relative to it, at which it is used."""

_TAU_S = 4.0  # of the mean power and rate
_RESULTS = 4.0  # in such a mean, at least
_LONGEST_TAU_S = 30.0
_MOVED, _MOVED_TAU_S = 0.2, 1.5  # where the rate is another, what was before soon counts for nothing
_FALL_S, _TRIM_S, _RISE_S = 3.0, 8.0, 4.0  # time constants of steps
_BAND = 0.1  # corrections within are made at any time, in both directions
_LEAST_SLOPE, _MOST_SLOPE = 0.7, 1.6  # of the mean cost: others are not believed
_LINE_S = 20.0  # of the line of power over rate
_SPREAD = 0.15  # standard deviation of the rates, relative, from which on such a line tells anything
_BOUND = 0.9  # a limit that the rate comes closer to is what bounds it
_LONGEST_STEP_S = 5.0


class _Line:
    """The slope of a line through the newest points, older ones counting less."""

    def __init__(self) -> None:
        self._x = self._y = self._xx = self._xy = 0.0
        self._age_s = 0.0

    def take(self, x: float, y: float, elapsed_s: float) -> None:
        """Take in a point."""
        self._age_s += elapsed_s
        share = max(1.0 - math.exp(-elapsed_s / _LINE_S), elapsed_s / max(self._age_s, 1e-9))
        dx, dy = x - self._x, y - self._y
        self._x += share * dx
        self._y += share * dy
        self._xx = (1.0 - share) * (self._xx + share * dx * dx)
        self._xy = (1.0 - share) * (self._xy + share * dx * dy)

    def slope(self, otherwise: float) -> float:
        """Return it, or something else where the points lie too close together to tell."""
        return self._xy / self._xx if self._xx > (_SPREAD * self._x) ** 2 else otherwise


class MeanCost:
    """Means of power and rate over the newest windows, and what a result costs by them.

    Power and rate come of the same window, so that their ratio holds whenever a new limit takes effect: the
    delay between an order and its effect does not enter. The mean is over 4 s, and over longer where results
    are few.

    Attributes:
        watts: Mean power; NaN before the first window.
        rate_hz: Mean rate.
        age_s: How long windows were taken in.
    """

    def __init__(self) -> None:
        self.watts = self.rate_hz = math.nan
        self.age_s = 0.0
        self._line = _Line()

    def take(self, watts: float, rate_hz: float, elapsed_s: float) -> None:
        """Take in a window."""
        self._line.take(rate_hz, watts, elapsed_s)
        if math.isnan(self.watts):
            self.watts, self.rate_hz = watts, rate_hz
        else:
            tau_s = min(max(_TAU_S, _RESULTS / max(self.rate_hz, 1e-9)), _LONGEST_TAU_S)
            if abs(rate_hz - self.rate_hz) > _MOVED * self.rate_hz + _RESULTS:
                tau_s = _MOVED_TAU_S
            # A plain mean while the memory is young: the first window has no more weight than others.
            share = max(1.0 - math.exp(-elapsed_s / tau_s), elapsed_s / max(self.age_s + elapsed_s, 1e-9))
            self.watts += share * (watts - self.watts)
            self.rate_hz += share * (rate_hz - self.rate_hz)
        self.age_s += elapsed_s

    @property
    def joules(self) -> float:
        """Energy of a result; NaN without figures, or where results are too few to tell."""
        return self.watts / self.rate_hz if self.rate_hz * _LONGEST_TAU_S > 1.0 else math.nan

    def rate_at(self, watts: float, joules: float = math.nan, error_j: float = math.nan) -> float:
        """Return the rate at which the power would be `watts`.

        One more result does not cost what the mean one does: part of the power needs no results, and clocks
        rise with load. What it costs is the slope of the power over the rates of the newest windows, where
        those differ enough, as they do while a limit falls; else what a regression says.

        Args:
            watts: The wanted power.
            joules: Energy of one result by regression over minutes; NaN where there is none.
            error_j: Its standard error.
        """
        mean = self.joules
        if not mean > 0.0:
            return math.inf  # what is used without results, no rate lowers
        believed = min(joules + 2.0 * error_j, mean) if error_j <= BELIEVED * joules else mean
        slope = min(max(self._line.slope(believed), _LEAST_SLOPE * mean), _MOST_SLOPE * mean)
        return max(0.0, self.rate_hz + (watts - self.watts) / slope)


class RateControl:
    """Holds the power of a node at a budget by a limit of its rate.

    A breach lowers the limit at once, in steps that leave it time to take effect. Corrections of up to 10 %
    are made at any time; a greater rise, or the release, comes only after the power was below for `hold_s`.

    It settles within 10 % of the budget within 30 s where the budget is at least 40 % of the natural power;
    power rises with the rate to the power of 0.6 to 1.5, or in proportion but for a part of at most half the
    budget, which the node uses without any result; orders take effect within 2 s; and each window has at most
    5 % noise. What reacts more slowly or more strongly takes longer.

    Attributes:
        limit_hz: The present limit; infinite while there is none.
    """

    def __init__(self) -> None:
        self.limit_hz = math.inf
        self._allowed_s = self._unused_s = 0.0

    def release(self) -> None:
        """Take the limit away."""
        self.start_at(math.inf)

    def start_at(self, rate_hz: float) -> None:
        """Begin with a limit that is thought to be right; infinite for none."""
        self.limit_hz, self._allowed_s, self._unused_s = rate_hz, 0.0, 0.0

    def step(
        self,
        budget_w: float,
        mean: MeanCost,
        wanted_hz: float,
        elapsed_s: float,
        *,
        hold_s: float,
        floor_hz: float,
    ) -> None:
        """Adapt the limit.

        Args:
            budget_w: The power to hold.
            mean: What the node uses.
            wanted_hz: The rate at which it would use `budget_w`.
            elapsed_s: Time since the last step.
            hold_s: How long the power must be below before the rate rises.
            floor_hz: The limit never falls below.
        """
        elapsed_s = min(elapsed_s, _LONGEST_STEP_S)
        if math.isinf(self.limit_hz):
            if mean.watts > budget_w and mean.rate_hz > 0.0:
                self._move(mean.rate_hz, wanted_hz, elapsed_s / _FALL_S, floor_hz)
            return
        bound = mean.rate_hz > _BOUND * self.limit_hz
        below = mean.watts < (1.0 - _BAND) * budget_w
        self._allowed_s = self._allowed_s + elapsed_s if below else 0.0
        self._unused_s = self._unused_s + elapsed_s if below and not bound else 0.0
        if mean.watts > budget_w and wanted_hz < (1.0 - _BAND) * self.limit_hz:
            self._move(self.limit_hz, wanted_hz, elapsed_s / _FALL_S, floor_hz)
        elif bound and abs(wanted_hz / self.limit_hz - 1.0) <= _BAND:
            self._move(self.limit_hz, wanted_hz, elapsed_s / _TRIM_S, floor_hz)
        elif bound and self._allowed_s > hold_s:
            self._move(self.limit_hz, wanted_hz, elapsed_s / _RISE_S, floor_hz)
        elif self._unused_s > hold_s:
            self.release()

    def _move(self, from_hz: float, to_hz: float, constants: float, floor_hz: float) -> None:
        """Go part of the way, by ratios: as far as time constants have passed."""
        share = 1.0 - math.exp(-constants)
        self.limit_hz = max(floor_hz, from_hz * (max(to_hz, floor_hz) / from_hz) ** share)
