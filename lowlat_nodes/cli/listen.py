# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat listen`: shows what a ZeroMQ publisher says."""

from __future__ import annotations

import argparse
import json
import math
import queue
import statistics
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lowlat_nodes.cli.arguments import positive, whole
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.cli.zmq_arguments import add_client_keys, client_keys
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.transport.arrays import DTYPES, decode_array
from lowlat_nodes.transport.zmq.tap import Tap, Tapped

_AGES = 10_000  # of one interval that are kept for their median
_WAITING = 1000  # messages that wait to be printed
_LOOK_S = 0.05
_SHORTEST_S = 1e-3  # that a rate is told for
_GAP = "  "
_TITLES = ("topic", "schema", "content", "Hz", "kB", "age p50/max ms", "seq", "lost")
_TEXTS = 3  # columns of text, the others are figures


def main(argv: Sequence[str]) -> int:
    """Run `lowlat listen`.

    Returns:
        0; 1 if nothing came.
    """
    options = _parse(argv)
    (keys,) = client_keys(options, 1)
    tap = Tap(options.endpoint, options.topics, clock=SystemClock(), keys=keys, heartbeats=options.heartbeats)
    with stop_on_signals() as stop:
        show = _messages if options.json else _tables
        try:
            show(tap, options, stop)
        finally:
            tap.stop()
    if not tap.counts["taken"]:
        trouble = f": {tap.link.trouble}" if tap.link.trouble else ""
        print(f"lowlat listen: nothing came from {tap.endpoint}{trouble}", file=sys.stderr)
    if tap.counts["malformed"]:
        failure = printable(tap.last_failure)
        print(f"lowlat listen: {tap.counts['malformed']} malformed, such as {failure}", file=sys.stderr)
    return 0 if tap.counts["taken"] else 1


def as_json(tapped: Tapped, values: int = 0) -> dict[str, Any]:
    """Return a message as `--json` prints it: what came with it, its header, and arrays that are not long.

    Args:
        tapped: The message.
        values: The most elements of an array that is printed.
    """
    header = tapped.header
    found: dict[str, Any] = {
        "topic": tapped.topic,
        "received_ns": tapped.received_ns,
        "bytes": sum(map(len, tapped.frames)),
        "lost": tapped.lost,
        "header": _plain(header.fields),
    }
    if values:
        found["values"] = [
            _plain(decode_array(dtype, shape, frame.buffer).tolist()) if math.prod(shape) <= values else None
            for (dtype, shape), frame in zip(header.forms, tapped.frames[2:], strict=True)
        ]
    return found


@dataclass
class TopicFigures:
    """What was heard of a topic since the last table.

    Attributes:
        newest: The newest message.
        count: Of messages.
        nbytes: Of them together.
        lost: On the way.
        ages_ms: Receipt less capture (publication where there is no capture), of the first messages.
    """

    newest: Tapped
    count: int = 0
    nbytes: int = 0
    lost: int = 0
    ages_ms: list[float] = field(default_factory=list)

    def add(self, tapped: Tapped) -> None:
        """Count a message."""
        self.newest = tapped
        self.count += 1
        self.nbytes += sum(map(len, tapped.frames))
        self.lost += tapped.lost
        trace = tapped.header.trace
        sent_ns = trace.capture_ns or trace.published_ns
        if sent_ns and len(self.ages_ms) < _AGES:
            self.ages_ms.append((tapped.received_ns - sent_ns) / 1e6)

    def row(self, seconds: float) -> tuple[str, ...]:
        """Return the cells of the table, for so many seconds."""
        header = self.newest.header
        return (
            printable(self.newest.topic),
            printable(str(header.schema)),
            printable(_content(header.fields, header.forms)),
            f"{self.count / seconds:.1f}",
            f"{self.nbytes / self.count / 1e3:.1f}" if self.count else "-",
            self._age(),
            str(header.sequence),
            str(self.lost),
        )

    def _age(self) -> str:
        """Return the cell for the ages; a publisher whose clock is ahead of ours by more has none."""
        if not self.ages_ms:
            return "-"
        median_ms, largest_ms = statistics.median(self.ages_ms), max(self.ages_ms)
        if largest_ms < 0.0:
            return f"clock ahead {-median_ms:.1f}"
        return f"{median_ms:.1f}/{largest_ms:.1f}"

    def begin_anew(self) -> None:
        """Forget all but the newest message."""
        self.count = self.nbytes = self.lost = 0
        self.ages_ms = []


