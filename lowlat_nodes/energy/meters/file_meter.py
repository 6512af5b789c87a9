# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A meter over one or two files of sysfs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from lowlat_nodes.energy.meters.sysfs import NumberFile, Unreadable
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.meter import Kind, Reading


class Account(Protocol):
    """Makes cumulative joules of what a file says: of a counter's microjoules, or of microwatts.

    Attributes:
        microjoules: Since the first reading; never falls.
        breaks: How often it was interrupted.
        resolution_j: Smallest step.
        doubt: Why what was heard last cannot be believed; empty if it can.
    """

    microjoules: float
    breaks: int
    resolution_j: float
    doubt: str

    def hear(self, value: int, now_ns: int) -> None:
        """Take over what the file said, at a time on the steady clock."""
        ...

    def interrupt(self) -> None:
        """Note that nothing can be read: what is used until the next reading is not counted."""
        ...


class FileMeter:
    """Reads files again and again, and keeps account; see `stream.meter.Meter` for what describes it.

    Args:
        name: Of the meter.
        files: What is read: microjoules, microwatts, or millivolts and milliamperes.
        account: What becomes of the product of them.
        device: Whose work moves it.
        covers: The parts that it is of.
        part_of: The meter that includes it.
        fake: What stands behind it where that is no hardware.
        period_s: Time between two changes of the files; 0 if that is not known.
        remedy: Says what to do about a file that cannot be read.
        clock: Steady.

    Attributes:
        last: What was read last.
    """

    def __init__(
        self,
        name: str,
        files: Sequence[NumberFile],
        account: Account,
        *,
        device: str,
        covers: tuple[str, ...],
        part_of: str = "",
        fake: str = "",
        period_s: float = 0.0,
        remedy: Callable[[Unreadable], str] = str,
        clock: Clock | None = None,
    ) -> None:
        self.name, self.device, self.covers, self.part_of, self.fake = name, device, covers, part_of, fake
        self._files = tuple(files)
        self._account = account
        self._period_s = period_s
        self._remedy = remedy
        self._now_ns = (clock or SteadyClock()).now_ns
        self._read_ns = 0
        self.last = self._reading(Kind.UNAVAILABLE, "not read yet")

    def read(self) -> Reading:
        """Return the present reading."""
        kind, why = Kind.MEASURED, ""
        try:
            value = 1
            for file in self._files:
                value *= file.read()
            self._read_ns = self._now_ns()
            self._account.hear(value, self._read_ns)
            if why := self._account.doubt:
                kind = Kind.UNAVAILABLE
        except Unreadable as error:
            self._account.interrupt()
            kind, why = Kind.UNAVAILABLE, self._remedy(error)
        self.last = self._reading(kind, why)
        return self.last

    def close(self) -> None:
        """Close the files; they are opened again if it is read again."""
        for file in self._files:
            file.close()

    def _reading(self, kind: Kind, why: str) -> Reading:
        account = self._account
        return Reading(
            account.microjoules * 1e-6,
            self._read_ns,
            kind,
            self._period_s,
            account.resolution_j,
            account.breaks,
            why,
        )
