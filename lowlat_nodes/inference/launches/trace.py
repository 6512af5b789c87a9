# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a trace of PyTorch's profiler (Kineto) says of launches, and of what they started on the device.

Kineto writes a host call (`cuda_runtime`, `cuda_driver`) and what it started on the device (`kernel`,
`gpu_memcpy`, `gpu_memset`) as events of their own with one `correlation`; a graph launch starts many. Times
are microseconds of one clock, to which the device's times were converted; here since the first event that is
kept. HIP calls have the same form.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from lowlat_nodes.inference.launches.trace_file import Events, open_trace
from lowlat_nodes.stream.errors import ConfigurationError

MOST_EVENTS = 2_000_000
"""Of the kinds that are kept."""

_LONGEST_NAME = 512
_LATEST_US = 1e17  # 3,000 years
_KEPT: Mapping[str, str] = {
    "cuda_runtime": "call",
    "cuda_driver": "call",
    "runtime": "call",
    "driver": "call",
    "kernel": "kernel",
    "gpu_memcpy": "copy",
    "memcpy": "copy",
    "gpu_memset": "set",
    "memset": "set",
    "cpu_op": "operator",
    "operator": "operator",
    "node": "operator",  # of ONNX Runtime
    "user_annotation": "mark",
}
_LAUNCHES = re.compile(r"(cuda|cu|hip)(?!\w*HostFunc)\w*Launch")
_WAITS = re.compile(r"(cuda|cu|hip|cuCtx|cuStream|cuEvent)\w*Synchronize")


class Span(NamedTuple):
    """Something that took its time: a call, an operator or a marked part of the program.

    Attributes:
        name: Of the function, operator or mark.
        start_us: When it began.
        end_us: When it ended.
        thread: Process and thread.
    """

    name: str
    start_us: float
    end_us: float
    thread: tuple[str, str]


class Activity(NamedTuple):
    """What a device did: a kernel, a copy or a set of memory.

    Attributes:
        kind: kernel, copy or set.
        name: Of the kernel, or the direction of the copy.
        start_us: When it began.
        end_us: When it ended.
        device: Its number.
        stream: Number of the stream on it.
    """

    kind: str
    name: str
    start_us: float
    end_us: float
    device: int
    stream: int


class Launch(NamedTuple):
    """A host call and what it started, by the time of its start.

    Attributes:
        call: cudaLaunchKernel, cuLaunchKernelEx, cudaGraphLaunch, cudaMemcpyAsync and so on.
        activities: At least one; several of a graph.
    """

    call: Span
    activities: tuple[Activity, ...]


@dataclass(frozen=True)
class Trace:
    """A trace, in the order of time.

    Attributes:
        launches: Each call that started something.
        activities: All that devices did, launched or not.
        waits: Calls in which the host waited for the device.
        operators: Operators of PyTorch or ONNX Runtime on the host, nested ones too.
        marks: Parts of the program that the program itself marked.
        lost: Launches of kernels and graphs whose kernels are not in the trace; those that were captured into
            a graph start none.
        orphans: Activities whose call is not in the trace.
        ambiguous: Activities whose call cannot be told, as several have its correlation: a merged trace.
        malformed: Events without the fields of their kind.
        unknown: Events of categories that are not read, by category.
        complete: Whether the trace was read to its end.
    """

    launches: tuple[Launch, ...] = ()
    activities: tuple[Activity, ...] = ()
    waits: tuple[Span, ...] = ()
    operators: tuple[Span, ...] = ()
    marks: tuple[Span, ...] = ()
    lost: int = 0
    orphans: int = 0
    ambiguous: int = 0
    malformed: int = 0
    unknown: Mapping[str, int] = field(default_factory=dict)
    complete: bool = True


def read_trace(path: Path) -> Trace:
    """Return what is in a trace file, plain or packed by gzip.

    Raises:
        ConfigurationError: If it cannot be read, is no trace, or holds too much.
    """
    with open_trace(path) as text:
        events = Events(text, str(path))
        found = trace_of(events, str(path))
        return replace(found, complete=events.complete)


def trace_of(events: Iterable[Any], name: str = "trace") -> Trace:
    """Return what is in events of the Trace Event Format, each as its JSON is in memory.

    Args:
        events: In any order.
        name: Of the trace, for messages.

    Raises:
        ConfigurationError: If there are too many.
    """
    builder = _Builder(name)
    for event in events:
        builder.add(event)
    return builder.build()


