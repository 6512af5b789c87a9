# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A meter that adds others which together are a whole."""

from __future__ import annotations

from collections.abc import Sequence

from lowlat_nodes.energy.meters.file_meter import FileMeter
from lowlat_nodes.stream.meter import Kind, Reading


class SumMeter:
    """Adds what its parts gained from one reading to the next; a break of any of them is one of the sum.

    It takes the last readings of the parts, and reads only those that nobody has read since: a sensor behind
    a slow bus is read once for itself and for the sum.

    Args:
        name: Of the meter.
        parts: What is added.
        device: Whose work moves it.
        covers: The parts that it is of.
        fake: What stands behind it where that is no hardware.
    """

    def __init__(
        self, name: str, parts: Sequence[FileMeter], *, device: str, covers: tuple[str, ...], fake: str = ""
    ) -> None:
        self.name, self.device, self.covers, self.part_of, self.fake = name, device, covers, "", fake
        self._parts = tuple(parts)
        self._seen: tuple[Reading, ...] = tuple(part.last for part in parts)
        self._last = Reading(0.0, 0, Kind.UNAVAILABLE, 0.0, 0.0, why="not read yet")

    def read(self) -> Reading:
        """Return the present reading."""
        for part, seen in zip(self._parts, self._seen, strict=True):
            if part.last is seen:
                part.read()
        now, before, last = tuple(part.last for part in self._parts), self._seen, self._last
        self._seen = now
        why = next((each.why for each in now if each.kind is Kind.UNAVAILABLE), "")
        joules, breaks = last.joules, last.breaks
        whole = not why and [each.breaks for each in now] == [each.breaks for each in before]
        if last.kind is Kind.MEASURED and whole:
            joules += sum(new.joules - old.joules for new, old in zip(now, before, strict=True))
        elif last.kind is Kind.MEASURED:
            breaks += 1
        self._last = Reading(
            joules,
            last.time_ns if why else max(each.time_ns for each in now),
            Kind.UNAVAILABLE if why else Kind.MEASURED,
            max(each.period_s for each in now),
            max(each.resolution_j for each in now),
            breaks,
            why,
        )
        return self._last

    def close(self) -> None:
        """Close the parts."""
        for part in self._parts:
            part.close()
