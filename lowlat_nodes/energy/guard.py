# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A bound on what one call may cost, against inputs that are made to be expensive.

Such inputs exist for models whose work depends on what they see: Verbose Images (arXiv 2401.11170) and
Verbose Samples (arXiv 2404.16557) make a model answer at up to eight times its usual length.
"""

from __future__ import annotations

import math
import statistics
import threading
from collections import OrderedDict
from dataclasses import dataclass

from lowlat_nodes.energy.breaker import Breaker, BreakerSettings
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError

MOST_SOURCES, MOST_BUCKETS = 64, 16
"""How many are told apart: the source not heard for longest is forgotten; further buckets are one."""

OTHER = "other"
"""The bucket of all that came after `MOST_BUCKETS`."""

_MEMORY = 10_000  # calls; of a burst that is 1.5 % of them, mean + 8 sigma is above its height
_EVERY = 16  # calls between two looks at the limit, which one call hardly moves
_NAME = 80  # characters of a source, whose name may come from outside
_HOUR_NS = 3_600_000_000_000


@dataclass(frozen=True)
class GuardSettings:
    """What a call may cost, relative to the calls before it."""

    enabled: bool = setting(True, doc="Whether calls that cost too much are cut.")
    sigmas: float = setting(
        8.0, low=1.0, high=100.0, doc="Calls beyond the mean and so many standard deviations are cut."
    )
    least_factor: float = setting(
        3.0, low=1.0, high=1000.0, doc="Calls up to so many times the mean are never cut."
    )
    most_factor: float = setting(
        7.0, low=1.0, high=1000.0, doc="Calls beyond so many times the mean always are."
    )
    most: float = setting(
        0.0,
        low=0.0,
        doc="Calls beyond this always are, also while nothing is known of others, in the unit of what the "
        "node counts; 0 takes its own.",
    )
    free: float = setting(
        0.0,
        low=0.0,
        doc="Calls that cost no more are never cut, in the unit of what the node counts; 0 takes its own.",
    )
    warm_up_calls: int = setting(
        200, low=10, high=100_000, doc="So many calls are looked at before any is cut by those before it."
    )
    doubling_h: float = setting(
        4.0,
        unit="h",
        low=0.01,
        high=8760.0,
        doc="The mean that most_factor counts from doubles or halves in this time at most, whatever comes.",
    )
    breaker: BreakerSettings = section(BreakerSettings, doc="When a source is not worked on any more.")

    def __post_init__(self) -> None:
        if self.most_factor < self.least_factor:
            raise ConfigurationError(
                f"energy.guard.most_factor: expected at least least_factor, {self.least_factor:g}, got "
                f"{self.most_factor:g}"
            )


@dataclass(frozen=True, slots=True)
class BucketState:
    """What is known of the calls of one shape.

    Attributes:
        bucket: Its name.
        calls: How many have counted.
        mean: Of their costs, where each counts up to the limit of its time.
        sigma: Their standard deviation.
        limit: What a call may cost now.
    """

    bucket: str
    calls: int
    mean: float
    sigma: float
    limit: float


@dataclass(frozen=True, slots=True)
class GuardState:
    """What a guard has done so far.

    Attributes:
        calls: How many calls it was told of.
        cuts: How many of them were cut.
        refused: How many calls were not worked on.
        opened: How often a breaker opened.
        open: The sources whose breaker is open now, or half open.
        buckets: What is known of each shape.
    """

    calls: int
    cuts: int
    refused: int
    opened: int
    open: tuple[str, ...]
    buckets: tuple[BucketState, ...]


class Guard:
    """Cuts calls that cost far more than those before them; a `stream.bound.Bound`.

    The limit is the mean and some standard deviations, within `least_factor` and `most_factor` times the
    mean, at least `free`, at most `most`. All sources share the statistics of a shape, so that a source
    cannot escape by a new name; breakers are of one source each.

    Against poisoning: a cut call counts as the limit, and `most_factor` counts from a mean that follows the
    true one slowly, `doubling_h`. With many calls at the limit an attacker can raise it to `most_factor`
    times the mean, and from there at that rate; that is also how fast a lasting change is learnt. With many
    cheap calls the mean can be lowered, but `sigmas` deviations then stay above the honest calls as long as
    these are more than about 1 / `sigmas`^2 of all.

    Args:
        settings: How far.
        most: Calls beyond this are always cut, unless the settings say another number.
        free: Calls that cost no more are never cut, unless the settings say another number; above 0.
        while_open: One of `breaker.WHILE_OPEN`, unless the settings say another one.
        clock: Measures the time of cool-downs and drift.

    Raises:
        ConfigurationError: If the least that the settings let cut is more than the most, or that infinite.
    """

    def __init__(
        self,
        settings: GuardSettings,
        *,
        most: float,
        free: float,
        while_open: str = "refuse",
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._most = most = settings.most or most
        self._free = free = settings.free or min(free, most)
        chosen = settings.breaker.while_open
        self._while_open = while_open if chosen == "auto" else chosen
        if not 0.0 < free <= most < math.inf:
            raise ConfigurationError(
                f"energy.guard.most: expected at least energy.guard.free, {free:g}, got {most:g}"
            )
        self._clock = clock or SteadyClock()
        self._lock = threading.Lock()
        self._buckets: dict[str, _Costs] = {}
        self._breakers: OrderedDict[str, Breaker] = OrderedDict()
        self._calls = self._cuts = self._refused = self._opened = 0

    def limit(self, source: str, bucket: str = "") -> float:
        """Return the most that the next call of a source may cost; 0 where it is to be refused."""
        settings, now_ns = self._settings, self._clock.now_ns()
        if not settings.enabled:
            return self._most
        with self._lock:
            costs = self._costs(bucket, now_ns)
            if self._breaker(source).admits(now_ns) or self._while_open == "warn":
                return costs.limit
            if self._while_open == "refuse":
                self._refused += 1
                return 0.0
            return min(max(self._free, costs.mean), costs.limit)

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:
        """Take in what a call cost, or would have cost where it was cut."""
        now_ns = self._clock.now_ns()
        with self._lock:
            self._calls += 1
            self._cuts += cut
            if not self._settings.enabled:
                return
            self._costs(bucket, now_ns).add(cost, now_ns)
            self._opened += self._breaker(source).note(cut, now_ns)

    def set_free(self, free: float) -> None:
        """Take another cost up to which no call is cut, unless the settings say one; at most `most`."""
        if self._settings.free:
            return
        with self._lock:
            self._free = min(free, self._most)
            for costs in self._buckets.values():
                costs.set_free(self._free)

    def state(self) -> GuardState:
        """Return what it has done so far."""
        with self._lock:
            return GuardState(
                self._calls,
                self._cuts,
                self._refused,
                self._opened,
                tuple(name for name, breaker in self._breakers.items() if not breaker.closed),
                tuple(
                    BucketState(name, costs.count, costs.mean, costs.sigma, costs.limit)
                    for name, costs in self._buckets.items()
                ),
            )

    def _costs(self, bucket: str, now_ns: int) -> _Costs:
        if bucket not in self._buckets and len(self._buckets) >= MOST_BUCKETS:
            bucket = OTHER
        costs = self._buckets.get(bucket)
        if costs is None:
            costs = self._buckets[bucket] = _Costs(self._settings, self._most, self._free, now_ns)
        return costs

    def _breaker(self, source: str) -> Breaker:
        source = source[:_NAME]
        breaker = self._breakers.get(source)
        if breaker is None:
            breaker = self._breakers[source] = Breaker(self._settings.breaker)
            if len(self._breakers) > MOST_SOURCES:
                # Whoever comes under many names must not have an open breaker forgotten by that.
                closed = (name for name, each in self._breakers.items() if each.closed and name != source)
                del self._breakers[next(closed, next(iter(self._breakers)))]
        self._breakers.move_to_end(source)
        return breaker


class _Costs:
    """The costs of the calls of one shape, and what follows for the next."""

    def __init__(self, settings: GuardSettings, most: float, free: float, now_ns: int) -> None:
        self._settings = settings
        self._most = most
        self._free = free
        self._first: list[float] = []
        self._variance = 0.0
        self._anchor = 0.0  # the mean, but slow
        self._moved_ns = now_ns
        self.count = 0
        self.mean = 0.0
        self.limit = most

    @property
    def sigma(self) -> float:
        return float(self._variance**0.5)

    def add(self, cost: float, now_ns: int) -> None:
        """Take in the cost of a call, up to the limit of its time; what is no number counts as the limit."""
        if not 0.0 <= cost <= self.limit:
            cost = 0.0 if cost < 0.0 else self.limit
        self.count += 1
        if self.count < self._settings.warm_up_calls:
            self._first.append(cost)
            self.mean += (cost - self.mean) / self.count
            return
        if self._first:
            self._begin([*self._first, cost], now_ns)
            self._follow(now_ns)
            return
        weight = 1.0 / (min(_MEMORY, self.count))
        apart = cost - self.mean
        self.mean += weight * apart
        self._variance = (1.0 - weight) * (self._variance + weight * apart * apart)
        if self.count % _EVERY == 0:
            self._follow(now_ns)

    def set_free(self, free: float) -> None:
        """Take another cost up to which no call is cut; from now on."""
        self._free, self.limit = free, max(self.limit, free)

    def _begin(self, costs: list[float], now_ns: int) -> None:
        """Begin with the first costs, of which less than half may be absurd."""
        self._first = []
        highest = max(self._free, self._settings.most_factor * statistics.median(costs))
        costs = [min(cost, highest) for cost in costs]
        self.mean = statistics.fmean(costs)
        self._variance = statistics.pvariance(costs, self.mean)
        self._anchor, self._moved_ns = self._above_zero(self.mean), now_ns

    def _follow(self, now_ns: int) -> None:
        """Let the slow mean follow the true one, and say what the next call may cost."""
        settings = self._settings
        passed_ns, self._moved_ns = max(0, now_ns - self._moved_ns), now_ns
        ratio = 2.0 ** min(passed_ns / (settings.doubling_h * _HOUR_NS), 64.0)
        self._anchor = min(max(self._above_zero(self.mean), self._anchor / ratio), self._anchor * ratio)
        wide = self.mean + settings.sigmas * self.sigma
        wide = max(wide, settings.least_factor * max(self.mean, self._anchor))
        wide = min(wide, settings.most_factor * self._anchor)
        self.limit = min(max(wide, self._free), self._most)

    def _above_zero(self, mean: float) -> float:
        """Return a mean that can rise by a ratio, as 0 cannot, and that allows no more than is free."""
        return max(mean, self._free / self._settings.most_factor)
