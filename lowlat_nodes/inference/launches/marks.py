# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a trace is which inference."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.inference.launches.trace import Launch, Span, Trace

_OURS = re.compile(r"lowlat\.inference batch=(\d{1,9})\Z")
_PLAIN = re.compile(r"lowlat\.unprofiled batch=(\d{1,9}) us=(\d{1,12}\.\d)\Z")
_STEP = re.compile(r"ProfilerStep#\d+\Z")


@dataclass(frozen=True)
class Inference:
    """A part of a trace.

    Attributes:
        batch: Its batch size, 0 where it is not known.
        span: When it ran on the host.
        launches: What it launched, in the order of time.
        operators: What it called on the host, nested ones too, in the order of time.
        waits: Where it waited for the device.
        busy_us: How long some stream of the device worked, on whatever, from the first launch to the end of
            what was launched.
    """

    batch: int
    span: Span
    launches: Sequence[Launch]
    operators: Sequence[Span]
    waits: Sequence[Span]
    busy_us: float


def mark(batch: int) -> str:
    """Return the name under which an inference is to be marked in a trace."""
    return f"lowlat.inference batch={batch}"


def unprofiled_mark(batch: int, latency_us: float) -> str:
    """Return the name of a mark that tells how long an inference takes without the profiler."""
    return f"lowlat.unprofiled batch={batch} us={latency_us:.1f}"


def unprofiled_us(trace: Trace) -> dict[int, float]:
    """Return how long an inference of each batch size takes without the profiler, as far as is known."""
    found = (_PLAIN.match(span.name) for span in trace.marks)
    return {int(each[1]): float(each[2]) for each in found if each}


def inferences(trace: Trace) -> list[Inference]:
    """Return the inferences of a trace, by time.

    Those that `mark` names; where there are none, the steps of PyTorch's profiler; else the whole trace as
    one. Of marks that overlap, as those of several threads, only the first counts: what is launched meanwhile
    by whatever thread is taken for its own.
    """
    marks = [(int(found[1]), span) for span in trace.marks if (found := _OURS.match(span.name))]
    marks = marks or [(0, span) for span in trace.marks if _STEP.match(span.name)]
    marks = marks or [(0, span) for span in _whole(trace)]
    work = _Work(trace)
    calls = [launch.call.start_us for launch in trace.launches]
    operators = [span.start_us for span in trace.operators]
    waits = [span.start_us for span in trace.waits]
    result: list[Inference] = []
    for batch, span in marks:
        if result and span.start_us < result[-1].span.end_us:
            continue
        launches = trace.launches[_within(calls, span)]
        busy_us = 0.0
        if launches:
            end_us = max(activity.end_us for launch in launches for activity in launch.activities)
            busy_us = work.between_us(launches[0].call.start_us, end_us)
        result.append(
            Inference(
                batch,
                span,
                launches,
                trace.operators[_within(operators, span)],
                trace.waits[_within(waits, span)],
                busy_us,
            )
        )
    return result


def by_batch(trace: Trace) -> list[tuple[int, list[Inference]]]:
    """Return the inferences of each batch size, the smallest first."""
    found: dict[int, list[Inference]] = defaultdict(list)
    for inference in inferences(trace):
        found[inference.batch].append(inference)
    return sorted(found.items())


def _within(starts: Sequence[float], span: Span) -> slice:
    """Return which of what begins at these times begins in a span."""
    return slice(bisect_left(starts, span.start_us), bisect_left(starts, span.end_us))


class _Work:
    """When some stream of some device works."""

    def __init__(self, trace: Trace) -> None:
        self._starts: list[float] = []  # of intervals that are apart
        self._ends: list[float] = []
        self._sums = [0.0]  # of their lengths, before each
        for activity in trace.activities:
            if self._ends and activity.start_us <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], activity.end_us)
            else:
                self._starts.append(activity.start_us)
                self._ends.append(activity.end_us)
        for start_us, end_us in zip(self._starts, self._ends, strict=True):
            self._sums.append(self._sums[-1] + end_us - start_us)

    def between_us(self, start_us: float, end_us: float) -> float:
        """Return how long it works between two times."""
        return self._until_us(end_us) - self._until_us(start_us)

    def _until_us(self, time_us: float) -> float:
        begun = bisect_left(self._starts, time_us)
        return self._sums[begun] - (max(0.0, self._ends[begun - 1] - time_us) if begun else 0.0)


def _whole(trace: Trace) -> list[Span]:
    """Return the time that a trace covers on the host, nothing if it is empty."""
    spans = [*trace.operators, *trace.waits, *(launch.call for launch in trace.launches)]
    if not spans:
        return []
    start_us, end_us = min(span.start_us for span in spans), max(span.end_us for span in spans)
    return [Span("trace", start_us, max(end_us, start_us + 1e-3), ("", ""))]
