# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which part of a trace is which inference."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.inference.launches.trace import Launch, Span, Trace

_OURS = re.compile(r"lowlat\.inference batch=(\d{1,9})\Z")
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
        busy: When the device worked, on whatever, from the first launch of the inference to the end of what
            it launched: begins and ends, µs, in the order of time and apart from each other.
    """

    batch: int
    span: Span
    launches: Sequence[Launch]
    operators: Sequence[Span]
    waits: Sequence[Span]
    busy: Sequence[tuple[float, float]]


def mark(batch: int) -> str:
    """Return the name under which an inference is to be marked in a trace."""
    return f"lowlat.inference batch={batch}"


def inferences(trace: Trace) -> list[Inference]:
    """Return the inferences of a trace, by time.

    Those that `mark` names; where there are none, the steps of PyTorch's profiler; else the whole trace as
    one. What several threads do at a time belongs to each inference of that time.
    """
    marks = [(int(found[1]), span) for span in trace.marks if (found := _OURS.match(span.name))]
    marks = marks or [(0, span) for span in trace.marks if _STEP.match(span.name)]
    if not marks:
        marks = [(0, span) for span in _whole(trace)]
    starts = {
        "launches": [launch.call.start_us for launch in trace.launches],
        "operators": [span.start_us for span in trace.operators],
        "waits": [span.start_us for span in trace.waits],
    }

    busy = _union(trace)
    ends = [end_us for _, end_us in busy]

    def within(kind: str, span: Span) -> slice:
        return slice(bisect_left(starts[kind], span.start_us), bisect_left(starts[kind], span.end_us))

    def busy_for(launches: Sequence[Launch]) -> list[tuple[float, float]]:
        if not launches:
            return []
        first_us = launches[0].call.start_us
        last_us = max(work.end_us for launch in launches for work in launch.activities)
        found = busy[bisect_right(ends, first_us) : bisect_left(ends, last_us) + 1]
        return [(max(start_us, first_us), min(end_us, last_us)) for start_us, end_us in found]

    result = []
    for batch, span in marks:
        launches = trace.launches[within("launches", span)]
        operators, waits = trace.operators[within("operators", span)], trace.waits[within("waits", span)]
        result.append(Inference(batch, span, launches, operators, waits, busy_for(launches)))
    return result


def _union(trace: Trace) -> list[tuple[float, float]]:
    """Return when some stream of some device works, without overlaps."""
    merged: list[tuple[float, float]] = []
    for work in trace.activities:
        if merged and work.start_us <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], work.end_us))
        else:
            merged.append((work.start_us, work.end_us))
    return merged


def _whole(trace: Trace) -> list[Span]:
    """Return the time that a trace covers on the host, nothing if it is empty."""
    spans = [*trace.operators, *trace.waits, *(launch.call for launch in trace.launches)]
    if not spans:
        return []
    start_us, end_us = min(span.start_us for span in spans), max(span.end_us for span in spans)
    return [Span("trace", start_us, max(end_us, start_us + 1e-3), ("", ""))]
