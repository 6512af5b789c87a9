# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat dataset`: converts recorded bags of a robot to a LeRobot dataset, and such a dataset to bags."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lowlat_nodes.cli.arguments import assignment, positive, whole
from lowlat_nodes.cli.node_parameters import read_parameters
from lowlat_nodes.control.offline import offline_config
from lowlat_nodes.control.sampler import Sampling
from lowlat_nodes.stream.errors import ConfigurationError

EXIT_INCOMPLETE = 1

_NODE = "policy_node"
_PARAMETERS = "policy.yaml"


def main(argv: Sequence[str]) -> int:
    """Run `lowlat dataset`.

    Args:
        argv: The arguments after `dataset`.

    Returns:
        0; 1 if a bag was damaged, and the dataset holds what could be read of it.
    """
    options = _parse(argv)
    out: Path = options.to_bag or options.output
    _check_new(out)
    given = [*options.parameter]
    if options.commands:
        given.append(("command.topic", options.commands))
    config = offline_config(
        read_parameters("policy", options.params, options.node, given, default=_PARAMETERS)
    )
    if options.task is not None:  # as it is: "1" and "yes" are texts too
        observation = config.observation
        task = dataclasses.replace(observation.task, text=options.task)
        config = dataclasses.replace(config, observation=dataclasses.replace(observation, task=task))
    node = options.node or _NODE
    if options.to_bag:
        from lowlat_nodes.cli.dataset_to_bags import write_bags

        report = write_bags(options.sources[0], out, config, node=node)
    else:
        from lowlat_nodes.cli.dataset_from_bags import write_dataset

        sampling = Sampling(
            fps=options.fps,
            velocities=options.velocities,
            command_timeout_ns=round(options.command_timeout_ms * 1e6),
            min_steps=options.min_frames,
            split_tasks=options.split_tasks,
        )
        report = write_dataset(
            options.sources, out, config, sampling, node=node, robot_type=options.robot_type
        )
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _show(report)
    return EXIT_INCOMPLETE if report.get("damage") else 0


def _check_new(out: Path) -> None:
    """Refuse what cannot be written before anything is read."""
    if out.exists():
        raise ConfigurationError(f"{out}: exists already; choose another name or remove it")
    if not out.parent.is_dir() or not os.access(out.parent, os.W_OK):
        raise ConfigurationError(f"{out}: expected a folder that can be written, got {str(out.parent)!r}")


def _show(report: Mapping[str, Any]) -> None:
    where = report.get("dataset") or report["bags"]
    seconds = report["frames"] / report["fps"]
    print(f"{where}: {report['episodes']} episodes, {report['frames']} frames, {seconds:.1f} s")
    for task in report["tasks"]:
        print(f"task: {task!r}")
    for reason, count in report.get("cuts", {}).items():
        print(f"{count} episodes ended by: {reason}")
    if report.get("short_episodes_left_out"):
        print(f"{report['short_episodes_left_out']} episodes left out: too short, see --min-frames")
    for stream, count in report.get("messages_left_out", {}).items():
        why = report["refusals"].get(stream, "")
        print(f"{count} messages left out: {stream}{': ' if why else ''}{why}")
    if report.get("features_left_out"):
        print(f"features left out: {', '.join(report['features_left_out'])}")
    for text in report.get("damage", []):
        print(f"warning: {text}", file=sys.stderr)


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="lowlat dataset", description=__doc__)
    parser.add_argument(
        "sources", nargs="+", type=Path, metavar="BAG", help="rosbag2 directory, .mcap or .db3; or a dataset"
    )
    way = parser.add_mutually_exclusive_group(required=True)
    way.add_argument("-o", "--output", type=Path, metavar="FOLDER", help="the dataset to write")
    way.add_argument(
        "--to-bag", type=Path, metavar="FOLDER", help="read a dataset and write its episodes here, as .mcap"
    )
    robot = parser.add_argument_group("the robot")
    robot.add_argument(
        "--params", type=Path, metavar="YAML", help="parameter file of its policy node (the one shipped)"
    )
    robot.add_argument("--node", metavar="NAME", help=f"whose parameters to take from it ({_NODE})")
    robot.add_argument(
        "-p", dest="parameter", action="append", default=[], type=assignment, metavar="NAME:=VALUE",
        help="a parameter in place of the file's",
    )  # fmt: skip
    robot.add_argument(
        "--commands", metavar="TOPIC", help="topic of the commands (the parameter command.topic)"
    )
    robot.add_argument(
        "--task", metavar="TEXT", help="the task until a message names one (observation.task.text)"
    )
    frames = parser.add_argument_group("frames and episodes of the dataset")
    frames.add_argument("--fps", type=whole, default=30, metavar="N", help="frames per second (30)")
    frames.add_argument(
        "--velocities", action="store_true", help="joint velocities in the state, after positions"
    )
    frames.add_argument("--split-tasks", action="store_true", help="a new task begins a new episode")
    frames.add_argument(
        "--min-frames", type=whole, default=10, metavar="N", help="leave out shorter episodes (10)"
    )
    frames.add_argument(
        "--command-timeout-ms", type=positive, default=500.0, metavar="MS",
        help="an episode ends so long after the last command (500)",
    )  # fmt: skip
    frames.add_argument("--robot-type", default="", metavar="NAME", help="noted in the dataset")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(argv)
    if options.to_bag and len(options.sources) > 1:
        parser.error("--to-bag reads one dataset")
    return options
