# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat top`: rates, latencies, ages and drops of each node, live, and whether its loop goes round."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lowlat_nodes.cli.arguments import positive
from lowlat_nodes.cli.processes import Processes, plain, report
from lowlat_nodes.cli.reports import Report, Reports
from lowlat_nodes.cli.top_energy import HostBoard
from lowlat_nodes.cli.top_table import Line, summary, table
from lowlat_nodes.cli.zmq_arguments import add_watched, client_keys
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SteadyClock
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.stream.peer import PeerState

if TYPE_CHECKING:
    import curses

    from lowlat_nodes.nodes.diagnostics_monitor import DiagnosticsMonitor

_KEY_S = 0.05  # how late a key is noticed
_SETTLE_S = 1.5  # nodes report once a second
_PLAIN_WIDTH = 160
_GAP = "  "


def main(argv: Sequence[str]) -> int:
    """Run `lowlat top`.

    Returns:
        0; with `--once`, 1 if a process that `--zmq` names was not heard, or no node where none is named.
    """
    options = _parser().parse_args(argv)
    keys = client_keys(options, len(options.zmq))
    monitor_type = _monitor_type(needed=not options.zmq)
    if options.json and monitor_type is not None:
        from lowlat_nodes.transport.ros.process import keep_output_clean

        keep_output_clean()
    # No KeyboardInterrupt: raised while rclpy makes a message, it would come out as another error.
    with stop_on_signals() as stop, contextlib.ExitStack() as cleanup:
        processes = Processes(options.zmq, keys)
        cleanup.callback(processes.close)
        reports = Reports(SteadyClock())
        monitor = monitor_type(reports.hear, options.topic) if monitor_type is not None else None
        if monitor is not None:
            cleanup.callback(monitor.close)
        view = View(reports, monitor, processes, options.topic)
        if options.once:
            return _once(view, options, stop)
        if options.json or not _is_terminal():
            _lines(view, options, stop)
        else:
            _screen(view, options, stop)
    return 0


class View:
    """Everybody who is looked at.

    Args:
        reports: Of ROS nodes.
        monitor: Hears them; None without ROS.
        processes: Heard over ZeroMQ.
        topic: Where ROS nodes report.
    """

    def __init__(
        self, reports: Reports, monitor: DiagnosticsMonitor | None, processes: Processes, topic: str
    ) -> None:
        self._reports = reports
        self._monitor = monitor
        self._processes = processes
        self._topic = topic
        self._board = HostBoard()

    def listen(self, duration_s: float, stop: StopRequest) -> None:
        """Hear everybody for this long, or until `stop` is set."""
        if self._monitor is None:
            stop.wait(duration_s)
        else:
            self._monitor.listen(duration_s, stop)

    def rows(self) -> list[Report]:
        """Return what is known of each."""
        return self._nodes() + [report(*each) for each in self._heard()]

    def plain(self) -> dict[str, Any]:
        """Return the same for `--json`."""
        return {
            "domain_id": None if self._monitor is None else _domain(),
            "nodes": summary(self._nodes()),
            "processes": [plain(*each) for each in self._heard()],
        }

    def missing(self) -> str:
        """Say whom nothing has come from, and what may be the reason; empty where all were heard."""
        states = self._processes.states()
        if states:
            return "; ".join(f"{endpoint}: {state.explain()}" for endpoint, state in states if not state.said)
        return (
            ""
            if self._reports.newest()
            else f"no node has reported on {self._topic} in ROS domain {_domain()}"
        )

    def title(self) -> str:
        """Return what the table is of."""
        return f"lowlat top{_GAP}{'without ROS' if self._monitor is None else f'domain {_domain()}'}"

    def _heard(self) -> list[tuple[str, PeerState, dict[str, str]]]:
        """Return the endpoint, the state and the energy of each loop over ZeroMQ."""
        states = self._processes.states()
        energies = self._board.values([(endpoint, state.name) for endpoint, state in states])
        return [(*state, energy) for state, energy in zip(states, energies, strict=True)]

    def _nodes(self) -> list[Report]:
        return self._reports.newest(None if self._monitor is None else self._monitor.present())


