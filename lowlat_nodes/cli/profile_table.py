# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of `lowlat profile` as a table, with the verdict below."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from lowlat_nodes.cli.printable import printable
from lowlat_nodes.inference.launches.figures import Figures
from lowlat_nodes.inference.launches.operators import OperatorFigures
from lowlat_nodes.inference.launches.trace import Trace
from lowlat_nodes.inference.launches.verdict import Verdict

_NAME_WIDTH = 88
_SLOWED = 1.2


def as_text(
    name: str,
    trace: Trace,
    launches: Sequence[Figures],
    operators: Sequence[OperatorFigures],
    judged: Verdict,
) -> str:
    """Return the table, what took most time, the verdict and what to do, as lines of text."""
    launching = [each for each in launches if each.launches]
    lines = [f"{printable(name)}: per inference, medians in µs", ""]
    if launching:
        lines += _launch_table(launching)
        lines += _costs("kernels", launching[0])
    elif operators:
        lines += _operator_table(operators)
        lines += _costs("operators", operators[0])
    notes = [*_notes(trace, launching), *_slowed(launching or operators)]
    lines += ["", *notes, f"{judged.text}.", judged.advice]
    if operators and not launching:
        lines.append(_around(operators[0]))
    return "\n".join(lines)


def _around(figures: OperatorFigures) -> str:
    """Return how much of the time the framework and the program around it take.

    The profiler lengthens operators, and even more what is between them, so there are only bounds.
    """
    at = f" at batch size {figures.batch}" if figures.batch else ""
    whole_us, most_us = figures.latency_us, figures.outside_us
    least_us = most_us
    if not math.isnan(figures.unprofiled_us):
        whole_us = min(whole_us, figures.unprofiled_us)
        least_us, most_us = max(0.0, whole_us - figures.operator_us), min(most_us, whole_us)
    if least_us == 0.0 and most_us == whole_us > 0.0:
        return f"How much of it{at} is outside of operators, the profiler is too slow to tell."
    range_us = _short(most_us) if least_us >= most_us else f"{_short(least_us)} to {_short(most_us)}"
    return (
        f"Outside of operators{at}: {range_us} of {_short(whole_us)} µs, for making inputs, for Python "
        "and for the framework itself."
    )


def _launch_table(figures: Sequence[Figures]) -> list[str]:
    counts = ("launches", "graphs", "kernels", "copies")
    times = {
        "TKLQT": "tklqt_us",
        "per launch": "launch_us",
        "in kernels": "kernel_us",
        "busy": "busy_us",
        "gaps": "gap_us",
        "submit": "submit_us",
        "waits": "wait_us",
        "latency": "latency_us",
        "unprofiled": "unprofiled_us",
    }
    rows = [
        [
            str(each.batch or "?"),
            *(f"{getattr(each, name):.0f}" for name in counts),
            *(_short(getattr(each, name)) for name in times.values()),
        ]
        for each in figures
    ]
    return _aligned([["batch", *counts, *times], *rows])


def _operator_table(figures: Sequence[OperatorFigures]) -> list[str]:
    rows = [
        [
            str(each.batch or "?"),
            f"{each.operators:.0f}",
            *map(_short, (each.operator_us, each.outside_us, each.latency_us, each.unprofiled_us)),
        ]
        for each in figures
    ]
    return _aligned([["batch", "operators", "in operators", "outside", "latency", "unprofiled"], *rows])


def _costs(what: str, figures: Figures | OperatorFigures) -> Iterator[str]:
    at = f" at batch size {figures.batch}" if figures.batch else ""
    yield ""
    yield f"{what} that take most{at} (mean of {figures.inferences}):"
    rows = [[_short(cost.total_us), f"{cost.count:.3g} x", _cut(cost.name)] for cost in figures.costliest]
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for total, count, name in rows:
        yield f"  {total:>{widths[0]}}  {count:>{widths[1]}}  {name}"


def _notes(trace: Trace, launching: Sequence[Figures]) -> Iterator[str]:
    """Yield what the trace leaves in doubt."""
    if not trace.complete:
        yield "note: the trace ends in the middle; what is missing is not counted"
    if trace.lost and launching:
        yield f"note: {trace.lost} launches without kernels in the trace, as of captures, are not counted"
    if trace.orphans:
        yield f"note: {trace.orphans} kernels and copies without their launch in the trace are not counted"
    if trace.ambiguous:
        yield f"note: {trace.ambiguous} kernels and copies are claimed by several launches: a merged trace?"
    if trace.malformed:
        yield f"note: {trace.malformed} events could not be read"
    early = sum(each.early for each in launching)
    if early:
        yield f"note: {early} kernels began before their launch: host and device clocks differ"


def _slowed(figures: Sequence[Figures] | Sequence[OperatorFigures]) -> Iterator[str]:
    """Yield how much the profiler falsifies, if it is much."""
    factors = [each.latency_us / each.unprofiled_us for each in figures if each.unprofiled_us > 0.0]
    if factors and max(factors) > _SLOWED:
        yield (
            f"note: the profiler makes inferences up to {max(factors):.2g} times as long, on the host: it "
            "overstates short operators and what is around them"
        )


def _short(value: float) -> str:
    if math.isnan(value):
        return "?"
    return f"{value:.1f}" if value < 100.0 else f"{value:.0f}"


def _cut(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME_WIDTH else f"{text[: _NAME_WIDTH - 3]}..."


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
