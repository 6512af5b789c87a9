# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The rule that a meter counts only once its counter was seen to move."""

from __future__ import annotations

from dataclasses import replace

from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.meter import Kind, Meter, Reading

_PATIENCE_NS = 2_000_000_000  # a live counter moves ten times a second or more


class Proved:
    """A meter that is unavailable until its counter has moved.

    To be there is not to measure: virtual machines have counters of energy that open, and read 0 for ever.

    Args:
        meter: What is read.
        whole: The meter that includes it, if any; its own `part_of` is not asked.
        clock: Steady.

    Attributes:
        counts: Whether the last reading was one.
        may_count: Whether it was, or may yet turn out to be one: it is too early to tell.
    """

    def __init__(self, meter: Meter, whole: Proved | None = None, clock: Clock | None = None) -> None:
        self.name, self.device, self.covers, self.fake = meter.name, meter.device, meter.covers, meter.fake
        self.whole = whole
        self.counts = self.may_count = False
        self._meter = meter
        self._now_ns = (clock or SteadyClock()).now_ns
        self._began_ns = 0
        self._proved = False

    def read(self) -> Reading:
        """Return the reading, unavailable if nothing proves it."""
        reading = self._meter.read()
        there = reading.kind is not Kind.UNAVAILABLE
        self._proved = self._proved or reading.joules > 0.0
        self.counts = self.may_count = there and self._proved
        if there and not self._proved:
            now_ns = self._now_ns()
            self._began_ns = self._began_ns or now_ns
            still_ns = now_ns - self._began_ns
            self.may_count = still_ns < _PATIENCE_NS
            why = f"its counter has not moved once in {still_ns * 1e-9:.1f} s, and so measures nothing"
            reading = replace(reading, kind=Kind.UNAVAILABLE, why=why)
        return reading

    @property
    def part_of(self) -> str:
        """Name of the narrowest meter that includes this one and counts."""
        whole = self.whole
        while whole is not None and not whole.counts:
            whole = whole.whole
        return whole.name if whole is not None else ""

    def close(self) -> None:
        """Close the meter."""
        self._meter.close()
