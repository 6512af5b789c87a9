# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat top`: rates, latencies, ages and drops of each node, live."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lowlat_nodes.cli.arguments import positive
from lowlat_nodes.cli.reports import Report, Reports
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.errors import MissingExtra

if TYPE_CHECKING:
    import curses

    from lowlat_nodes.nodes.diagnostics_monitor import DiagnosticsMonitor

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
_KEY_S = 0.05  # how late a key is noticed
_SETTLE_S = 1.5  # nodes report once a second
_PLAIN_WIDTH = 160
_LONGEST_NAME = 40
_SHORTEST_MESSAGE = 16
_GAP = "  "


def main(argv: Sequence[str]) -> int:
    """Run `lowlat top`.

    Returns:
        0; with `--once`, 1 if no node reported.
    """
    options = _parser().parse_args(argv)
    monitor_type = _monitor_type()
    if options.json:
        from lowlat_nodes.transport.ros.process import keep_output_clean

        keep_output_clean()
    reports = Reports(SteadyClock())
    # No KeyboardInterrupt: raised while rclpy makes a message, it would come out as another error.
    with stop_on_signals() as stop:
        monitor = monitor_type(reports.hear, options.topic)
        try:
            if options.once:
                return _once(monitor, reports, options, stop)
            if options.json or not _is_terminal():
                _lines(monitor, reports, options, stop)
            else:
                _screen(monitor, reports, options, stop)
        finally:
            monitor.close()
    return 0


def _once(
    monitor: DiagnosticsMonitor, reports: Reports, options: argparse.Namespace, stop: StopRequest
) -> int:
    deadline_s = time.monotonic() + options.wait
    while not reports.newest() and not stop.is_set() and time.monotonic() < deadline_s:
        monitor.listen(_KEY_S, stop)
    newest = reports.newest()
    if newest:  # the others follow within their period
        monitor.listen(_SETTLE_S, stop)
        newest = reports.newest()
    if stop.is_set():
        return 0
    if options.json:
        print(json.dumps(summary(newest)))
    else:
        for line in table(newest, _width()):
            print(line.text)
    if not newest:
        print(f"lowlat top: {silence(options.topic)} for {options.wait:g} s", file=sys.stderr)
    return 0 if newest else 1


def _lines(
    monitor: DiagnosticsMonitor, reports: Reports, options: argparse.Namespace, stop: StopRequest
) -> None:
    """Print the table, or one JSON object, after each interval."""
    while True:
        monitor.listen(options.interval, stop)
        if stop.is_set():
            return
        newest = reports.newest()
        text = (
            json.dumps(summary(newest))
            if options.json
            else "\n".join(x.text for x in table(newest, _width()))
        )
        print(text, flush=True)


def _screen(
    monitor: DiagnosticsMonitor, reports: Reports, options: argparse.Namespace, stop: StopRequest
) -> None:
    """Keep the table on the terminal until q is pressed."""
    import curses

    def show(screen: curses.window) -> None:
        styles = _styles()
        screen.nodelay(True)
        due_s = 0.0
        while not stop.is_set() and (key := screen.getch()) not in {ord("q"), ord("Q")}:
            if key == curses.KEY_RESIZE or time.monotonic() >= due_s:
                due_s = time.monotonic() + options.interval
                _draw(screen, _lines_of(reports.newest(), screen.getmaxyx(), options.topic), styles)
            monitor.listen(_KEY_S, stop)

    for name in ("LINES", "COLUMNS"):  # ncurses would take them for the size of the terminal for ever
        os.environ.pop(name, None)
    curses.wrapper(show)


def _lines_of(newest: Sequence[Report], size: tuple[int, int], topic: str) -> list[Line]:
    """Return what fits on a terminal of this height and width."""
    height, width = size
    title = f"lowlat top{_GAP}domain {_domain()}{_GAP}{time.strftime('%H:%M:%S')}{_GAP}q quits"
    lines = [Line(title, "title"), *table(newest, width - 1)]
    if not newest:
        lines.append(Line(f"{silence(topic)} yet", "title"))
    if len(lines) > height:
        hidden = len(lines) - height + 1
        lines = [*lines[: height - 1], Line(f"... and {hidden} more: make the terminal taller", "title")]
    return [Line(line.text[: width - 1], line.style) for line in lines]


