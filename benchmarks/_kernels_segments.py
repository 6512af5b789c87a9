# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy at 50 Hz beside a long job at one device: first come first served, and in segments.

Two processes share a device by turns of `inference.turns`: one runs a network of 24 layers that takes 70 ms
and has no deadline, the other one a policy of 0.24 ms each 20 ms. The response time of the policy is counted
from when a request was due. Ways to share:

fifo           the earlier request first, whole jobs
edf            the earlier deadline first, whole jobs
segmented      the earlier deadline first, decided after each layer

each with long jobs back to back (`saturated`) and at 8.4 a second (`paced`). The ways take turns within each
repeat, so that whatever else the machine does meets all of them.
"""

from __future__ import annotations

import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from lowlat_nodes.inference.turns.shared import SharedTurn
from lowlat_nodes.stream.errors import ConfigurationError

LAYERS, LONG_S = 24, 70e-3
POLICY_LAYERS, POLICY_S = 4, 0.24e-3
POLICY_HZ, LONG_HZ = 50.0, 8.4

_WIDTH, _POLICY_WIDTH = 1024, 256
_PERIOD_NS = round(1e9 / POLICY_HZ)
_DEADLINES_NS = {"fifo": 0, "edf": 1_000_000_000, "segmented": _PERIOD_NS}
"""Of the policy; the long job has none. By whole jobs it cannot meet its own: admission would refuse it."""

_WAYS = tuple(_DEADLINES_NS)
_LOADS = {"saturated": 0.0, "paced": LONG_HZ}
_LEAD_NS = 50_000_000  # from the go-ahead to the first request
_HANDOVERS, _HOLD_NS = 300, 300_000
_CALLS = 2000
_ATTEMPTS = 5
_PATIENCE_S = 60.0
_P99_MS, _THROUGHPUT = 6.0, 0.95
_MS = 1e-6


def measure(quick: bool, device: str) -> dict[str, Any]:
    """Return `segments`: response times of the policy, throughput of the long job, and the bound.

    ======================= ========================================================================
    control_p99_ms          of the policy beside segments: the larger of saturated and paced
    fifo_p99_ms             the same, first come first served
    edf_unsegmented_p99_ms  the same, by deadlines, with long jobs in one piece
    throughput_ratio        long jobs a second in segments over first come first served, saturated
    blocking_bound_ms       what the policy's diagnostics said that a segment can hold it up
    blocking_worst_ms       the longest wait of the policy beside segments
    same_core_p99_ms        control_p99_ms with both processes on one core
    handover_us             from the end of a turn to the begin of the next one in the other process
    between_us              what giving way costs when nobody waits
    turn_us                 what a turn costs when nobody else wants the device
    refused                 what a policy is told that could not meet its deadline beside the long job
    ok                      whether control_p99_ms and throughput_ratio are as they must be
    ======================= ========================================================================

    Args:
        quick: Whether to measure for seconds instead of minutes.
        device: `cpu`; nothing here is measured on `cuda`.
    """
    if device != "cpu":
        return {}
    seconds, repeats = (1.5, 3) if quick else (6.0, 5)
    # In shared memory, as it is where nobody asks for another folder.
    with (
        tempfile.TemporaryDirectory(prefix="lowlat_turns_", dir="/dev/shm") as name,
        _nodes(Path(name)) as nodes,
    ):
        runs = {(way, load): [] for load in _LOADS for way in _WAYS}  # type: dict[tuple[str, str], list[Run]]
        for _ in range(repeats):
            for (way, load), found in runs.items():
                found.append(nodes.run(way, load, seconds))
        same_core = [nodes.run("segmented", load, seconds, same_core=True) for load in _LOADS]
        handovers_us = nodes.handovers_us()
        refused = _refusal(Path(name), runs["fifo", "saturated"][0].long_ms)
        between_us, turn_us = _alone_us(Path(name))
    return {
        "segments": {
            **_headline(runs),
            "same_core_p99_ms": max(run.p99_ms for run in same_core),
            "handover_us": statistics.median(handovers_us),
            "handover_p99_us": float(np.quantile(handovers_us, 0.99)),
            "between_us": between_us,
            "turn_us": turn_us,
            "refused": refused,
            "layers": LAYERS,
            "seconds": seconds,
            "repeats": repeats,
            **{load: {way: _summary(runs[way, load]) for way in _WAYS} for load in _LOADS},
        }
    }


@dataclass(frozen=True)
class Run:
    """What one run showed.

    Attributes:
        responses_ms: Of the policy.
        long_per_s: Long jobs done in a second.
        long_ms: The longest job of late, without its waits.
        segment_ms: The longest segment of the long job of late.
        bound_ms: What the policy's turn said that it can be held up.
        waited_ms: The longest wait of the policy.
    """

    responses_ms: Sequence[float]
    long_per_s: float
    long_ms: float
    segment_ms: float
    bound_ms: float
    waited_ms: float

    @property
    def p99_ms(self) -> float:
        """Response time that 99 of 100 requests of the policy keep."""
        return float(np.quantile(self.responses_ms, 0.99))


class _Nodes:
    """The two processes."""

    def __init__(self, folder: Path, long: subprocess.Popen[str], policy: subprocess.Popen[str]) -> None:
        self._folder = folder
        self._both = (long, policy)
        self._runs = 0

    def run(self, way: str, load: str, seconds: float, *, same_core: bool = False) -> Run:
        """Run both, and return what it showed."""
        deadline_ns = _DEADLINES_NS[way]
        long_hz = _LOADS[load]
        long, policy = self._go(
            {"segmented": way == "segmented", "interval_ns": round(1e9 / long_hz) if long_hz else 0},
            {
                "deadline_ns": deadline_ns,
                "period_ns": _PERIOD_NS,
                "interval_ns": _PERIOD_NS,
                "queue": way != "segmented",
            },
            run_ns=round(seconds * 1e9),
            same_core=same_core,
        )
        figures = policy["figures"]
        return Run(
            [each * _MS for each in policy["responses_ns"]],
            len(long["responses_ns"]) / (long["took_ns"] * 1e-9),
            long["figures"]["turn.job_max_ms"],
            long["figures"]["turn.segment_max_ms"],
            figures["turn.blocking_ms"],
            figures["turn.waited_max_ms"],
        )

    def handovers_us(self) -> list[float]:
        """Return the times from the end of a turn to the begin of the next one in the other process."""
        both = self._go({}, {}, jobs=_HANDOVERS, hold_ns=_HOLD_NS)
        stamps = sorted(
            (stamp_ns, kind, node)
            for node, answer in enumerate(both)
            for kind in ("begins_ns", "ends_ns")
            for stamp_ns in answer[kind]
        )
        return [
            (second[0] - first[0]) * 1e-3
            for first, second in itertools.pairwise(stamps)
            if first[1] == "ends_ns" and second[1] == "begins_ns" and first[2] != second[2]
        ]

    def _go(
        self,
        *own: dict[str, Any],
        run_ns: int = 0,
        jobs: int = 0,
        hold_ns: int = 0,
        same_core: bool = False,
    ) -> list[dict[str, Any]]:
        cores = sorted(os.sched_getaffinity(0))
        common = {
            "folder": str(self._folder),
            "cores": cores[:1] if same_core else cores,
            "segmented": False,
            "deadline_ns": 0,
            "period_ns": 0,
            "interval_ns": 0,
            "queue": False,
            "jobs": jobs,
            "hold_ns": hold_ns,
        }
        self._open([{**common, **order} for order in own])
        go = {"begin_ns": time.monotonic_ns() + _LEAD_NS, "run_ns": run_ns}
        for process in self._both:
            _tell(process, go)
        answers = [_answer(process) for process in self._both]
        for process in self._both:
            _tell(process, {})
        return answers

    def _open(self, orders: Sequence[dict[str, Any]]) -> None:
        """Open a turn in each, one after the other, so that each warms up alone."""
        refused = ""
        for _ in range(_ATTEMPTS):
            self._runs += 1
            for process, name, order in zip(self._both, ("long", "policy"), orders, strict=True):
                _tell(process, {**order, "device": f"run{self._runs}", "name": name})
                refused = _answer(process)["refused"]
            if not refused:
                return
            _tell(self._both[0], {})  # the machine stood still as the long job warmed up
        raise RuntimeError(f"the policy was refused {_ATTEMPTS} times: {refused}")


@contextmanager
def _nodes(folder: Path) -> Iterator[_Nodes]:
    with (
        _process(LAYERS, _WIDTH, LONG_S) as long,
        _process(POLICY_LAYERS, _POLICY_WIDTH, POLICY_S) as policy,
    ):
        yield _Nodes(folder, long, policy)


@contextmanager
def _process(layers: int, width: int, cost_s: float) -> Iterator[subprocess.Popen[str]]:
    threads = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    command = [sys.executable, "-m", "lowlat_nodes.benchmarks._kernels_segments_node"]
    with subprocess.Popen(
        [*command, str(layers), str(width), str(cost_s)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **dict.fromkeys(threads, "1")},
    ) as process:
        try:
            _answer(process)  # once it is calibrated, undisturbed by the next one
            yield process
            process.communicate(timeout=_PATIENCE_S)  # closes its input, which ends it
        finally:
            process.kill()


def _tell(process: subprocess.Popen[str], order: dict[str, Any]) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(order) + "\n")
    process.stdin.flush()


def _answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    output: IO[str] | None = process.stdout
    assert output is not None
    line = output.readline()
    if not line:
        raise RuntimeError("a node of the benchmark has ended; what it printed says why")
    answer: dict[str, Any] = json.loads(line)
    return answer


def _headline(runs: dict[tuple[str, str], list[Run]]) -> dict[str, Any]:
    def p99_ms(way: str) -> float:
        return max(statistics.median(run.p99_ms for run in runs[way, load]) for load in _LOADS)

    segmented = [run for load in _LOADS for run in runs["segmented", load]]
    pairs = zip(runs["segmented", "saturated"], runs["fifo", "saturated"], strict=True)
    ratio = statistics.median(ours.long_per_s / fifo.long_per_s for ours, fifo in pairs)
    control_p99_ms = p99_ms("segmented")
    return {
        "control_p99_ms": control_p99_ms,
        "fifo_p99_ms": p99_ms("fifo"),
        "edf_unsegmented_p99_ms": p99_ms("edf"),
        "throughput_ratio": ratio,
        "blocking_bound_ms": statistics.median(run.bound_ms for run in segmented),
        "blocking_worst_ms": statistics.median(run.waited_ms for run in segmented),
        "ok": control_p99_ms <= _P99_MS and ratio >= _THROUGHPUT,
    }


def _summary(runs: Sequence[Run]) -> dict[str, float]:
    def median(values: Iterator[float]) -> float:
        return float(statistics.median(values))

    return {
        "control_p50_ms": median(float(np.median(run.responses_ms)) for run in runs),
        "control_p99_ms": median(run.p99_ms for run in runs),
        "control_max_ms": median(max(run.responses_ms) for run in runs),
        "late_share": median(float(np.mean(np.array(run.responses_ms) > 1e3 / POLICY_HZ)) for run in runs),
        "waited_max_ms": median(run.waited_ms for run in runs),
        "bound_ms": median(run.bound_ms for run in runs),
        "long_per_s": median(run.long_per_s for run in runs),
        "long_segment_max_ms": median(run.segment_ms for run in runs),
    }


def _refusal(folder: Path, long_ms: float) -> str:
    """Return what a policy is told beside a job of one piece; nothing if it is let in."""
    with (
        closing(SharedTurn("impossible", "long", folder=folder)) as long,
        closing(
            SharedTurn("impossible", "policy", period_ns=20_000_000, deadline_ns=20_000_000, folder=folder)
        ) as policy,
    ):
        with long.job():
            time.sleep(long_ms * 1e-3)
        long.declare()
        with policy.job():
            time.sleep(POLICY_S)
        try:
            policy.declare()
        except ConfigurationError as error:
            return str(error)
    return ""


def _alone_us(folder: Path) -> tuple[float, float]:
    """Return what giving way and a whole turn cost when nobody else wants the device."""

    def job() -> None:
        with turn.job():
            pass

    with closing(SharedTurn("alone", "long", folder=folder)) as turn:
        turn_us = min(timeit.repeat(job, number=_CALLS, repeat=5)) / _CALLS * 1e6
        with turn.job():
            between_us = min(timeit.repeat(turn.between, number=_CALLS, repeat=5)) / _CALLS * 1e6
    return between_us, turn_us
