# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A model of the processor's power from its busy time: the last resort where nothing measures it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.energy.meters.proved import Proved
from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.meter import Kind, Reading

MODEL = "model/cpu"
"""Name of the meter."""

IDLE_W, BUSY_W = 0.74, 3.5
"""Averages that Cloud Carbon Footprint made of SPECpower results, for one CPU of the kernel's count."""

_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_IDLE, _IOWAIT = 3, 4
_COUNTED = 7  # user, nice, system, idle, iowait, irq, softirq; what follows is that of virtual machines


class CpuModel:
    """Watts of a CPU that idles and of one that works, times the time that they did.

    It stands in while no meter measures the processor, and says nothing while one does. Of the whole host,
    from the first line of /proc/stat, in steps of 10 ms of one CPU.

    Args:
        idle_w: Power of a CPU that idles.
        busy_w: Power of a CPU that works.
        instead_of: Meters whose figure includes the processor.
        fake: What stands behind it where that is no hardware.
        proc: Where the kernel tells of processes.
        clock: Steady.
    """

    def __init__(
        self,
        idle_w: float = IDLE_W,
        busy_w: float = BUSY_W,
        instead_of: Sequence[Proved] = (),
        *,
        fake: str = "",
        proc: Path = Path("/proc"),
        clock: Clock | None = None,
    ) -> None:
        self.name, self.device, self.part_of = MODEL, "cpu", ""
        self.covers: tuple[str, ...] = ("cpu",)
        self.fake = fake
        self._idle_w, self._busy_w = idle_w, busy_w
        self._cpus = os.cpu_count() or 1
        self._instead_of = instead_of
        self._now_ns = (clock or SteadyClock()).now_ns
        self._stat = proc / "stat"
        self._file = -1
        self._joules = 0.0
        self._read_ns = 0
        self._breaks = 0
        self._last: tuple[float, float] | None = None
        source = "as the settings say"
        if (idle_w, busy_w) == (IDLE_W, BUSY_W):
            source = "averages of SPECpower results by Cloud Carbon Footprint"
        self._why = f"a model of {idle_w:g} W per idle and {busy_w:g} W per busy CPU, {source}"

    def read(self) -> Reading:
        """Return what the processor would have used."""
        better = next((meter for meter in self._instead_of if meter.may_count), None)
        kind, why = Kind.MODELLED, self._why
        if better is not None:
            head = "not needed:" if better.counts else "perhaps not needed: it is to be seen whether"
            kind, why = Kind.UNAVAILABLE, f"{head} {better.name} measures it"
            self._interrupt()
        else:
            try:
                self._hear(*self._times())
            except (OSError, ValueError) as error:
                kind, why = Kind.UNAVAILABLE, f"expected processor times in {self._stat}: {error}"
                self._interrupt()
        resolution_j = (self._busy_w - self._idle_w) / _TICKS_HZ
        idle_w = self._idle_w * self._cpus
        return Reading(
            self._joules, self._read_ns, kind, 1.0 / _TICKS_HZ, resolution_j, self._breaks, why, idle_w
        )

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _times(self) -> tuple[float, float]:
        """Return seconds that cores idled and worked since the start, of all together."""
        if self._file < 0:
            self._file = os.open(self._stat, os.O_RDONLY | os.O_CLOEXEC)
        words = os.pread(self._file, 256, 0).partition(b"\n")[0].split()[1 : 1 + _COUNTED]
        self._read_ns = self._now_ns()
        ticks = [int(word) for word in words]
        if len(ticks) < _COUNTED:
            raise ValueError(f"got {len(ticks)} figures of {_COUNTED}")
        idle = ticks[_IDLE] + ticks[_IOWAIT]
        return idle / _TICKS_HZ, (sum(ticks) - idle) / _TICKS_HZ

    def _hear(self, idle_s: float, busy_s: float) -> None:
        if self._last is not None:
            # The kernel lets these times fall by a tick now and then.
            idle_s, busy_s = max(idle_s, self._last[0]), max(busy_s, self._last[1])
            idled_s, worked_s = idle_s - self._last[0], busy_s - self._last[1]
            self._joules += self._idle_w * idled_s + self._busy_w * worked_s
        self._last = idle_s, busy_s

    def _interrupt(self) -> None:
        if self._last is not None:
            self._last = None
            self._breaks += 1
