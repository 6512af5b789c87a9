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
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lowlat_nodes.cli.arguments import positive, split_ros_arguments
from lowlat_nodes.cli.bag_info import show_offset
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.cli.zmq_arguments import add_client_keys, client_keys, place
from lowlat_nodes.nodes.bag_disk import Disk, TopicCount
from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals
from lowlat_nodes.nodes.zmq_recorder import ZmqRecorder, same
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.bag import BagError, BagWriter
from lowlat_nodes.transport.bag.writer import COMPRESSIONS, SUFFIX
from lowlat_nodes.transport.zmq.tap import Tap

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag_recorder import BagRecorder

EXIT_INCOMPLETE = 1

LABEL = "zmq"

_POLL_S = 0.1


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
    made = _Recorded()
    taps = _taps(options)
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        recording = _ros(options, ros_arguments, stack) if _wants_ros(options) else None
        writer = stack.enter_context(
            BagWriter(path, compression=options.compression, max_file_bytes=int(options.max_size * 1e6))
        )
        try:
            with Disk(writer, int(options.cache * 1e6)) as disk:
                made.ros = recording(disk) if recording else None
                _record(options, taps, disk, made, stop)
        except BagError as error:
            made.problem = str(error)
    report = _report(path, writer, made)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    incomplete = report["dropped"] or report["lost"] or report["malformed"] or report["error"]
    return EXIT_INCOMPLETE if incomplete else 0


@dataclass
class _Recorded:
    """Who recorded, and why it ended early."""

    ros: BagRecorder | None = None
    zmq: list[ZmqRecorder] = field(default_factory=list)
    problem: str = ""


def _wants_ros(options: argparse.Namespace) -> bool:
    return bool(options.topics or options.all)


def _taps(options: argparse.Namespace) -> list[Tap]:
    keys = client_keys(options, len(options.zmq))
    return [
        Tap(
            source.endpoint,
            source.topics,
            clock=SystemClock(),
            keys=key,
            heartbeats=options.zmq_heartbeats,
        )
        for source, key in zip(options.zmq, keys, strict=True)
    ]


def _ros(
    options: argparse.Namespace, ros_arguments: Sequence[str], stack: ExitStack
) -> Callable[[Disk], BagRecorder]:
    """Return what makes the recorder of ROS topics, once there is a disk to record to."""
    try:
        from lowlat_nodes.nodes.bag_node import bag_node
        from lowlat_nodes.nodes.bag_recorder import BagRecorder, Selection
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error

    selection = Selection(tuple(options.topics), options.exclude)
    node = stack.enter_context(bag_node("lowlat_record", ros_arguments))
    return lambda disk: BagRecorder(node, disk, selection, sim_time=options.use_sim_time, announce=_say)


def _record(
    options: argparse.Namespace, taps: Sequence[Tap], disk: Disk, made: _Recorded, stop: StopRequest
) -> None:
    stamp = made.ros.stamp if made.ros else same
    try:
        for number, tap in enumerate(taps, 1):
            # Not after the address: a recording of the same publisher elsewhere is to look the same.
            label = LABEL if number == 1 else f"{LABEL}{number}"
            recorder = ZmqRecorder(label, tap, disk, stamp=stamp, announce=_say)
            made.zmq.append(recorder)
            recorder.start()
        if made.ros:
            made.ros.run(stop, options.duration)
            return
        end = time.monotonic() + options.duration
        while disk.error is None and (left_s := end - time.monotonic()) > 0:
            if stop.wait(min(left_s, _POLL_S)):
                break
    finally:
        for recorder in made.zmq:
            recorder.stop()


def _report(path: Path, writer: BagWriter, made: _Recorded) -> dict[str, Any]:
    topics: dict[str, TopicCount] = dict(made.ros.counts) if made.ros else {}
    skipped = dict(made.ros.skipped) if made.ros else {}
    for recorder in made.zmq:
        topics |= recorder.counts
        skipped |= recorder.missing()
    publishers = {recorder.label: _publisher(recorder) for recorder in made.zmq}
    return {
        "bag": str(path),
        "messages": sum(writer.counts.values()),
        "dropped": sum(count.dropped for count in topics.values()),
        "lost": sum(count.lost for count in topics.values()),
        "malformed": sum(publisher["malformed"] for publisher in publishers.values()),
        "topics": {
            name: {
                "type": count.type,
                "messages": writer.counts.get(name, 0),
                "dropped": count.dropped,
                "lost": count.lost,
            }
            for name, count in sorted(topics.items())
        },
        "zmq": publishers,
        "skipped": skipped,
        "error": made.problem,
    }


def _publisher(recorder: ZmqRecorder) -> dict[str, Any]:
    counts = recorder.tap.counts
    return {
        "endpoint": recorder.tap.endpoint,
        "malformed": counts["malformed"],
        "repeated": counts["repeated"],
        "beyond": counts["beyond"],
        "last_failure": recorder.tap.last_failure,
        "clock_offset": recorder.offset.as_json(),
    }


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
