# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay`: publishes a bag on ROS and ZeroMQ, runs a processor over it, or sends recorded alerts."""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.arguments import assignment, not_negative, positive, split_ros_arguments, whole
from lowlat_nodes.cli.bag_info import describe, show_description
from lowlat_nodes.cli.node_parameters import plain_name, read_parameters, read_topics
from lowlat_nodes.cli.printable import printable
from lowlat_nodes.cli.zmq_arguments import add_server_keys, place, server_keys
from lowlat_nodes.nodes import processors
from lowlat_nodes.nodes.bag.player import BagPlayer, Outlet, chosen
from lowlat_nodes.nodes.stop import stop_on_signals
from lowlat_nodes.nodes.zmq_outlet import ZmqOutlet
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.histogram import Histogram
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.transport.bag import BagReader, BagWriter, OfflineReplay, Tolerance, compare
from lowlat_nodes.transport.bag.writer import SUFFIX
from lowlat_nodes.transport.zmq.replayer import Replayer

EXIT_INCOMPLETE = 1
EXIT_INTERRUPTED = 130

CLOCK_HZ = 100.0
WAIT_S = 2.0


def main(argv: Sequence[str]) -> int:
    """Replay a bag, or alerts where `--to` says so.

    Returns:
        0 if all of the bag was read and, with `--check`, the results are those of the golden bag; 1 if the
        bag is damaged, the processor failed on a message, or the results differ; 130 after SIGINT or SIGTERM.
    """
    if any(argument == "--to" or argument.startswith("--to=") for argument in argv):
        from lowlat_nodes.cli import replay_alerts

        return replay_alerts.main(argv)
    ours, ros_arguments = split_ros_arguments(argv)
    options = _parse(ours)
    with BagReader(options.bag) as bag:
        _say(f"{bag.path}: {bag.count} messages of {len(bag.topics)} topics")
        if options.info:
            code, report = 0, describe(bag)
        elif options.processor:
            code, report = _offline(bag, options)
        else:
            code, report = _play(bag, options, ros_arguments)
        for damage in bag.damage:
            _say(f"warning: {damage}")
        report = {"bag": str(bag.path), **report, "damage": bag.damage}
    if options.json:
        print(json.dumps(report, indent=2))
    elif options.info:
        show_description(report)
    else:
        _show(report)
    return code or (EXIT_INCOMPLETE if report["damage"] else 0)


def _play(
    bag: BagReader, options: argparse.Namespace, ros_arguments: Sequence[str]
) -> tuple[int, dict[str, Any]]:
    topics = chosen(bag, options.topics or ())
    if topics and all(topic.framed for topic in topics) and not options.zmq:
        raise ConfigurationError(f"{bag.path}: its topics are of ZeroMQ; --zmq ENDPOINT publishes them")
    with ExitStack() as stack:
        stop = stack.enter_context(stop_on_signals())
        outlets: list[Outlet] = _publishers(bag, options, stack)
        if options.clock or not all(topic.framed for topic in topics):
            outlets += _ros(options, ros_arguments, stack)
        player = BagPlayer(
            bag, outlets, rate=options.rate or 1.0, topics=options.topics or (), remap=dict(options.remap)
        )
        for topic, reason in player.skipped.items():
            _say(f"warning: skipping {topic}: {reason}")
        wait_s = WAIT_S if options.wait is None else options.wait
        for topic in player.wait_for_subscriptions(wait_s, stop):
            _say(f"nobody listens to {topic}")
        played = player.play(stop, options.loop or 1)
        for topic in played.unconfirmed:
            _say(f"warning: {topic}: a subscription did not confirm all messages")
        report = {**played.tally.as_json(), "seconds": round(played.seconds, 3), **_lateness(played.late)}
        return (EXIT_INTERRUPTED if stop.is_set() else 0), report


def _publishers(bag: BagReader, options: argparse.Namespace, stack: ExitStack) -> list[Outlet]:
    keys = server_keys(options) if options.zmq else None
    outlets: list[Outlet] = []
    for where in options.zmq:
        topics = chosen(bag, where.topics) if where.topics else None
        replayer = stack.enter_context(closing(Replayer(where.endpoint, keys=keys)))
        _say(f"publishing at {replayer.endpoint}")
        outlets.append(ZmqOutlet(replayer, topics, published_now=options.restamp))
    return outlets


