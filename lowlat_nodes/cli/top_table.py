# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The table of `lowlat top`, for every width, and the same as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.cli.reports import Report
from lowlat_nodes.cli.top_energy import KIND, cost_cell

_FIGURES = (
    "rate_in_hz",
    "rate_out_hz",
    "age_p50_ms",
    "age_p99_ms",
    "latency_p50_ms",
    "latency_p99_ms",
    "drops",
    "failures",
)
_LONGEST_NAME = 40
_LONGEST_COST = 24
_SHORTEST_MESSAGE = 16
_GAP = "  "


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        text: What is written.
        style: head, or the level of the node.
    """

    text: str
    style: str


@dataclass(frozen=True)
class _Column:
    title: str
    cell: Callable[[Report], str]
    left: bool = False


def _pair(p50: str, p99: str) -> Callable[[Report], str]:
    return lambda report: f"{_figure(report.number(p50))}/{_figure(report.number(p99))}"


def _single(name: str) -> Callable[[Report], str]:
    return lambda report: _figure(report.number(name))


def _latency(report: Report) -> str:
    """Return the latency of the newest result where nothing is known of the others."""
    if "latency_ms" in report.values:
        return _figure(report.number("latency_ms"))
    return _pair("latency_p50_ms", "latency_p99_ms")(report)


def _state(report: Report) -> str:
    if report.lost:
        return f"{_duration(report.silent_s)} ago"
    return _shorten(report.values.get("state", ""), _LONGEST_NAME)


_COLUMNS = {
    "node": _Column("node", lambda report: _shorten(report.node, _LONGEST_NAME), left=True),
    "level": _Column("level", lambda report: report.level, left=True),
    "state": _Column("state", _state, left=True),
    "sequence": _Column("done", _single("sequence")),
    "in": _Column("in Hz", _single("rate_in_hz")),
    "out": _Column("out Hz", _single("rate_out_hz")),
    "latency": _Column("latency p50/p99 ms", _latency),
    "age": _Column("age p50/p99 ms", _pair("age_p50_ms", "age_p99_ms")),
    "energy": _Column("energy", lambda report: _shorten(cost_cell(report), _LONGEST_COST)),
    "drops": _Column("drops", _single("drops")),
    "failures": _Column("fail", _single("failures")),
}
_LEAVE_OUT_FIRST = ("in", "failures", "age", "energy", "drops", "sequence", "state", "out", "latency")


def table(newest: Sequence[Report], width: int) -> list[Line]:
    """Lay out the reports as lines of at most `width` characters.

    Where the terminal is too narrow, columns go; the name, the level and the latency of a node go last.
    """
    columns = {name: [column.title, *map(column.cell, newest)] for name, column in _COLUMNS.items()}
    if not any("sequence" in report.values for report in newest):
        del columns["sequence"]
    if not any(KIND in report.values for report in newest):
        del columns["energy"]
    widths = {name: max(map(len, cells)) for name, cells in columns.items()}

    def used() -> int:
        return sum(widths.values()) + len(_GAP) * (len(widths) - 1)

    for name in _LEAVE_OUT_FIRST:
        if used() <= width:
            break
        widths.pop(name, None)
    room = width - used() - len(_GAP)
    lines = []
    for row in range(len(newest) + 1):
        cells = [
            columns[name][row].ljust(width) if _COLUMNS[name].left else columns[name][row].rjust(width)
            for name, width in widths.items()
        ]
        message = _message(newest[row - 1]) if row else "message"
        if room >= _SHORTEST_MESSAGE:
            cells.append(_shorten(message, room))
        style = newest[row - 1].level if row else "head"
        lines.append(Line(_GAP.join(cells)[:width].rstrip(), style))
    return lines


def summary(nodes: Sequence[Report]) -> list[dict[str, Any]]:
    """Return the reports of ROS nodes for `--json`; a figure that a node does not give is null."""
    return [
        {
            "node": report.node,
            "part": report.part,
            "level": report.level,
            "state": report.values.get("state", ""),
            "message": report.message,
            "silent_s": round(report.silent_s, 3),
            **{name: report.number(name) for name in _FIGURES},
            "last_failure": report.values.get("last_failure", ""),
            "values": dict(report.values),
        }
        for report in nodes
    ]


def _message(report: Report) -> str:
    if report.lost:
        return report.message
    failure = report.values.get("last_failure", "")
    return f"{report.message}: {failure}" if failure and failure not in report.message else report.message


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 1000.0:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10.0 else f"{value:.2f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120.0 else f"{seconds / 60.0:.0f} min"


def _shorten(text: str, width: int) -> str:
    text = _printable(text)
    return text if len(text) <= width else f"{text[: width - 3]}..."


def _printable(text: str) -> str:
    """Return text on one line, without what would command the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in " ".join(text.split()))
