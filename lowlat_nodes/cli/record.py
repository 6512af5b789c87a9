# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat record`: records ROS topics and ZeroMQ publishers into one bag until it is told to stop."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowlat_nodes.cli.arguments import not_negative, positive, split_ros_arguments
from lowlat_nodes.cli.bag_info import show_offset
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.cli.zmq_arguments import add_client_keys, client_keys, place
from lowlat_nodes.nodes.bag.disk import Bounds, Disk
from lowlat_nodes.nodes.bag.recording import BagForm, BagRecording
from lowlat_nodes.nodes.stop import stop_on_signals
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.bag.writer import COMPRESSIONS, SUFFIX
from lowlat_nodes.transport.zmq.tap import Tap

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag.recorder import BagRecorder

EXIT_INCOMPLETE = 1

LABEL = "zmq"


def main(argv: Sequence[str]) -> int:
    """Record until the time is over or SIGINT or SIGTERM comes.

    Returns:
        0; 1 if messages were dropped, lost or malformed, or the disk took no more.
    """
    ours, ros_arguments = split_ros_arguments(argv)
    options = _parse(ours)
    path = Path(options.out or time.strftime("lowlat_%Y_%m_%d-%H_%M_%S"))
    if path.suffix == SUFFIX and options.zmq and _wants_ros(options):
        _say(f"{path}: ros2 bag play refuses a lone file with ZeroMQ in it; it plays a directory")
    form = BagForm(
        options.compression,
        int(options.max_size * 1e6),
        int(options.cache * 1e6),
        Bounds(int(options.min_free * 1e6)),
    )
    taps = _taps(options)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        ros = _ros(options, ros_arguments, stack) if _wants_ros(options) else None
        recording = BagRecording(path, form, ros=ros, taps=taps, announce=_say)
        recording.run(stop, options.duration)
    report = recording.report()
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    incomplete = report["dropped"] or report["lost"] or report["malformed"] or report["error"]
    return EXIT_INCOMPLETE if incomplete else 0


def _wants_ros(options: argparse.Namespace) -> bool:
    return bool(options.topics or options.all)


def _taps(options: argparse.Namespace) -> list[tuple[str, Tap]]:
    keys = client_keys(options, len(options.zmq))
    return [
        (
            # Not after the address: a recording of the same publisher elsewhere is to look the same.
            LABEL if number == 1 else f"{LABEL}{number}",
            Tap(
                source.endpoint,
                source.topics,
                clock=SystemClock(),
                keys=key,
                heartbeats=options.zmq_heartbeats,
            ),
        )
        for number, (source, key) in enumerate(zip(options.zmq, keys, strict=True), 1)
    ]


def _ros(
    options: argparse.Namespace, ros_arguments: Sequence[str], stack: ExitStack
) -> Callable[[Disk], BagRecorder]:
    """Return what makes the recorder of ROS topics, once there is a disk to record to."""
    try:
        from lowlat_nodes.nodes.bag.node import bag_node
        from lowlat_nodes.nodes.bag.recorder import BagRecorder, Selection
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error

    selection = Selection(tuple(options.topics), options.exclude)
    node = stack.enter_context(bag_node("lowlat_record", ros_arguments))
    return lambda disk: BagRecorder(node, disk, selection, sim_time=options.use_sim_time, announce=_say)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat record",
        description="Record ROS topics, ZeroMQ publishers or both into a bag (MCAP). Ctrl-C, SIGTERM or "
        "--duration end it.",
        epilog="What follows --ros-args goes to ROS: remappings, for example.",
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="the ROS topics; they may appear later")
    parser.add_argument(
        "-a", "--all", action="store_true", help="all ROS topics that are not hidden, new ones too"
    )
    parser.add_argument("-x", "--exclude", default="", metavar="REGEX", help="ROS names to leave out")
    parser.add_argument(
        "-o", "--out", metavar="PATH", help="a new directory, or a file *.mcap (default: lowlat_DATE)"
    )
    parser.add_argument(
        "--duration", type=positive, default=float("inf"), metavar="S", help="stop after so many seconds"
    )
    parser.add_argument(
        "--max-size", type=positive, default=0, metavar="MB", help="begin a new file at this size"
    )
    parser.add_argument("--compression", choices=list(COMPRESSIONS), default="none", help="of the chunks")
    parser.add_argument(
        "--cache", type=positive, default=256, metavar="MB", help="how much may wait for the disk (256)"
    )
    parser.add_argument(
        "--min-free", type=not_negative, default=0, metavar="MB", help="stop where the disk has less free (0)"
    )
    parser.add_argument("--use-sim-time", action="store_true", help="stamp with the time on /clock")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    sockets = parser.add_argument_group("ZeroMQ")
    sockets.add_argument(
        "--zmq", action="append", default=[], type=place, metavar="ENDPOINT[,TOPIC,...]",
        help="a publisher, such as tcp://127.0.0.1:5557, and its topics (all); may be given several times",
    )  # fmt: skip
    sockets.add_argument("--zmq-heartbeats", action="store_true", help="record @heartbeat too")
    add_client_keys(sockets)
    options = parser.parse_args(argv)
    if options.topics and options.all:
        parser.error("expected topics or --all, and not both")
    if not (_wants_ros(options) or options.zmq):
        parser.error("expected topics, --all or --zmq")
    if options.use_sim_time and not _wants_ros(options):
        parser.error("--use-sim-time needs ROS topics: the time is that of /clock")
    return options


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _show(report: dict[str, Any]) -> None:
    width = max(map(len, report["topics"]), default=0)
    for name, count in report["topics"].items():
        notes = "".join(f", {count[what]} {what}" for what in ("dropped", "lost") if count[what])
        print(f"{printable(name):<{width}}  {count['messages']:>8} messages{notes}")
    for publisher in report["zmq"].values():
        _show_publisher(publisher)
    for name, reason in report["skipped"].items():
        print(f"not recorded: {name}: {reason}")
    if report["error"]:
        print(f"stopped: {report['error']}")
    print(f"{report['messages']} messages in {report['bag']}")


def _show_publisher(publisher: dict[str, Any]) -> None:
    """Print what is to be known of a ZeroMQ publisher."""
    endpoint = publisher["endpoint"]
    show_offset(endpoint, publisher["clock_offset"])
    if publisher["malformed"]:
        failure = printable(publisher["last_failure"])
        print(f"{endpoint}: {publisher['malformed']} malformed, such as {failure}")
    if publisher["beyond"]:
        print(f"{endpoint}: {publisher['beyond']} of more topics than are followed")
