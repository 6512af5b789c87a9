# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The figures of `lowlat profile` as a table, with the verdict below."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lowlat_nodes.cli.printable import printable
from lowlat_nodes.inference.launches.figures import Cost, Figures
from lowlat_nodes.inference.launches.operators import OperatorFigures
from lowlat_nodes.inference.launches.trace import Trace
from lowlat_nodes.inference.launches.verdict import Verdict

_NAME_WIDTH = 88


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
        least = launching[0]
        lines += ["", *_costs("kernels", least.costliest, least.batch, least.inferences)]
    elif operators:
        lines += _operator_table(operators)
        lines += [
            "",
            *_costs("operators", operators[0].costliest, operators[0].batch, operators[0].inferences),
        ]
    lines += ["", *_notes(trace, launching), f"{judged.text}.", judged.advice]
    return "\n".join(lines)


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
            _short(each.latency_us),
            _short(each.operator_us),
            _short(each.outside_us),
            f"{each.outside_us / each.latency_us:.0%}" if each.latency_us else "",
        ]
        for each in figures
    ]
    return _aligned([["batch", "operators", "latency", "in operators", "outside", "share"], *rows])


def _costs(what: str, costs: Sequence[Cost], batch: int, inferences: int) -> Iterator[str]:
    at = f" at batch size {batch}" if batch else ""
    yield f"{what} that take most{at} (mean of {inferences}):"
    rows = [[_short(cost.total_us), f"{cost.count:.3g} x", _cut(cost.name)] for cost in costs]
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


def _short(value: float) -> str:
    return f"{value:.1f}" if value < 100.0 else f"{value:.0f}"


def _cut(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME_WIDTH else f"{text[: _NAME_WIDTH - 3]}..."


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(text.rjust(width) for text, width in zip(row, widths, strict=True)) for row in rows]
