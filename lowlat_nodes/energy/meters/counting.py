# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Joules of a counter that wraps, restarts, and goes away."""

from __future__ import annotations

HIGHEST_W = 2000.0
"""More than any one counter of a computer is of: the largest processors take 500 W, whole servers 2 kW."""

_SLACK_NS = 100_000_000  # a reader can be preempted between the counter and the clock


class Counting:
    """Sums up what a counter of microjoules gained, reading by reading.

    A counter that fell has wrapped if `highest_w` can take it over the top in the time since the last
    reading; otherwise it has started anew, and so has one that leapt ahead. That is a break: nothing is
    counted, because nobody knows what was used. So is a pause in which it may have wrapped unseen.

    Args:
        range_uj: Where the counter wraps, as `max_energy_range_uj`; the kernel's figure lacks one step of the
            counter, so that each wrap counts one step too little.
        resolution_j: Smallest step.
        highest_w: More than what is behind the counter can use.

    Attributes:
        microjoules: Counted since the first reading; never falls.
        breaks: How often the counter started anew, or was away.
        resolution_j: As given.
        doubt: Empty: what cannot be is a break, and is forgotten.
    """

    def __init__(self, range_uj: int, resolution_j: float, highest_w: float = HIGHEST_W) -> None:
        self.microjoules: float = 0  # a sum of whole numbers, exact however long it grows
        self.resolution_j = resolution_j
        self.doubt = ""
        self.breaks = 0
        self._range_uj = range_uj
        self._highest_w = highest_w
        self._last_uj = -1
        self._last_ns = 0

    def hear(self, counter_uj: int, now_ns: int) -> None:
        """Take over a reading of the counter, at a time on the steady clock."""
        last_uj, elapsed_ns = self._last_uj, now_ns - self._last_ns
        self._last_uj, self._last_ns = counter_uj, now_ns
        if last_uj < 0:
            return
        most_uj = self._highest_w * (elapsed_ns + _SLACK_NS) * 1e-3
        gained_uj = counter_uj - last_uj
        if gained_uj < 0:
            gained_uj += self._range_uj
        if 0 <= gained_uj <= most_uj < self._range_uj:
            self.microjoules += gained_uj
        else:
            self.breaks += 1

    def interrupt(self) -> None:
        """Note that the counter is away: what it gains until its next reading is not counted."""
        if self._last_uj >= 0:
            self._last_uj = -1
            self.breaks += 1