def _draw(screen: curses.window, lines: Sequence[Line], styles: Mapping[str, int]) -> None:
    import curses

    screen.erase()
    with contextlib.suppress(curses.error):  # the terminal shrank meanwhile
        for row, line in enumerate(lines):
            screen.addstr(row, 0, line.text, styles.get(line.style, curses.A_NORMAL))
    screen.refresh()


def _styles() -> dict[str, int]:
    import curses

    styles = {
        "title": curses.A_DIM,
        "head": curses.A_REVERSE,
        "error": curses.A_BOLD,
        "silent": curses.A_BOLD,
    }
    try:
        curses.curs_set(0)
        curses.use_default_colors()
        for number, (style, colour) in enumerate(
            [("warn", curses.COLOR_YELLOW), ("error", curses.COLOR_RED), ("silent", curses.COLOR_RED)], 1
        ):
            curses.init_pair(number, colour, -1)
            styles[style] = styles.get(style, 0) | curses.color_pair(number)
    except curses.error:  # a terminal without colours
        return styles
    return styles


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


def _state(report: Report) -> str:
    return (
        f"{_duration(report.silent_s)} ago" if report.silent else _printable(report.values.get("state", ""))
    )


_COLUMNS = {
    "node": _Column("node", lambda report: _shorten(report.node, _LONGEST_NAME), left=True),
    "level": _Column("level", lambda report: report.level, left=True),
    "state": _Column("state", _state, left=True),
    "in": _Column("in Hz", _single("rate_in_hz")),
    "out": _Column("out Hz", _single("rate_out_hz")),
    "latency": _Column("latency p50/p99 ms", _pair("latency_p50_ms", "latency_p99_ms")),
    "age": _Column("age p50/p99 ms", _pair("age_p50_ms", "age_p99_ms")),
    "drops": _Column("drops", _single("drops")),
    "failures": _Column("fail", _single("failures")),
}
_LEAVE_OUT_FIRST = ("in", "failures", "age", "drops", "state", "out", "latency")


def table(newest: Sequence[Report], width: int) -> list[Line]:
    """Lay out the reports as lines of at most `width` characters.

    Where the terminal is too narrow, columns go; the name, the level and the latency of a node go last.
    """
    columns = {name: [column.title, *map(column.cell, newest)] for name, column in _COLUMNS.items()}
    widths = {name: max(map(len, cells)) for name, cells in columns.items()}

    def used() -> int:
        return sum(widths.values()) + len(_GAP) * (len(widths) - 1)

    for name in _LEAVE_OUT_FIRST:
        if used() <= width:
            break
        del widths[name]
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


def summary(newest: Sequence[Report]) -> dict[str, Any]:
    """Return the reports for `--json`; a figure that a node does not give is null."""
    return {
        "domain_id": _domain(),
        "nodes": [
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
            for report in newest
        ],
    }


def silence(topic: str) -> str:
    """Say that nothing came, and what may be the reason."""
    return f"no node has reported on {topic} in ROS domain {_domain()}"


def _message(report: Report) -> str:
    if report.silent:
        return f"last report: {report.message}"
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


def _domain() -> int:
    return int(os.environ.get("ROS_DOMAIN_ID") or 0)


def _width() -> int:
    """Return the width for lines: of the terminal, or enough for everything where there is none."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def _is_terminal() -> bool:
    known = os.environ.get("TERM", "dumb") != "dumb" and importlib.util.find_spec("_curses") is not None
    return sys.stdout.isatty() and sys.stdin.isatty() and known


def _monitor_type() -> type[DiagnosticsMonitor]:
    try:
        from lowlat_nodes.nodes.diagnostics_monitor import DiagnosticsMonitor
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error
    return DiagnosticsMonitor


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat top", description="Show rates, latencies, ages and drops of each node, live."
    )
    parser.add_argument(
        "--interval", type=positive, default=1.0, metavar="S", help="time between two updates"
    )
    parser.add_argument("--once", action="store_true", help="print the table once and end")
    parser.add_argument(
        "--wait", type=positive, default=10.0, metavar="S", help="how long --once waits for the first node"
    )
    parser.add_argument("--json", action="store_true", help="print JSON objects, one per line")
    parser.add_argument("--topic", default="/diagnostics", help="where the nodes report")
    return parser
