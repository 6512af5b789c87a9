# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat record`: records ROS topics into a bag until it is told to stop."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.arguments import positive, split_ros_arguments
from lowlat_nodes.stream.errors import MissingExtra
from lowlat_nodes.transport.bag import BagError, BagWriter
from lowlat_nodes.transport.bag.writer import COMPRESSIONS

EXIT_INCOMPLETE = 1


def main(argv: Sequence[str]) -> int:
    """Record until the time is over or SIGINT or SIGTERM comes.

    Returns:
        0; 1 if messages were dropped or lost, or the disk took no more.
    """
    ours, ros_arguments = split_ros_arguments(argv)
    options = _parse(ours)
    try:
        from lowlat_nodes.nodes.bag_node import bag_node
        from lowlat_nodes.nodes.bag_recorder import BagRecorder, Selection
        from lowlat_nodes.nodes.stop import stop_on_signals
    except ModuleNotFoundError as error:
        raise MissingExtra(error.name or "rclpy", "ros") from error

    selection = Selection(tuple(options.topics), options.exclude)
    path = Path(options.out or time.strftime("lowlat_%Y_%m_%d-%H_%M_%S"))
    problem = ""
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        node = stack.enter_context(bag_node("lowlat_record", ros_arguments))
        writer = stack.enter_context(
            BagWriter(path, compression=options.compression, max_file_bytes=int(options.max_size * 1e6))
        )
        recorder = BagRecorder(
            node,
            writer,
            selection,
            cache_bytes=int(options.cache * 1e6),
            sim_time=options.use_sim_time,
            announce=_say,
        )
        try:
            recorder.run(stop, options.duration)
        except BagError as error:
            problem = str(error)
    report: dict[str, Any] = {
        "bag": str(path),
        "messages": sum(writer.counts.values()),
        "dropped": sum(count.dropped for count in recorder.counts.values()),
        "lost": sum(count.lost for count in recorder.counts.values()),
        "topics": {
            name: {
                "type": count.type,
                "messages": writer.counts.get(name, 0),
                "dropped": count.dropped,
                "lost": count.lost,
            }
            for name, count in sorted(recorder.counts.items())
        },
        "skipped": recorder.skipped,
        "error": problem,
    }
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return EXIT_INCOMPLETE if report["dropped"] or report["lost"] or problem else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat record",
        description="Record ROS topics into a bag (MCAP). Ctrl-C, SIGTERM or --duration end it.",
        epilog="What follows --ros-args goes to ROS: remappings, for example.",
    )
    parser.add_argument("topics", nargs="*", metavar="TOPIC", help="the topics; they may appear later")
    parser.add_argument(
        "-a", "--all", action="store_true", help="all topics that are not hidden, new ones too"
    )
    parser.add_argument("-x", "--exclude", default="", metavar="REGEX", help="names to leave out")
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
    options = parser.parse_args(argv)
    if bool(options.topics) == options.all:
        parser.error("expected topics or --all, and not both")
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show(report: dict[str, Any]) -> None:
    width = max(map(len, report["topics"]), default=0)
    for name, count in report["topics"].items():
        notes = "".join(f", {count[what]} {what}" for what in ("dropped", "lost") if count[what])
        print(f"{name:<{width}}  {count['messages']:>8} messages{notes}")
    for name, reason in report["skipped"].items():
        print(f"not recorded: {name}: {reason}")
    if report["error"]:
        print(f"stopped: {report['error']}")
    print(f"{report['messages']} messages in {report['bag']}")
