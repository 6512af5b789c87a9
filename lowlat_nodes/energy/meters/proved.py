# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The rule that a meter counts only once its counter was seen to move."""

from __future__ import annotations

from dataclasses import replace

from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.meter import Kind, Meter, Reading

STILL_NS = 10_000_000_000
"""Whatever is switched on uses something in this time."""

_PATIENCE_NS = 2_000_000_000  # a live counter moves ten times a second or more


class Proved:
    """A meter that is unavailable until its counter has moved, and while it stands still and must not.

    To be there is not to measure: virtual machines have counters of energy that open, and read 0 for ever.

    Args:
        meter: What is read.
        whole: The meter that includes it, if any; its own `part_of` is not asked.
        sleeps: Whether what it measures may use nothing for long, as graphics that nobody needs.
        clock: Steady.

    Attributes:
        counts: Whether the last reading was one.
        may_count: Whether it was, or may yet turn out to be one: it is too early to tell.
    """

    def __init__(
        self,
        meter: Meter,
        whole: Proved | None = None,
        *,
        sleeps: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.name, self.device, self.covers, self.fake = meter.name, meter.device, meter.covers, meter.fake
        self.whole = whole
        self._sleeps = sleeps
        self.counts = self.may_count = False
        self._meter = meter
        self._now_ns = (clock or SteadyClock()).now_ns
        self._joules = 0.0
        self._moved_ns = 0

    def read(self) -> Reading:
        """Return the reading, unavailable if nothing proves it."""
        reading, now_ns = self._meter.read(), self._now_ns()
        there = reading.kind is not Kind.UNAVAILABLE
        if reading.joules > self._joules or not there or not self._moved_ns:
            self._joules, self._moved_ns = reading.joules, now_ns
        proved = self._joules > 0.0
        still_ns = now_ns - self._moved_ns
        self.counts = there and proved and (self._sleeps or still_ns <= STILL_NS)
        self.may_count = self.counts or (there and not proved and still_ns < _PATIENCE_NS)
        if there and not self.counts:
            how = "stood still for" if proved else "not moved once in"
            why = f"its counter has {how} {still_ns * 1e-9:.1f} s, and so measures nothing"
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
