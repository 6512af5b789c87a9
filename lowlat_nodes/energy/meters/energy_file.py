# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A meter over a file in which the kernel counts microjoules."""

from __future__ import annotations

from collections.abc import Callable

from lowlat_nodes.energy.meters.counting import Counting
from lowlat_nodes.energy.meters.sysfs import NumberFile, Unreadable
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.meter import Kind, Reading


class EnergyFileMeter:
    """Reads one counter; see `stream.meter.Meter` for the names of what it is.

    Args:
        name: Of the meter.
        file: Holds microjoules.
        range_uj: Where they wrap.
        device: Whose work moves it.
        covers: The parts that it is of.
        part_of: The meter that includes it.
        fake: What stands behind it where that is no hardware.
        period_s: Time between two changes of the counter.
        resolution_j: Its smallest step.
        remedy: Says what to do about a file that cannot be read.
        clock: Steady.
    """

    def __init__(
        self,
        name: str,
        file: NumberFile,
        range_uj: int,
        *,
        device: str,
        covers: tuple[str, ...],
        part_of: str = "",
        fake: str = "",
        period_s: float,
        resolution_j: float,
        remedy: Callable[[Unreadable], str] = str,
        clock: Clock | None = None,
    ) -> None:
        self.name, self.device, self.covers, self.part_of, self.fake = name, device, covers, part_of, fake
        self._file = file
        self._counting = Counting(range_uj)
        self._period_s, self._resolution_j = period_s, resolution_j
        self._remedy = remedy
        self._now_ns = (clock or SteadyClock()).now_ns
        self._read_ns = 0

    def read(self) -> Reading:
        """Return the present reading."""
        kind, why = Kind.MEASURED, ""
        try:
            counter_uj = self._file.read()
            self._read_ns = self._now_ns()
            self._counting.hear(counter_uj, self._read_ns)
        except Unreadable as error:
            self._counting.interrupt()
            kind, why = Kind.UNAVAILABLE, self._remedy(error)
        return Reading(
            self._counting.microjoules * 1e-6,
            self._read_ns,
            kind,
            self._period_s,
            self._resolution_j,
            self._counting.breaks,
            why,
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()
