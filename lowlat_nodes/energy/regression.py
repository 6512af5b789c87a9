# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Joules per result from windows: how much more a counter counts when a node makes more.

In a window of a second or so, the energy of a device is the sum over the nodes of results times the energy
of one, and idle power times the time. Where rates vary, windows differ, and the energies follow by least
squares (`energy.window_fit`).

Short windows tell most of rates that change fast, but a result that takes longer than a window, or a meter
that lags as much, spreads over several. So windows of five are learned from as well; what both agree on is
as certain as the better of them, and where they do not, the long ones are right.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from lowlat_nodes.energy.window_fit import MAX_KEYS, UNKNOWN, Estimate, Key, Solution, WindowFit

__all__ = ["MAX_KEYS", "Estimate", "Key", "Regression"]

_JOINED: Final = 5  # windows in a long one
_APART: Final = 3.0  # standard errors
_MOST: Final = 1e12  # joules, results or seconds in a window
_SHORTEST_S: Final = 1e-3


class Regression:
    """Learns what a result of each node costs by one meter, and forgets slowly; used by one thread.

    Args:
        half_life_s: After this time a window counts half.

    Attributes:
        refused: How many windows had figures that no counter has.
    """

    def __init__(self, half_life_s: float = 120.0) -> None:
        self.refused = 0
        self._short, self._long = WindowFit(half_life_s), WindowFit(half_life_s)
        self._joined: list[tuple[Mapping[Key, float], float, float]] = []
        self._found: Solution | None = None
        self._found_long: Solution | None = None

    def add(self, counts: Mapping[Key, float], seconds: float, joules: float) -> None:
        """Learn from a window, which follows the one before; figures that cannot be are refused and counted.

        Args:
            counts: Results by node and bucket, those half done as half; a key that is missing made none.
            seconds: How long it was.
            joules: What the meter counted.
        """
        figures = (seconds, joules, *counts.values())
        if not all(0.0 <= figure <= _MOST for figure in figures) or seconds < _SHORTEST_S:
            self.refused += 1
            self.interrupt()
            return
        self._short.add(counts, seconds, joules)
        self._joined.append((dict(counts), seconds, joules))
        if len(self._joined) == _JOINED:
            self._long.add(*_join(self._joined))
            self._joined.clear()
            self._found_long = None
        self._found = None

    def interrupt(self) -> None:
        """Note that the next window does not follow the last one."""
        self._short.interrupt()
        self._long.interrupt()
        self._joined.clear()

    def costs(self) -> dict[Key, Estimate]:
        """Return the energy of a result, by node and bucket; takes a millisecond after a new window."""
        return self._solution()[0]

    def idle(self) -> Estimate:
        """Return the power without results, in W; takes a millisecond after a new window."""
        return self._solution()[1]

    def _solution(self) -> Solution:
        if self._found_long is None:
            self._found_long = self._long.solution()
        if self._found is None:
            short, short_idle = self._short.solution()
            long, long_idle = self._found_long
            costs = {key: _agreed(cost, long.get(key, UNKNOWN)) for key, cost in short.items()}
            self._found = costs, _agreed(short_idle, long_idle)
        return self._found


def _join(windows: list[tuple[Mapping[Key, float], float, float]]) -> tuple[dict[Key, float], float, float]:
    counts: dict[Key, float] = {}
    for window, _, _ in windows:
        for key, count in window.items():
            counts[key] = counts.get(key, 0.0) + count
    return counts, math.fsum(seconds for _, seconds, _ in windows), math.fsum(each[2] for each in windows)


def _agreed(short: Estimate, long: Estimate) -> Estimate:
    """Return what to believe of what short and long windows say."""
    if long.why:
        return short
    apart = abs(short.joules - long.joules)
    if short.why or apart > _APART * math.hypot(short.error_j, long.error_j):
        return long
    return Estimate(short.joules, max(short.error_j, min(apart, long.error_j)))