def _ros(options: argparse.Namespace, ros_arguments: Sequence[str], stack: ExitStack) -> list[Outlet]:
    """Return the way to ROS topics; none where there is no ROS and ZeroMQ is all that is left."""
    try:
        from lowlat_nodes.nodes.bag.node import bag_node
        from lowlat_nodes.nodes.ros_outlet import RosOutlet
    except ModuleNotFoundError as error:
        if options.zmq and not options.clock:
            _say("warning: there is no ROS here; ROS topics are skipped")
            return []
        _say("to publish a bag on ROS, ROS is needed; --processor runs without it")
        raise MissingExtra(error.name or "rclpy", "ros") from error
    node = stack.enter_context(bag_node("lowlat_replay", ros_arguments))
    return [RosOutlet(node, clock_hz=options.clock or 0.0)]


def _lateness(late: Histogram) -> dict[str, float | None]:
    shares = {"late_p50_ms": 0.5, "late_p99_ms": 0.99, "late_max_ms": 1.0}
    return {name: round(late.quantile(q) / 1e6, 3) if late.count else None for name, q in shares.items()}


def _offline(bag: BagReader, options: argparse.Namespace) -> tuple[int, dict[str, Any]]:
    name = plain_name(options.processor)
    default = processors.PARAMETER_FILES.get(options.processor, "")
    parameters = read_parameters(name, options.params, options.node, options.parameter, default=default)
    processor = processors.make(options.processor, parameters)
    remap = _wiring(bag, processor, read_topics(name, options.params, options.node))
    if options.check:
        BagReader(options.check).close()  # a golden bag that is not there is told before the work
    with tempfile.TemporaryDirectory(prefix="lowlat_replay_", dir=_folder_of(options.out)) as folder:
        # A name that is there when it is complete, and not before.
        path = Path(folder) / f"results{SUFFIX}"
        with BagWriter(path) as writer:
            replay = OfflineReplay(
                bag,
                processor,
                writer,
                remap=remap | dict(options.remap),
                name=name,
                sim_time=options.use_sim_time,
            )
            run = replay.run()
        for name in run.silent:
            _say(f"warning: no topic of the bag feeds the input {name!r}; --remap TOPIC:={name} names one")
        for topic, fate in run.tally.topics.items():
            if fate.skipped:
                _say(f"skipped {fate.skipped} of {topic}: {fate.reason}")
        if run.last_failure:
            _say(f"warning: {run.failures.total} failures; the last one: {run.last_failure}")
        report = {
            **run.tally.as_json(),
            "processor": options.processor,
            "outputs": run.outputs,
            "failures": run.failures.snapshot(),
            "last_failure": run.last_failure,
        }
        equal = True
        if options.check:
            report["check"] = _check(options, path)
            equal = report["check"]["equal"]
        if options.out:
            path.replace(options.out)
    return (0 if equal and not run.failures.total else EXIT_INCOMPLETE), report


def _wiring(bag: BagReader, processor: Processor, topics: Mapping[str, str]) -> dict[str, str]:
    """Return the input of each topic of the bag that a hosted processor would take from that topic."""
    inputs = {processors.parameter_name(stream): stream for stream in processor.inputs or topics}
    there = {topic.name for topic in bag.topics}
    wired = {"/" + topic.lstrip("/"): inputs[key] for key, topic in topics.items() if key in inputs}
    return {topic: stream for topic, stream in wired.items() if topic in there}


def _check(options: argparse.Namespace, path: Path) -> dict[str, Any]:
    tolerance = Tolerance(options.atol, options.rtol, round(options.time_tol_ms * 1e6))
    with BagReader(options.check) as golden, BagReader(path) as results:
        comparison = compare(golden, results, tolerance)
        damage = golden.damage
    difference = comparison.difference
    if difference is not None:
        _say(f"first difference: {difference}")
    for text in damage:
        _say(f"warning: {options.check}: {text}")
    return {
        "golden": str(options.check),
        "equal": difference is None and not damage,
        "compared": comparison.compared,
        "difference": difference and dataclasses.asdict(difference),
    }