def _once(view: View, options: argparse.Namespace, stop: StopRequest) -> int:
    deadline_s = time.monotonic() + options.wait
    while view.missing() and not stop.is_set() and time.monotonic() < deadline_s:
        view.listen(_KEY_S, stop)
    missing = view.missing()
    if not missing:  # the others follow within their period
        view.listen(_SETTLE_S, stop)
    if stop.is_set():
        return 0
    _print(view, as_json=options.json)
    if missing:
        print(f"lowlat top: {missing} for {options.wait:g} s", file=sys.stderr)
    return 1 if missing else 0


def _lines(view: View, options: argparse.Namespace, stop: StopRequest) -> None:
    """Print the table, or one JSON object, after each interval."""
    while True:
        view.listen(options.interval, stop)
        if stop.is_set():
            return
        _print(view, as_json=options.json)


def _print(view: View, *, as_json: bool) -> None:
    lines = [json.dumps(view.plain())] if as_json else [line.text for line in table(view.rows(), _width())]
    print("\n".join(lines), flush=True)


def _screen(view: View, options: argparse.Namespace, stop: StopRequest) -> None:
    """Keep the table on the terminal until q is pressed."""
    import curses

    def show(screen: curses.window) -> None:
        styles = _styles()
        screen.nodelay(True)
        due_s = 0.0
        while not stop.is_set() and (key := screen.getch()) not in {ord("q"), ord("Q")}:
            if key == curses.KEY_RESIZE or time.monotonic() >= due_s:
                due_s = time.monotonic() + options.interval
                _draw(screen, _lines_of(view, screen.getmaxyx()), styles)
            view.listen(_KEY_S, stop)

    for name in ("LINES", "COLUMNS"):  # ncurses would take them for the size of the terminal for ever
        os.environ.pop(name, None)
    curses.wrapper(show)


def _lines_of(view: View, size: tuple[int, int]) -> list[Line]:
    """Return what fits on a terminal of this height and width."""
    height, width = size
    rows = view.rows()
    title = f"{view.title()}{_GAP}{time.strftime('%H:%M:%S')}{_GAP}q quits"
    lines = [Line(title, "title"), *table(rows, width - 1)]
    if not rows:
        lines.append(Line(f"{view.missing()} yet", "title"))
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
        "gone": curses.A_BOLD,
    }
    try:
        curses.curs_set(0)
        curses.use_default_colors()
        for number, (style, colour) in enumerate(
            [
                ("warn", curses.COLOR_YELLOW),
                ("error", curses.COLOR_RED),
                ("silent", curses.COLOR_RED),
                ("gone", curses.COLOR_RED),
            ],
            1,
        ):
            curses.init_pair(number, colour, -1)
            styles[style] = styles.get(style, 0) | curses.color_pair(number)
    except curses.error:  # a terminal without colours
        return styles
    return styles


def _domain() -> int:
    return int(os.environ.get("ROS_DOMAIN_ID") or 0)


def _width() -> int:
    """Return the width for lines: of the terminal, or enough for everything where there is none."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def _is_terminal() -> bool:
    known = os.environ.get("TERM", "dumb") != "dumb" and importlib.util.find_spec("_curses") is not None
    return sys.stdout.isatty() and sys.stdin.isatty() and known


def _monitor_type(*, needed: bool) -> type[DiagnosticsMonitor] | None:
    try:
        from lowlat_nodes.nodes.diagnostics_monitor import DiagnosticsMonitor
    except ModuleNotFoundError as error:
        if needed:
            raise MissingExtra(error.name or "rclpy", "ros") from error
        return None
    return DiagnosticsMonitor


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat top",
        description="Show rates, latencies, ages and drops of each node, live, and who hangs or is gone.",
    )
    parser.add_argument(
        "--interval", type=positive, default=1.0, metavar="S", help="time between two updates"
    )
    parser.add_argument("--once", action="store_true", help="print the table once and end")
    parser.add_argument(
        "--wait", type=positive, default=10.0, metavar="S", help="how long --once waits for nodes"
    )
    parser.add_argument("--json", action="store_true", help="print JSON objects, one per line")
    add_watched(parser)
    return parser
