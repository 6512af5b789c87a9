# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What launching cost an inference: the figures of SKIP (arXiv 2504.11750).

TKLQT, the total kernel launch and queuing time, is the sum over launches of kernels of the time from the
beginning of the host's call to the beginning of the kernel. The paper sums over kernels, which is the same
unless a CUDA graph is launched: its later kernels wait for its former ones and not for the host, so a graph
counts once here, until its first kernel.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from statistics import median

from lowlat_nodes.inference.launches.marks import Inference, by_batch, unprofiled_us
from lowlat_nodes.inference.launches.trace import Activity, Launch, Span, Trace

_GRAPH = "GraphLaunch"


@dataclass(frozen=True)
class Cost:
    """What all runs of a kernel or operator took, per inference.

    Attributes:
        name: Of the kernel or operator.
        count: How often, on average.
        total_us: How long, on average.
    """

    name: str
    count: float
    total_us: float


@dataclass(frozen=True)
class Figures:
    """One inference: medians over those of a batch size, each figure for itself. Times are µs.

    Attributes:
        batch: The batch size, 0 where the trace does not say it.
        inferences: How many there were.
        launches: Calls that started kernels.
        graphs: Those of them that launched a graph.
        kernels: Kernels that ran.
        copies: Copies and sets of memory by the device.
        tklqt_us: From call to kernel, over all launches.
        kernel_us: All kernels together.
        busy_us: In which some stream of the device worked, on whatever, from the first launch to the end of
            the last work.
        gap_us: In which none did.
        submit_us: From the first launch of a kernel to the end of the last, without waiting for the device.
        wait_us: In which the host waited for the device.
        latency_us: From the beginning to the end of the last work, on the host or on the device.
        unprofiled_us: The latency without the profiler, which makes the host slower; NaN if it is not known.
        early: Kernels that began before their call, as clocks are compared, in all inferences together; they
            count as launched in no time.
        costliest: The kernels that took most time; means over all inferences.
    """

    batch: int
    inferences: int
    launches: float = 0.0
    graphs: float = 0.0
    kernels: float = 0.0
    copies: float = 0.0
    tklqt_us: float = 0.0
    kernel_us: float = 0.0
    busy_us: float = 0.0
    gap_us: float = 0.0
    submit_us: float = 0.0
    wait_us: float = 0.0
    latency_us: float = 0.0
    unprofiled_us: float = math.nan
    early: int = 0
    costliest: tuple[Cost, ...] = ()

    @property
    def launch_us(self) -> float:
        """Return the mean time from call to kernel, NaN without launches."""
        return self.tklqt_us / self.launches if self.launches else math.nan

    @property
    def idle_us(self) -> float:
        """Return in how much of the latency no stream of the device worked."""
        return max(0.0, self.latency_us - self.busy_us)


def figures(trace: Trace, most: int = 10) -> list[Figures]:
    """Return the figures of each batch size of a trace, the smallest first.

    Args:
        trace: With any number of inferences.
        most: How many kernels are named.
    """
    unprofiled = unprofiled_us(trace)
    return [
        replace(_of_batch(batch, found, most), unprofiled_us=unprofiled.get(batch, math.nan))
        for batch, found in by_batch(trace)
    ]


def costliest(spans: Iterable[tuple[str, float]], times: int, most: int) -> tuple[Cost, ...]:
    """Return what took most time per inference.

    Args:
        spans: Names and times, µs, of all inferences together.
        times: How many inferences that were.
        most: How many are named.
    """
    totals: dict[str, list[float]] = defaultdict(list)
    for name, elapsed_us in spans:
        totals[name].append(elapsed_us)
    costs = [Cost(name, len(each) / times, sum(each) / times) for name, each in totals.items()]
    return tuple(sorted(costs, key=lambda cost: (-cost.total_us, cost.name))[:most])


def covered_us(spans: Iterable[tuple[float, float]]) -> float:
    """Return the length of the union of intervals, µs."""
    total_us, until_us = 0.0, -math.inf
    for start_us, end_us in sorted(spans):
        total_us += max(0.0, end_us - max(start_us, until_us))
        until_us = max(until_us, end_us)
    return total_us


def _of_batch(batch: int, found: Sequence[Inference], most: int) -> Figures:
    each = [_of_one(inference) for inference in found]
    names = {field.name for field in fields(Figures)} & each[0].keys()
    kernels = [
        (work.name, work.end_us - work.start_us)
        for inference in found
        for work in _works(inference.launches)
        if work.kind == "kernel"
    ]
    return Figures(
        batch,
        len(found),
        early=sum(_is_early(launch) for inference in found for launch in inference.launches),
        costliest=costliest(kernels, len(found), most),
        **{name: median(one[name] for one in each) for name in names},
    )


def _of_one(inference: Inference) -> Mapping[str, float]:
    """Return the figures of one inference by the names of `Figures`."""
    span = inference.span
    works = _works(inference.launches)
    kernels = [work for work in works if work.kind == "kernel"]
    starting = [launch for launch in inference.launches if _kernels(launch)]
    called_us = min((launch.call.start_us for launch in inference.launches), default=0.0)
    last_us = max((work.end_us for work in works), default=0.0)
    return {
        "launches": len(starting),
        "graphs": sum(_GRAPH in launch.call.name for launch in starting),
        "kernels": len(kernels),
        "copies": len(works) - len(kernels),
        "tklqt_us": sum(_launch_us(launch) for launch in starting),
        "kernel_us": sum(work.end_us - work.start_us for work in kernels),
        "busy_us": inference.busy_us,
        "gap_us": max(0.0, last_us - called_us - inference.busy_us),
        "submit_us": _submit_us(starting, inference.waits),
        "wait_us": covered_us((wait.start_us, wait.end_us) for wait in inference.waits),
        "latency_us": max(span.end_us, last_us) - span.start_us,
    }


def _works(launches: Iterable[Launch]) -> list[Activity]:
    return [work for launch in launches for work in launch.activities]


def _kernels(launch: Launch) -> list[Activity]:
    return [work for work in launch.activities if work.kind == "kernel"]


def _is_early(launch: Launch) -> bool:
    return any(work.start_us < launch.call.start_us for work in _kernels(launch)[:1])


def _launch_us(launch: Launch) -> float:
    return max(0.0, _kernels(launch)[0].start_us - launch.call.start_us)


def _submit_us(starting: Sequence[Launch], waits: Sequence[Span]) -> float:
    """Return how long the host was at it to launch all kernels."""
    if not starting:
        return 0.0
    start_us, end_us = starting[0].call.start_us, max(launch.call.end_us for launch in starting)
    waited_us = covered_us(
        (max(wait.start_us, start_us), min(wait.end_us, end_us))
        for wait in waits
        if wait.start_us < end_us and wait.end_us > start_us
    )
    return end_us - start_us - waited_us
