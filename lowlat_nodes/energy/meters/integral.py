# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Joules of a sensor that tells watts."""

from __future__ import annotations

GAP_NS = 2_500_000_000
"""A sampler reads once a second at the least; nobody knows what happened in a longer pause."""

HIGHEST_W = 20_000.0
"""More than any sensor of a computer is of: servers of eight graphics cards take 10 kW."""


class Integral:
    """Integrates power over time, reading by reading, with the trapezoidal rule.

    Below 0 counts as 0: sensors without load read a little less. A pause longer than `gap_ns` is a break, in
    which nothing is counted, and so is what cannot be.

    Args:
        gap_ns: Longest time from one reading to the next.
        highest_w: More than what is behind the sensor can use.
        step_uw: Smallest step of the power; 0 if that is not known.

    Attributes:
        microjoules: Since the first reading; never falls.
        breaks: How often nothing was heard for too long, or the sensor was away.
        doubt: What was said last, if that cannot be; that is a break as well.
        resolution_j: What a step of the power was worth from the last reading but one to the last.
    """

    def __init__(self, gap_ns: int = GAP_NS, highest_w: float = HIGHEST_W, step_uw: float = 0.0) -> None:
        self.microjoules = 0.0
        self.breaks = 0
        self.resolution_j = 0.0
        self._gap_ns = gap_ns
        self._highest_uw = highest_w * 1e6
        self.doubt = ""
        self._step_uw = step_uw
        self._last_uw = 0.0
        self._last_ns: int | None = None

    def hear(self, power_uw: float, now_ns: int) -> None:
        """Take over a reading of the power, at a time on a clock of which only differences matter."""
        self.doubt = ""
        if power_uw > self._highest_uw:
            self.doubt = f"it says {power_uw * 1e-6:.0f} W, which cannot be"
            self.interrupt()
            return
        power_uw = max(0.0, power_uw)
        if self._last_ns is not None:
            elapsed_ns = now_ns - self._last_ns
            if 0 <= elapsed_ns <= self._gap_ns:
                self.microjoules += 0.5 * (self._last_uw + power_uw) * elapsed_ns * 1e-9
                self.resolution_j = self._step_uw * elapsed_ns * 1e-15
            else:
                self.breaks += 1
        self._last_uw, self._last_ns = power_uw, now_ns

    def interrupt(self) -> None:
        """Note that the sensor is away."""
        if self._last_ns is not None:
            self._last_ns = None
            self.breaks += 1