def _folder_of(out: Path | None) -> Path | None:
    """Return where to write a result before it gets its name: on the same file system."""
    if out is None:
        return None
    if out.suffix != SUFFIX:
        raise ConfigurationError(f"--out: expected a name that ends in {SUFFIX}, got {str(out)!r}")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigurationError(f"--out: expected a folder that can be written, got {str(out.parent)!r}")
    return out.parent


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="lowlat replay",
        description="Publish a bag on ROS topics and over ZeroMQ, or run a processor over it without ROS.",
        epilog="What follows --ros-args goes to ROS. With --to tcp://HOST:PORT, PATHs of recorded alerts are "
        "sent there: see lowlat replay --to x -h.",
    )
    parser.add_argument(
        "bag", type=Path, metavar="BAG", help="rosbag2 directory, *.mcap or *.db3, also .zstd"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--remap", action="append", default=[], type=assignment, metavar="TOPIC:=NAME",
        help="publish a topic under another name, or feed it to this input of the processor",
    )  # fmt: skip
    parser.add_argument(
        "--info", action="store_true", help="say what is in the bag, and how far clocks are apart, and end"
    )
    ros = parser.add_argument_group("on ROS and ZeroMQ")
    ros.add_argument("--rate", type=_rate, metavar="K", help="2 is twice as fast; max does not wait (1)")
    ros.add_argument("--topics", nargs="+", metavar="TOPIC", help="the topics to publish (all)")
    ros.add_argument("--loop", type=whole, metavar="N", help="how many times (1)")
    ros.add_argument(
        "--clock", nargs="?", type=positive, const=CLOCK_HZ, metavar="HZ",
        help=f"publish the time of the bag on /clock ({CLOCK_HZ:g} times a second)",
    )  # fmt: skip
    ros.add_argument(
        "--wait", type=not_negative, metavar="S",
        help=f"longest wait for subscriptions before the first message ({WAIT_S:g})",
    )  # fmt: skip
    ros.add_argument(
        "--zmq", action="append", default=[], type=place, metavar="ENDPOINT[,TOPIC,...]",
        help="publish topics of ZeroMQ here, such as tcp://127.0.0.1:5557 (all); may be given several times",
    )  # fmt: skip
    ros.add_argument(
        "--restamp", action="store_true",
        help="move the stamps of ZeroMQ messages so that they were published when they are played",
    )  # fmt: skip
    add_server_keys(ros)
    offline = parser.add_argument_group("without ROS")
    offline.add_argument("--processor", metavar="NAME", help=", ".join(processors.names()))
    offline.add_argument(
        "--params", type=Path, metavar="YAML", help="ROS parameter file (detector, policy: the one shipped)"
    )
    offline.add_argument("--node", metavar="NAME", help="whose parameters to take from it (the processor's)")
    offline.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter of the processor",
    )  # fmt: skip
    offline.add_argument(
        "--use-sim-time", action="store_true", help="the time is that of the recorded /clock"
    )
    offline.add_argument("--out", type=Path, metavar="MCAP", help="write the results here")
    offline.add_argument("--check", type=Path, metavar="GOLDEN", help="compare the results with this bag")
    offline.add_argument("--atol", type=not_negative, default=0.0, help="absolute tolerance of --check (0)")
    offline.add_argument("--rtol", type=not_negative, default=0.0, help="relative tolerance of --check (0)")
    offline.add_argument(
        "--time-tol-ms", type=not_negative, default=0.0, metavar="MS", help="of stamps in --check (0)"
    )
    options = parser.parse_args(argv)
    playing = ("rate", "topics", "loop", "clock", "wait", "zmq", "restamp", "key_file", "allow")
    if options.info:
        _refuse(parser, options, (*playing, "processor"), "is not for --info")
    if options.processor:
        _refuse(parser, options, playing, "is not for --processor")
    else:
        _refuse(
            parser,
            options,
            ("params", "node", "parameter", "use_sim_time", "out", "check"),
            "needs --processor",
        )
    if not options.zmq:
        _refuse(parser, options, ("restamp", "key_file", "allow"), "needs --zmq")
    return options


def _refuse(
    parser: argparse.ArgumentParser, options: argparse.Namespace, names: Sequence[str], why: str
) -> None:
    flags = {"parameter": "-p", "key_file": "--key"}
    for name in names:
        if getattr(options, name):
            parser.error(f"{flags.get(name, '--' + name.replace('_', '-'))} {why}")


def _rate(text: str) -> float:
    return math.inf if text == "max" else positive(text)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _show(report: Mapping[str, Any]) -> None:
    width = max(map(len, report["topics"]), default=0)
    for name, count in report["topics"].items():
        note = f", {count['skipped']} skipped: {count['reason']}" if count["skipped"] else ""
        print(f"{printable(name):<{width}}  {count['published']:>8} of {count['read']}{printable(note)}")
    for name, count in report.get("outputs", {}).items():
        print(f"{name:<{width}}  {count:>8} results")
    if report.get("late_p99_ms") is not None:
        print(f"late by {report['late_p50_ms']} ms (p50), {report['late_p99_ms']} ms (p99)")
    if "check" in report:
        words = "equal to" if report["check"]["equal"] else "not equal to"
        print(f"{words} {report['check']['golden']} ({report['check']['compared']} messages compared)")
    print(f"{report['read']} read, {report['published']} published, {report['skipped']} skipped")
