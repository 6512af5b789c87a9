# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What energy costs: the CPU time of the sampler, and what a node pays for each result.

The sampler is `lowlat energyd` as users run it, its nodes are processes that count in real pages. Its meters
are those of RAPL on a fake sysfs whose counters this benchmark moves: reading a file in memory takes as long.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.process_time import ProcessClock
from lowlat_nodes.energy.tally import Tally
from lowlat_nodes.stream.process_id import ProcessId

NODES, NODE_BUCKETS, BUCKETS = 8, 2, 8
RATE_HZ = 10.0

_ZONES = {
    "intel-rapl:0": ("package-0", 30.0),
    "intel-rapl:0:0": ("core", 20.0),
    "intel-rapl:0:1": ("dram", 3.0),
}
_PATIENCE_S = 120.0
_BATCH, _BATCHES = 1000, 101


def measure(quick: bool) -> dict[str, Any]:
    """Return the two figures, and how they came about."""
    share, details = _sampler(4.0 if quick else 60.0)
    counts_us = _counts_us()
    return {
        "sampler_cpu_share": share,
        "node_overhead_us": statistics.median(counts_us),
        "sampler": {**details, "node_overhead_p99_us": statistics.quantiles(counts_us, n=100)[98]},
    }


def _sampler(seconds: float) -> tuple[float, dict[str, Any]]:
    """Run the sampler beside nodes, and return what part of a core it takes."""
    with tempfile.TemporaryDirectory(prefix="lowlat_energy_", dir="/dev/shm") as name, ExitStack() as running:
        folder, sysfs = Path(name) / "energy", Path(name) / "sys"
        folder.mkdir(mode=0o700)
        counters = running.enter_context(closing(_Counters(sysfs)))
        environment = {**os.environ, "LOWLAT_ENERGY_DIR": str(folder), "LOWLAT_SYSFS_ROOT": str(sysfs)}
        for number in range(NODES):
            node = "lowlat_nodes.benchmarks._energy_sampler_node"
            running.enter_context(
                _process(environment, node, f"/node{number}", str(folder), str(NODE_BUCKETS))
            )
        command = ("lowlat_nodes.cli.main", "energyd", "--rate", str(RATE_HZ))
        energyd = running.enter_context(_process(environment, *command))
        board = Board(folder)
        figures = _until(board, counters, lambda found: _working(found) == NODES)
        _pass_by(0.25 * seconds, counters)  # until the regression has seen each bucket
        process = ProcessId.of(energyd.pid)
        assert process is not None
        clock = ProcessClock(process)
        before_ns, begin_ns = clock.read_ns(), time.monotonic_ns()
        _pass_by(seconds, counters)
        used_ns, passed_ns = clock.read_ns() - before_ns, time.monotonic_ns() - begin_ns
        clock.close()
        figures = board.read() or figures
    share = used_ns / passed_ns
    return share, {
        "nodes": _working(figures),
        "buckets": NODE_BUCKETS,
        "results_per_s": sum(node.rate_hz for node in figures.nodes),
        "rate_hz": RATE_HZ,
        "seconds": passed_ns * 1e-9,
        "meters": {meter.name: f"{meter.kind.value}, fake" for meter in figures.meters},
        "imbalance_j": max(abs(meter.imbalance_j) for meter in figures.meters),
        "cpu_us_per_sample": share / RATE_HZ * 1e6,
        "simulated": "counters of a fake sysfs, moved by the benchmark",
    }


def _working(figures: Figures) -> int:
    return sum(node.rate_hz > 0.0 for node in figures.nodes)


class _Counters:
    """Counters of energy in files, which rise by so many watts."""

    def __init__(self, sysfs: Path) -> None:
        self._files: list[tuple[int, float]] = []
        self._begin_ns = time.monotonic_ns()
        for zone, (name, watts) in _ZONES.items():
            folder = sysfs / "class" / "powercap" / zone
            folder.mkdir(parents=True)
            (folder / "name").write_text(f"{name}\n")
            (folder / "max_energy_range_uj").write_text("262143328850\n")
            (folder / "energy_uj").write_text(f"{0:<20}\n")
            self._files.append((os.open(folder / "energy_uj", os.O_WRONLY | os.O_CLOEXEC), watts))

    def move(self) -> None:
        """Write what they count now."""
        seconds = (time.monotonic_ns() - self._begin_ns) * 1e-9
        for file, watts in self._files:
            os.pwrite(file, f"{round(seconds * watts * 1e6):<20}\n".encode(), 0)

    def close(self) -> None:
        """Close the files."""
        for file, _ in self._files:
            os.close(file)


@contextmanager
def _process(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module until the end of the block."""
    command = [sys.executable, "-m", *arguments]
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def _pass_by(seconds: float, counters: _Counters) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        counters.move()
        time.sleep(0.05)


def _until(board: Board, counters: _Counters, holds: Any) -> Figures:
    end_s = time.monotonic() + _PATIENCE_S
    while time.monotonic() < end_s:
        _pass_by(0.2, counters)
        figures = board.read()
        if figures is not None and holds(figures):
            return figures
    raise TimeoutError(f"expected {NODES} nodes on the board within {_PATIENCE_S:.0f} s: {board.why}")


def _counts_us() -> list[float]:
    """Return what a node does for the sampler at one result, by batch: begin, done, and its CPU time."""
    with tempfile.TemporaryDirectory(prefix="lowlat_energy_", dir="/dev/shm") as name:
        tally = Tally("/node", folder=Path(name))
        buckets = [f"{64 * (1 + number)}x480" for number in range(BUCKETS)]
        counts_us = []
        for _ in range(_BATCHES):
            begin_ns = time.perf_counter_ns()
            for number in range(_BATCH):
                bucket = buckets[number % BUCKETS]
                tally.begin(bucket)
                cpu_ns = time.thread_time_ns()
                tally.done(1, bucket)
                tally.cpu(time.thread_time_ns() - cpu_ns, bucket)
            counts_us.append((time.perf_counter_ns() - begin_ns) / _BATCH * 1e-3)
        tally.close()
    return counts_us
