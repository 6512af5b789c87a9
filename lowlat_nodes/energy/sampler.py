# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The one sampler of a host: reads meters and pages, and puts figures on the board once a second."""

from __future__ import annotations

import math
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, Missing
from lowlat_nodes.energy.folder import SamplerLock, energy_folder
from lowlat_nodes.energy.ledger import Ledger, Window
from lowlat_nodes.energy.node_use import NodeUses
from lowlat_nodes.energy.process_time import HostTime, ProcessTimes
from lowlat_nodes.energy.tally_reader import Page, TallyReader
from lowlat_nodes.stream.clock import Clock, SteadyClock, SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.meter import Meter

RATE_HZ = 10.0
WINDOW_S = 1.0

_SLEPT_NS = 100_000_000  # of the machine, from which on it matters
_SCAN_EVERY = 5  # samples: a new node has counted from zero, and is charged from when it is seen


class GpuTimes(Protocol):
    """How long each process has kept each GPU busy."""

    @property
    def why(self) -> Mapping[str, str]:
        """Devices that cannot be told, and why."""
        ...

    def read(self) -> Mapping[tuple[str, int], int]:
        """Return the time, ns, by device and process id."""
        ...

    def close(self) -> None:
        """Release the driver."""
        ...


class Sampler:
    """Samples when told, and closes a window of about a second whenever one is over.

    All that it reads are counters which only rise, so that a sample which comes late, on a loaded machine,
    makes a longer window and no error. After the machine was suspended nothing is known of that time: it
    counts as unmetered, and what counters have of it as unattributed.

    A reading of the meters takes microseconds; a window, some hundred. Used by one thread.

    Args:
        meters: To read; closed with the sampler, also where this raises.
        missing: What could not be had, for the figures.
        folder: Where pages and board are; None for `energy_folder()`.
        gpu_processes: Who uses GPUs, closed with the sampler; None for nobody knows.
        name: Who we are, for a second sampler.
        window_s: How long a window is at least.
        half_life_s: How soon the costs of results forget.
        clock: Steady.
        unix_clock: For the figures.
        slept_ns: How long the machine has been suspended since its start.

    Attributes:
        counts: Boards that could not be written (`board`), windows after a suspended machine (`suspended`),
            costs that could not be found anew (`costs`).

    Raises:
        SamplerRunning: If another process samples this host.
        ConfigurationError: If there is no folder.
    """

    def __init__(
        self,
        meters: Sequence[Meter],
        missing: Sequence[Missing] = (),
        folder: Path | None = None,
        gpu_processes: GpuTimes | None = None,
        *,
        name: str = "energyd",
        window_s: float = WINDOW_S,
        half_life_s: float = 120.0,
        clock: Clock | None = None,
        unix_clock: Clock | None = None,
        slept_ns: Callable[[], int] | None = None,
    ) -> None:
        self.counts = Counters()
        self._ledger = Ledger(meters, half_life_s, self.counts)
        self._gpu_processes = gpu_processes
        self._gpus = {meter.device for meter in meters if meter.device.startswith("gpu")}
        self._lock: SamplerLock | None = None
        try:
            folder = folder or energy_folder()
            self._lock = SamplerLock(folder, name)
        except BaseException:
            self._close_sources()
            raise
        self._missing = tuple(missing)
        self._host = socket.gethostname()
        self._window_s = window_s
        self._now_ns = (clock or SteadyClock()).now_ns
        self._unix_ns = (unix_clock or SystemClock()).now_ns
        self._slept_ns = slept_ns or _slept_ns
        self._board = Board(folder)
        self._reader = TallyReader(folder)
        self._processes = ProcessTimes()
        self._host_time = HostTime()
        self._cpus = os.cpu_count() or 1
        self._begin_ns = now_ns = self._now_ns()
        self._due_ns = now_ns + round(window_s * 1e9)
        self._nodes = NodeUses(now_ns)
        self._slept_before_ns = self._slept_ns()
        self._busy_ns = self._host_time.busy_ns()
        self._on_gpus = dict(gpu_processes.read()) if gpu_processes else {}
        self._samples = 0
        self._ledger.read(now_ns)
        self._reader.scan()
        self._follow(self._reader.pages)

    def sample(self) -> Figures | None:
        """Read the meters, and look for new nodes.

        Returns:
            The figures, which are on the board too, where this closed a window; otherwise None.
        """
        now_ns = self._now_ns()
        slept_ns = self._slept_ns()
        if slept_ns - self._slept_before_ns > _SLEPT_NS:
            self.counts.add("suspended")
            self._ledger.interrupt()
        self._slept_before_ns = slept_ns
        due = now_ns >= self._due_ns
        self._ledger.read(now_ns, absent=due)
        self._samples += 1
        if (due or self._samples % _SCAN_EVERY == 0) and self._reader.scan():
            self._follow(self._reader.pages)
        return self._close_window(now_ns) if due else None

    @property
    def refused(self) -> dict[str, int]:
        """Pages, and figures in them, that were passed over, by what is wrong with them."""
        found = self._reader.counts.snapshot()
        found.pop("reaped", None)
        return {**found, **self._nodes.counts.snapshot()}

    def close(self) -> None:
        """Withdraw the figures, give back the right to sample, and close the meters."""
        if self._lock is None:
            return
        self._board.withdraw()
        self._reader.close()
        self._processes.close()
        self._host_time.close()
        self._close_sources()
        self._lock.close()
        self._lock = None

    def _close_window(self, now_ns: int) -> Figures:
        seconds = (now_ns - self._begin_ns) * 1e-9
        self._begin_ns = now_ns
        self._due_ns += round(self._window_s * 1e9)
        if self._due_ns <= now_ns:  # late by more than a window
            self._due_ns = now_ns + round(self._window_s * 1e9)
        pages = self._reader.read()
        self._follow(pages)
        self._processes.read()
        busy_gpu_ns = self._read_gpus()
        nodes = self._nodes.window(pages, self._processes.used_ns, self._on_gpus, self._processes.living())
        window = Window(seconds, nodes, self._cpus, self._busy_cpu_ns(), busy_gpu_ns)
        for node in self._ledger.settle(window):
            self._nodes.forget(node)
        figures = Figures(
            host=self._host,
            time_ns=self._unix_ns(),
            steady_ns=now_ns,
            period_s=self._window_s,
            meters=self._ledger.meters(),
            missing=(
                *self._missing,
                *(Missing(f"processes of {gpu}", why) for gpu, why in sorted(self._blind().items())),
            ),
            nodes=self._ledger.nodes(),
        )
        try:
            self._board.publish(figures)
        except OSError:  # full or gone; whoever gets the figures in another way still does
            self.counts.add("board")
        return figures

    def _follow(self, pages: Sequence[Page]) -> None:
        """Read the clocks of the processes of these nodes from now on."""
        self._processes.follow({process: page.uid for page in pages for process in page.processes})

    def _busy_cpu_ns(self) -> float:
        before_ns, self._busy_ns = self._busy_ns, self._host_time.busy_ns()
        if before_ns is None or self._busy_ns is None:
            return math.nan
        return float(max(0, self._busy_ns - before_ns))

    def _read_gpus(self) -> dict[str, float]:
        """Return how long each GPU was used since the last call, of those where that is known."""
        if self._gpu_processes is None:
            return {}
        before, self._on_gpus = self._on_gpus, dict(self._gpu_processes.read())
        busy_ns = dict.fromkeys(self._gpus, 0.0)
        for (device, pid), total_ns in self._on_gpus.items():
            used_ns = max(0, total_ns - before.get((device, pid), 0))
            busy_ns[device] = busy_ns.get(device, 0.0) + used_ns
        blind = self._blind()
        return {device: ns for device, ns in busy_ns.items() if device not in blind}

    def _blind(self) -> dict[str, str]:
        """Return the GPUs whose processes cannot be told, and why."""
        if self._gpu_processes is None:
            return {}
        why = self._gpu_processes.why
        return {gpu: why.get(gpu, why.get("gpu", "")) for gpu in self._gpus if gpu in why or "gpu" in why}

    def _close_sources(self) -> None:
        self._ledger.close()
        if self._gpu_processes is not None:
            self._gpu_processes.close()


def run(
    sampler: Sampler,
    wait: Callable[[float], bool],
    published: Callable[[Figures], None],
    rate_hz: float = RATE_HZ,
) -> None:
    """Sample until told to stop.

    Args:
        sampler: Not closed.
        wait: Waits so many seconds, or until it is time to stop; returns whether it is.
        published: Gets all figures.
        rate_hz: Samples a second; those that come too late are left out.
    """
    period_s = 1.0 / rate_hz
    due_s = time.monotonic() + period_s
    while not wait(max(0.0, due_s - time.monotonic())):
        figures = sampler.sample()
        if figures is not None:
            published(figures)
        due_s = max(due_s + period_s, time.monotonic())


def _slept_ns() -> int:
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
