# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat energy show`: who uses how much, live, as CSV, as JSON, and as a picture over time."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from lowlat_nodes.cli import energy_history, energy_plot
from lowlat_nodes.cli.arguments import positive
from lowlat_nodes.cli.energy_source import FigureSource, HostSource, RemoteSource
from lowlat_nodes.cli.energy_table import reasons, tables
from lowlat_nodes.cli.zmq_arguments import add_client_keys, client_keys
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.plain import to_plain
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra

_PLAIN_WIDTH = 160
_LOOK_S = 1.0
_SILENT_S = 3.0  # of a sampler that publishes once a second


def main(argv: Sequence[str]) -> int:
    """Run `lowlat energy show`.

    Returns:
        0; 1 if no figures came.
    """
    options = _parse(argv)
    if options.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise MissingExtra("matplotlib", extra="viz")  # now, and not after an hour of figures
    if options.recorded is not None:
        energy_plot.draw(energy_history.read(options.recorded), options.plot)
        print(f"wrote {options.plot}")
        return 0
    (keys,) = client_keys(options, 1)
    with stop_on_signals() as stop, contextlib.ExitStack() as cleanup:
        source = RemoteSource(options.zmq, keys) if options.zmq else HostSource()
        cleanup.callback(source.close)
        show = _Show(options, cleanup)
        _follow(source, show, stop, options)
    if not show.seen:
        print(f"lowlat energy show: {source.why()}", file=sys.stderr)
        return 1
    if options.plot is not None:
        energy_plot.draw(show.rows, options.plot)
        print(f"wrote {options.plot}", file=sys.stderr)
    return 0


class _Show:
    """Hands figures to the terminal, to a CSV file, and to the picture that is drawn at the end."""

    def __init__(self, options: argparse.Namespace, cleanup: contextlib.ExitStack) -> None:
        self.rows: list[energy_history.Row] = []
        self.seen = 0
        self._options = options
        self._in_place = sys.stdout.isatty() and not (options.json or options.once)
        self._drawn = 0
        self._writer = None
        if options.csv is not None:
            try:
                options.csv.parent.mkdir(parents=True, exist_ok=True)
                file = cleanup.enter_context(options.csv.open("w", encoding="utf-8", newline=""))
            except OSError as error:
                raise ConfigurationError(f"cannot write {options.csv}: {error.strerror or error}") from error
            self._writer = energy_history.Writer(file)

    def take(self, figures: Figures) -> None:
        """Show the figures of one moment."""
        self.seen += 1
        if self._writer is not None:
            self._writer.add(figures)
        if self._options.plot is not None and len(self.rows) < energy_history.MAX_ROWS:
            self.rows += energy_history.rows(figures)
        if self._options.json:
            print(json.dumps(to_plain(figures)), flush=True)
            return
        self._print([*tables(figures, _width()), *self._reasons(figures)])

    def say(self, line: str) -> None:
        """Show what there is instead of figures."""
        if not self._options.json:
            self._print([line[: _width()]])

    def _reasons(self, figures: Figures) -> list[str]:
        return ["", *reasons(figures)] if self._options.why else []

    def _print(self, lines: Sequence[str]) -> None:
        if self._in_place:
            # Up over the table before, each line anew, and nothing left below.
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            lines = [*lines, f"{time.strftime('%H:%M:%S')}  Ctrl-C ends"]
            fitting = lines[: max(2, os.get_terminal_size().lines - 1)]
            print(up + "".join(f"\x1b[2K{line[: _width()]}\n" for line in fitting), end="\x1b[J", flush=True)
            self._drawn = len(fitting)
        else:
            print("\n".join(lines), end="\n" if self._options.once else "\n\n", flush=True)


def _follow(source: FigureSource, show: _Show, stop: StopRequest, options: argparse.Namespace) -> None:
    """Show figures until there were enough, or somebody has seen enough."""
    begin_s = time.monotonic()
    if options.once:
        figures = source.next(stop, min(options.wait, options.seconds))
        if figures is not None:
            show.take(figures)
        return
    heard_s, told = begin_s, ""
    while not stop.is_set() and (left_s := begin_s + options.seconds - time.monotonic()) > 0.0:
        figures = source.next(stop, min(_LOOK_S, left_s))
        if figures is not None:
            show.take(figures)
            heard_s, told = time.monotonic(), ""
        elif time.monotonic() - heard_s > _SILENT_S and not stop.is_set() and source.why() != told:
            told = source.why()
            show.say(told)


def _width() -> int:
    return os.get_terminal_size().columns if sys.stdout.isatty() else _PLAIN_WIDTH


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat energy show",
        description="Show where the power of each meter goes and what a result of each node costs, as the "
        "sampler of this host publishes it once a second (lowlat energyd, or energy_node).",
    )
    parser.add_argument("--once", action="store_true", help="print the tables once and end")
    parser.add_argument(
        "--wait", type=positive, default=10.0, metavar="S", help="how long --once waits for figures (10)"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a second instead")
    parser.add_argument(
        "--for", dest="seconds", type=positive, default=math.inf, metavar="S", help="end after so long"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="write the figures there too, a row for each"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.svg", help="at the end, draw power and joules per result over time"
    )
    parser.add_argument(
        "--from", dest="recorded", type=Path, metavar="FILE.csv", help="draw what --csv has written before"
    )
    parser.add_argument("--why", action="store_true", help="say why meters are missing, and the remedy")
    parser.add_argument(
        "--zmq", default="", metavar="ENDPOINT", help="show another host, where a sampler publishes there"
    )
    add_client_keys(parser)
    options = parser.parse_args(argv)
    if options.recorded is not None and options.plot is None:
        parser.error("expected --plot FILE.svg with --from")
    if options.recorded is not None and (options.once or options.json or options.csv or options.zmq):
        parser.error("--from draws a file; expected nothing but --plot with it")
    return options
