# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The account of one meter: what it counted, and where that went."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from lowlat_nodes.energy.figures import Cost, MeterFigures
from lowlat_nodes.energy.regression import Estimate, Regression
from lowlat_nodes.energy.share import Parts, Use, by_cost, by_use
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.meter import Kind, Meter, Reading

Key = tuple[str, str]
"""A node, and a bucket of its results."""

_MOST_WINDOWS = 64
_UNKNOWN = Estimate(math.nan, math.nan)


@dataclass(slots=True)
class _Shared:
    """Energy of a node by share, and its results, both forgotten as the regression forgets."""

    joules: float = 0.0
    results: float = 0.0


class Account:
    """Reads a meter at each sample, and shares out in each window what it counted.

    A window of an account goes from one move of the counter to another. Where the counter stood still over
    a window, as that of a slow meter does, what the nodes did waits for it to move. Over a break, and while
    the meter cannot be read, nothing is known: what the counter does not have is in no part.

    Args:
        meter: Whose; closed with the account.
        half_life_s: How soon the costs of results forget.
        counts: Where to count how often costs could not be found anew (`costs`); None: nowhere.

    Attributes:
        why: What the meter says of itself.
        watts: Power in the last window; NaN where it is not known.
        nodes_w: That of each node.
        unsolved: How many windows there were since `solve`.
        absences: How many readings there were since the last that had a figure.
    """

    def __init__(self, meter: Meter, half_life_s: float, counts: Counters | None = None) -> None:
        self.meter = meter
        self.why = "not read yet"
        self._half_life_s = half_life_s
        self._counts = counts or Counters()
        self._regression = Regression(half_life_s=half_life_s)
        self._costs: Mapping[Key, Estimate] = {}
        self._idle = _UNKNOWN
        self._reading: Reading | None = None  # the last good one
        self._good = False  # whether it is of the last sample
        self._kind = Kind.UNAVAILABLE
        self._now_ns: int | None = None
        # Of the counter, since the account began.
        self._base_j = 0.0
        self._unmetered_ns = 0
        # Of the window: where the counter was shared out last, and what happened since.
        self._settled_j = 0.0
        self._metered_ns = 0
        self._metered_j = 0.0
        self._whole = True
        self._use: Use | None = None
        self._work: dict[Key, float] = {}
        # Of all windows; the parts are added up apart from the counter, so that they check each other.
        self._settled = 0.0
        self._idle_j = self._nodes_j = self._unattributed_j = 0.0
        self.watts = math.nan
        self.nodes_w: dict[str, float] = {}
        self._shared: dict[str, _Shared] = {}
        self.unsolved = self.absences = 0
        # Learned all at once before they are needed: ten in a row take little more than one.
        self._windows: list[tuple[dict[Key, float], float, float] | None] = []  # None: a gap

    def read(self, now_ns: int) -> None:
        """Read the meter."""
        reading, last = self._checked(self.meter.read()), self._reading
        before_ns, self._now_ns = self._now_ns, now_ns
        was_good, self._good = self._good, reading.kind is not Kind.UNAVAILABLE
        self.absences = 0 if self._good else self.absences + 1
        self.why = reading.why
        follows = self._good and was_good and last is not None and reading.breaks == last.breaks
        if follows and last is not None and reading.joules >= last.joules:
            self._metered_ns += max(0, reading.time_ns - last.time_ns)
            self._metered_j += reading.joules - last.joules
        else:
            self._whole = False
            self._unmetered_ns += now_ns - before_ns if before_ns is not None else 0
        if not self._good:
            return
        if last is None:
            self._base_j = self._settled_j = reading.joules
        elif reading.joules < last.joules:  # no meter of ours does; what was counted stays counted
            self._base_j -= last.joules - reading.joules
            self._settled_j -= last.joules - reading.joules
        self._kind, self._reading = reading.kind, reading

    def interrupt(self) -> None:
        """Note that this host stood still: nobody knows what the counter did meanwhile."""
        self._good = False

    def settle(self, use: Use | None, work: Mapping[Key, float]) -> Mapping[str, float]:
        """Share out what was counted.

        Args:
            use: Of the device since the last call; None for one whose use nobody measures.
            work: Results of the nodes since the last call, by bucket.

        Returns:
            Energy that each node caused.
        """
        self._use = use if self._use is None or use is None else self._use.plus(use)
        for key, results in work.items():
            self._work[key] = self._work.get(key, 0.0) + results
        reading = self._reading
        if reading is None or (self._metered_ns == 0 and reading.joules <= self._settled_j):
            if not self._good:
                self._begin_window()
                self.watts, self.nodes_w = math.nan, {}
            return {}
        joules, seconds = self._metered_j, self._metered_ns * 1e-9
        self._learn(joules, seconds)
        parts = self._parts(joules, seconds)
        # What the counter has of times that are not known is nobody's.
        self._unattributed_j += reading.joules - self._settled_j - joules
        self._idle_j += parts.idle_j
        self._nodes_j += math.fsum(parts.nodes_j.values())
        self._unattributed_j += parts.unattributed_j
        self._settled_j = reading.joules
        self._settled = reading.joules - self._base_j
        self.watts = joules / seconds if seconds > 0.0 else math.nan
        self.nodes_w = {node: j / seconds for node, j in parts.nodes_j.items()} if seconds > 0.0 else {}
        self._remember(parts.nodes_j, seconds)
        self._begin_window()
        return parts.nodes_j

    def solve(self) -> None:
        """Find anew what results cost, from all windows so far; takes a millisecond, or many of them."""
        self.unsolved = 0
        for window in self._windows:
            if window is None:
                self._regression.interrupt()
            else:
                self._regression.add(*window)
        self._windows.clear()
        try:
            self._costs, self._idle = self._regression.costs(), self._regression.idle()
        except np.linalg.LinAlgError:  # what cannot be solved now may be after the next window
            self._counts.add("costs")

    def costs(self) -> dict[str, list[Cost]]:
        """Return what results cost, of each node by bucket."""
        several = {node for node, buckets in Counter(node for node, _ in self._costs).items() if buckets > 1}
        costs: dict[str, list[Cost]] = {}
        for (node, bucket), estimate in self._costs.items():
            cost = self._cost(node, bucket, estimate, node in several)
            if cost is not None:
                costs.setdefault(node, []).append(cost)
        return costs

    def figures(self) -> MeterFigures:
        """Return where the energy went."""
        meter, reading = self.meter, self._reading
        parts_j = math.fsum((self._idle_j, self._nodes_j, self._unattributed_j))
        return MeterFigures(
            name=meter.name,
            device=meter.device,
            covers=meter.covers,
            part_of=meter.part_of,
            fake=meter.fake,
            kind=self._kind if self._good else Kind.UNAVAILABLE,
            period_s=reading.period_s if reading else 0.0,
            resolution_j=reading.resolution_j if reading else 0.0,
            watts=self.watts if self._good else math.nan,
            joules=self._settled,
            idle_w=self._idle_w(),
            idle_j=self._idle_j,
            nodes_j=self._nodes_j,
            unattributed_j=self._unattributed_j,
            imbalance_j=self._settled - parts_j,
            unmetered_s=self._unmetered_ns * 1e-9,
            why=self.why,
        )

    def forget(self, node: str) -> None:
        """Drop what is kept of a node that has gone."""
        self._shared.pop(node, None)

    def close(self) -> None:
        """Close the meter."""
        self.meter.close()

    def _checked(self, reading: Reading) -> Reading:
        """Return a reading, an unavailable one in place of what cannot be."""
        if reading.kind is Kind.UNAVAILABLE:
            return reading
        if not math.isfinite(reading.joules):
            why = f"expected a number of joules, got {reading.joules}"
            return replace(reading, kind=Kind.UNAVAILABLE, why=why)
        if self._kind not in {Kind.UNAVAILABLE, reading.kind}:
            why = f"was {self._kind.value}, is {reading.kind.value} now: start the sampler anew"
            return replace(reading, kind=Kind.UNAVAILABLE, why=why)
        return reading

    def _cost(self, node: str, bucket: str, estimate: Estimate, several: bool) -> Cost | None:
        shared = self._shared.get(node)
        if estimate.why and shared is not None and shared.results > 0.0:
            why = estimate.why
            if math.isnan(self._idle_w()):
                why += "; idle power is not known, and this is the energy of the time at work"
            if several:
                why += "; the mean over all buckets"
            return Cost(self.meter.name, bucket, shared.joules / shared.results, 0.0, "share", why)
        if not (math.isfinite(estimate.joules) and math.isfinite(estimate.error_j)):
            return None
        return Cost(self.meter.name, bucket, estimate.joules, estimate.error_j, "regression", estimate.why)

    def _learn(self, joules: float, seconds: float) -> None:
        known = self._whole and seconds > 0.0
        self._windows.append((self._work, seconds, joules) if known else None)
        self.unsolved += known
        if len(self._windows) >= _MOST_WINDOWS:
            self.solve()

    def _idle_w(self) -> float:
        """Return power without work: as the meter knows it, otherwise as it was found, NaN where it was not.

        Work of others that never varies looks like idle power; a model knows better.
        """
        known_w = self._reading.idle_w if self._reading is not None else math.nan
        return _reliable(self._idle) if math.isnan(known_w) else known_w

    def _parts(self, joules: float, seconds: float) -> Parts:
        idle_j = self._idle_w() * seconds
        if self._use is not None:
            return by_use(joules, idle_j, self._use)
        caused_j: dict[str, float] = {}
        for key, results in self._work.items():
            cost = _reliable(self._costs.get(key, _UNKNOWN))
            if cost > 0.0:
                caused_j[key[0]] = caused_j.get(key[0], 0.0) + cost * results
        return by_cost(joules, idle_j, caused_j)

    def _remember(self, nodes_j: Mapping[str, float], seconds: float) -> None:
        if self._use is None:
            return
        kept = 0.5 ** (seconds / self._half_life_s)
        for shared in self._shared.values():
            shared.joules *= kept
            shared.results *= kept
        for node, joules in nodes_j.items():
            self._shared.setdefault(node, _Shared()).joules += joules
        for (node, _bucket), results in self._work.items():
            self._shared.setdefault(node, _Shared()).results += results

    def _begin_window(self) -> None:
        self._metered_ns = 0
        self._metered_j = 0.0
        self._whole = True
        self._use = None
        self._work = {}


def _reliable(estimate: Estimate) -> float:
    """Return an estimate that nothing makes doubtful, otherwise NaN."""
    return estimate.joules if not estimate.why and math.isfinite(estimate.joules) else math.nan
