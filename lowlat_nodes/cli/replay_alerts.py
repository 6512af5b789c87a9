# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay PATH --to WHERE`: sends recorded alerts to a node or a broker, each when it is due."""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from lowlat_nodes.alerts.ingest import Ingest
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.timetable import Timetable, as_recorded, evenly
from lowlat_nodes.cli.arguments import positive, split_ros_arguments, whole
from lowlat_nodes.nodes.alert.packet_targets import FORMS, target
from lowlat_nodes.nodes.alert.replay import AlertReplay, read_packets
from lowlat_nodes.nodes.stop import stop_on_signals
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.payload import Packet

EXIT_INCOMPLETE = 1
EXIT_INTERRUPTED = 130

PATIENCE_S = 10.0
"""How long somebody may take to take an alert, and the first of them to appear."""


def main(argv: Sequence[str]) -> int:
    """Send alerts.

    Returns:
        0; 1 if a file could not be read to its end, or nobody took the alerts; 130 after SIGINT or SIGTERM.
    """
    ours, ros_arguments = split_ros_arguments(argv)
    options = _parse(ours)
    recorded, failure = read_packets(options.path)
    if failure:
        _say(f"warning: {failure}")
    if not recorded:
        raise ConfigurationError("expected recorded alerts; there are none in these files that can be read")
    table = _timetable(recorded, options)
    if table.untimed:
        _say(f"warning: {table.untimed} alerts tell no time that can be read, and are sent with those before")
    seconds = table.due_ns[-1] * 1e-9
    _say(f"{len(recorded)} alerts in {seconds:.1f} s, {options.loop} times, to {options.to}")
    opened = target(options.to, patience_s=PATIENCE_S, linger_s=PATIENCE_S, node=lambda: _node(ros_arguments))
    with stop_on_signals() as stop, opened as where:
        replay = AlertReplay(table, where, options.loop)
        replay.run(stop)
        interrupted = stop.is_set()
    report = _report(replay, failure)
    print(json.dumps(report, indent=2) if options.json else _as_text(report))
    if interrupted:
        return EXIT_INTERRUPTED
    return EXIT_INCOMPLETE if failure or replay.failure else 0


def _timetable(recorded: Sequence[Packet], options: argparse.Namespace) -> Timetable:
    if options.per_second is not None or options.rate == math.inf:
        return evenly(recorded, options.per_second or math.inf)
    registry = None if options.schemas is None else SchemaRegistry(options.schemas)
    return as_recorded(recorded, Ingest(registry), options.rate or 1.0)


def _node(ros_arguments: Sequence[str]) -> AbstractContextManager[Any]:
    try:
        from lowlat_nodes.nodes.bag.node import bag_node
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error
    return bag_node("lowlat_replay", ros_arguments)


def _report(sent: AlertReplay, unread: str) -> dict[str, Any]:
    p50, p99, most = sent.late.quantiles((0.5, 0.99, 1.0))
    return {
        "sent": sent.alerts,
        "confirmed": sent.confirmed,
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
