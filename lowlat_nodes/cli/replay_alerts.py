# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay PATH --to WHERE`: sends recorded alerts to a node or a broker, each when it is due."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lowlat_nodes.alerts.container import split
from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.timetable import Timetable, as_recorded, evenly
from lowlat_nodes.cli.alert_stream import drain
from lowlat_nodes.cli.arguments import positive, split_ros_arguments, whole
from lowlat_nodes.cli.replay_targets import FORMS, Target, target
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.packet_files import PacketFiles

EXIT_INCOMPLETE = 1
EXIT_INTERRUPTED = 130

MAX_BYTES = 4 << 30
"""Of all packets, which are in memory before the first is sent, so that no disk makes one late."""


@dataclass
class Sent:
    """What became of a replay.

    Attributes:
        alerts: How many were sent.
        bytes: How large they were together.
        seconds: From the first to the last.
        late: How late each was, ns.
        failure: Why it ended early, empty otherwise.
    """

    alerts: int = 0
    bytes: int = 0
    seconds: float = 0.0
    late: Histogram = field(default_factory=Histogram)
    failure: str = ""


def main(argv: Sequence[str]) -> int:
    """Send alerts.

    Returns:
        0; 1 if a file could not be read to its end, or nobody took the alerts; 130 after SIGINT or SIGTERM.
    """
    ours, ros_arguments = split_ros_arguments(argv)
    options = _parse(ours)
    recorded, failure = _read(options.path)
    if failure:
        _say(f"warning: {failure}")
    if not recorded:
        raise ConfigurationError("expected recorded alerts; there are none in these files that can be read")
    table = _timetable(recorded, options)
    if table.untimed:
        _say(f"warning: {table.untimed} alerts tell no time that can be read, and are sent with those before")
    seconds = table.due_ns[-1] * 1e-9
    _say(f"{len(recorded)} alerts in {seconds:.1f} s, {options.loop} times, to {options.to}")
    with stop_on_signals() as stop, target(options.to, ros_arguments) as where:
        sent = send(table, where, options.loop, stop)
        interrupted = stop.is_set()
    report = _report(sent, failure)
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_INCOMPLETE if failure or sent.failure else 0


def send(table: Timetable, where: Target, rounds: int, stop: StopRequest) -> Sent:
    """Send all packets, each when it is due whatever became of those before, and wait until they are there.

    Args:
        table: The packets.
        where: Takes them.
        rounds: How many times.
        stop: Ends it.
    """
    sent = Sent()
    due_ns = table.due_ns.tolist()
    begin_ns = now_ns = time.monotonic_ns()
    try:
        for number in range(rounds):
            base_ns = begin_ns + number * table.length_ns
            for packet, after_ns in zip(table.packets, due_ns, strict=True):
                now_ns = time.monotonic_ns()
                early_ns = base_ns + after_ns - now_ns
                if early_ns > 0:
                    stop.wait(early_ns * 1e-9)
                    now_ns = time.monotonic_ns()
                if stop.is_set():
                    return sent
                where.send(packet)
                sent.alerts += 1
                sent.bytes += len(packet.data)
                sent.late.record(max(now_ns - base_ns - after_ns, 0))
        where.finish()
    except UndeliveredError as error:
        sent.failure = str(error)
    finally:
        sent.seconds = (time.monotonic_ns() - begin_ns) * 1e-9
    return sent


def _read(paths: Sequence[str]) -> tuple[list[Packet], str]:
    """Return the packets in files, and what could not be read of them, if anything."""
    recorded: list[Packet] = []
    size = 0
    with closing(PacketFiles(paths, SystemClock(), split=split)) as source:
        for some in drain(source, sys.maxsize, math.inf):
            recorded += some
            size += sum(len(packet.data) for packet in some)
            if size > MAX_BYTES:
                raise ConfigurationError(
                    f"expected at most {MAX_BYTES >> 30} GiB of alerts, got more; replay fewer files"
                )
        return recorded, source.last_failure


def _timetable(recorded: Sequence[Packet], options: argparse.Namespace) -> Timetable:
    if options.per_second is not None or options.rate == math.inf:
        return evenly(recorded, options.per_second or math.inf)
    registry = None if options.schemas is None else SchemaRegistry(options.schemas)
    return as_recorded(recorded, Ingest(registry), options.rate or 1.0)


def _report(sent: Sent, unread: str) -> dict[str, Any]:
    p50, p99, most = sent.late.quantiles((0.5, 0.99, 1.0))
    return {
        "sent": sent.alerts,
        "mb": round(sent.bytes * 1e-6, 3),
        "seconds": round(sent.seconds, 3),
        "alerts_per_s": round(sent.alerts / sent.seconds, 1) if sent.seconds else 0.0,
        "late_p50_ms": round(p50 * 1e-6, 3),
        "late_p99_ms": round(p99 * 1e-6, 3),
        "late_max_ms": round(most * 1e-6, 3),
        "unread": unread,
        "failure": sent.failure,
    }


def _as_text(report: dict[str, Any]) -> str:
    text = (
        f"{report['sent']} alerts ({report['mb']:.1f} MB) in {report['seconds']:.1f} s: "
        f"{report['alerts_per_s']:.0f} a second\n"
        f"late by {report['late_p50_ms']} ms (p50), {report['late_p99_ms']} ms (p99), "
        f"{report['late_max_ms']} ms at most"
    )
    return f"{text}\n{report['failure']}" if report["failure"] else text


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat replay",
        description="Send recorded alerts, each when it is due, whether or not the receiver keeps up.",
        epilog="What follows --ros-args goes to ROS.",
    )
    parser.add_argument(
        "path", nargs="+", metavar="PATH", help="packets in .avro files, archives of them (.tar.gz), folders"
    )
    parser.add_argument("--to", required=True, metavar="WHERE", help=FORMS)
    pace = parser.add_mutually_exclusive_group()
    pace.add_argument(
        "--rate", type=_rate, metavar="K",
        help="as far apart as the alerts were observed, and K times as fast; max does not wait (1)",
    )  # fmt: skip
    pace.add_argument("--per-second", type=positive, metavar="N", help="so many alerts a second, evenly")
    parser.add_argument("--loop", type=whole, default=1, metavar="N", help="how many times (1)")
    parser.add_argument(
        "--schemas", type=Path, metavar="FOLDER",
        help="Avro schemas, where packets only name theirs and --rate has to read their times",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser.parse_args(argv)


def _rate(text: str) -> float:
    return math.inf if text == "max" else positive(text)