class _Builder:
    """Collects events, and pairs calls with what they started."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kept = self._malformed = 0
        self._origin_us = math.nan
        self._unknown: Counter[str] = Counter()
        self._calls: list[tuple[Span, int]] = []  # with correlations
        self._activities: list[tuple[Activity, int]] = []
        self._spans: dict[str, list[Span]] = {"operator": [], "mark": []}

    def add(self, event: Any) -> None:
        """Take in an event of any kind."""
        if not isinstance(event, dict):
            self._malformed += 1
            return
        if event.get("ph") != "X":  # a name of a thread, an arrow, a moment
            return
        category = event.get("cat")
        kind = _KEPT.get(category.lower()) if isinstance(category, str) else None
        if kind is None:
            self._unknown[str(category)[:_LONGEST_NAME]] += 1
            return
        start_us, duration_us = _time(event.get("ts")), _time(event.get("dur"))
        if math.isnan(start_us) or not duration_us >= 0.0:
            self._malformed += 1
            return
        self._kept += 1
        if self._kept > MOST_EVENTS:
            raise ConfigurationError(
                f"{self._name}: expected at most {MOST_EVENTS} calls, kernels and operators; profile fewer "
                f"inferences"
            )
        # Since 1970 there are so many µs that a double holds no tenths of them.
        self._origin_us = start_us if math.isnan(self._origin_us) else self._origin_us
        start_us -= self._origin_us
        self._keep(kind, event, start_us, start_us + duration_us)

    def _keep(self, kind: str, event: Mapping[str, Any], start_us: float, end_us: float) -> None:
        given = event.get("args")
        args: Mapping[str, Any] = given if isinstance(given, dict) else {}
        # A node of ONNX Runtime has the name of its place in the graph, and beside it that of its operator.
        name = str(args.get("op_name", event.get("name", "")))[:_LONGEST_NAME]
        if kind in {"kernel", "copy", "set"}:
            device, stream = _whole(args.get("device")), _whole(args.get("stream"))
            activity = Activity(kind, name, start_us, end_us, device, stream)
            self._activities.append((activity, _whole(args.get("correlation"))))
            return
        span = Span(name, start_us, end_us, (str(event.get("pid"))[:64], str(event.get("tid"))[:64]))
        if kind == "call":
            self._calls.append((span, _whole(args.get("correlation"))))
        else:
            self._spans[kind].append(span)

    def build(self) -> Trace:
        """Return the trace of all that was added."""
        started: dict[int, list[Activity]] = {}
        orphans = 0
        for activity, correlation in self._activities:
            if correlation > 0:
                started.setdefault(correlation, []).append(activity)
            else:
                orphans += 1
        calls, ambiguous_ids = self._calls_by_correlation(started)
        ambiguous = sum(len(started.pop(correlation)) for correlation in ambiguous_ids)
        launches = [
            Launch(calls[correlation], tuple(sorted(activities, key=_start)))
            for correlation, activities in started.items()
            if correlation in calls
        ]
        orphans += sum(len(found) for correlation, found in started.items() if correlation not in calls)
        lost = sum(
            correlation not in started and correlation not in ambiguous_ids
            for span, correlation in self._calls
            if _LAUNCHES.match(span.name)
        )
        return Trace(
            launches=tuple(sorted(launches, key=lambda launch: launch.call.start_us)),
            activities=tuple(sorted((activity for activity, _ in self._activities), key=_start)),
            waits=tuple(sorted((span for span, _ in self._calls if _WAITS.match(span.name)), key=_start)),
            operators=tuple(sorted(self._spans["operator"], key=_start)),
            marks=tuple(sorted(self._spans["mark"], key=_start)),
            lost=lost,
            orphans=orphans,
            ambiguous=ambiguous,
            malformed=self._malformed,
            unknown=dict(self._unknown),
        )

    def _calls_by_correlation(self, wanted: Mapping[int, list[Activity]]) -> tuple[dict[int, Span], set[int]]:
        """Return the outermost call of each correlation, and the correlations that several calls have."""
        calls: dict[int, Span] = {}
        ambiguous: set[int] = set()
        for span, correlation in sorted(self._calls, key=lambda call: (call[0].start_us, -call[0].end_us)):
            if correlation not in wanted:
                continue
            former = calls.setdefault(correlation, span)
            # A runtime call makes a driver call, which may be traced as well.
            if span is not former and (span.thread != former.thread or span.end_us > former.end_us):
                ambiguous.add(correlation)
        return calls, ambiguous


def _start(span: Span | Activity) -> float:
    return span.start_us


def _time(value: Any) -> float:
    """Return a time in µs, NaN for what is none."""
    if isinstance(value, float | int) and not isinstance(value, bool) and abs(value) < _LATEST_US:
        return float(value)
    return math.nan


def _whole(value: Any) -> int:
    """Return a whole number of 64 bits that is not negative, -1 for what is none."""
    return value if type(value) is int and 0 <= value < 1 << 63 else -1