def table(figures: Mapping[str, TopicFigures], seconds: float) -> list[str]:
    """Lay out the figures of topics as lines."""
    rows = [_TITLES, *(figures[topic].row(seconds) for topic in sorted(figures))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        _GAP.join(
            cell.ljust(width) if column < _TEXTS else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _tables(tap: Tap, options: argparse.Namespace, stop: StopRequest) -> None:
    """Print a table after each interval."""
    figures: dict[str, TopicFigures] = {}
    lock = threading.Lock()
    heard = 0

    def count(tapped: Tapped) -> None:
        nonlocal heard
        with lock:
            heard += 1
            figures.setdefault(tapped.topic, TopicFigures(tapped)).add(tapped)

    tap.start(count)
    begin, end = time.monotonic(), time.monotonic() + options.duration
    ended = False
    while not ended:
        due = min(time.monotonic() + options.interval, end)
        while (left_s := due - time.monotonic()) > 0 and heard < options.count:
            if stop.wait(min(left_s, _LOOK_S)):
                break
        seconds, begin = max(time.monotonic() - begin, _SHORTEST_S), time.monotonic()
        with lock:
            lines = table(figures, seconds) if figures else [f"nothing came from {tap.endpoint} yet"]
            for topic in figures.values():
                topic.begin_anew()
            ended = stop.is_set() or heard >= options.count or time.monotonic() >= end
        print("\n".join(lines), end="\n\n", flush=True)


def _messages(tap: Tap, options: argparse.Namespace, stop: StopRequest) -> None:
    """Print one JSON object for each message, until so many were printed."""
    # The thread of the tap must not wait for a terminal, and what waits for it is bounded.
    waiting: queue.Queue[Tapped] = queue.Queue(_WAITING)
    dropped = 0

    def keep(tapped: Tapped) -> None:
        nonlocal dropped
        try:
            waiting.put_nowait(tapped)
        except queue.Full:
            dropped += 1

    tap.start(keep)
    printed, end = 0, time.monotonic() + options.duration
    while not stop.is_set() and printed < options.count and time.monotonic() < end:
        try:
            tapped = waiting.get(timeout=_LOOK_S)
        except queue.Empty:
            continue
        print(json.dumps(as_json(tapped, options.values)), flush=True)
        printed += 1
    if dropped:
        print(f"lowlat listen: {dropped} came faster than they could be printed", file=sys.stderr)


def _content(fields: Mapping[str, Any], forms: Sequence[Sequence[Any]]) -> str:
    """Return dtype and shape of the arrays, and the field that says how to read them, if there is one."""
    arrays = [f"{DTYPES[dtype].name}[{','.join(map(str, shape))}]" for dtype, shape in forms]
    kinds = [str(fields[name]) for name in ("encoding", "format", "type") if name in fields]
    return " ".join([*arrays, *kinds]) or "-"


def _plain(value: Any) -> Any:
    """Return what JSON can say: no NaN, no infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat listen",
        description="Show what a ZeroMQ publisher says: topics, content, rates, ages and losses.",
    )
    parser.add_argument(
        "endpoint", metavar="ENDPOINT", help="its address, such as tcp://127.0.0.1:5557 or ipc:///PATH"
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="topics to look at (all)")
    parser.add_argument("--heartbeats", action="store_true", help="look at @heartbeat too")
    parser.add_argument("--json", action="store_true", help="print each message as a JSON object, one a line")
    parser.add_argument(
        "--values", type=whole, default=0, metavar="N",
        help="with --json, print the elements of arrays that have at most N",
    )  # fmt: skip
    parser.add_argument(
        "--interval", type=positive, default=1.0, metavar="S", help="time between two tables (1)"
    )
    parser.add_argument(
        "--count", type=whole, default=math.inf, metavar="N", help="end after so many messages"
    )
    parser.add_argument(
        "--duration", type=positive, default=math.inf, metavar="S", help="end after so many seconds"
    )
    add_client_keys(parser)
    return parser.parse_args(argv)
