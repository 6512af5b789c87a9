# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat up`: starts the nodes of a ROS parameter file as processes and keeps them running."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from lowlat_nodes import resources
from lowlat_nodes.cli.console import Console
from lowlat_nodes.cli.graph import Graph, NodeProcess, load
from lowlat_nodes.cli.supervisor import AUTHOR, Command, Outcome, RestartPolicy, Supervisor
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport import leftovers, segments

# Set by the ROS wheels of one virtual environment, wrong for a program of another.
_WHEELS_MARK = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"


def main(argv: Sequence[str]) -> int:
    """Run `lowlat up`.

    Args:
        argv: The arguments after `up`.

    Returns:
        0 if every node ended cleanly, 1 if one was given up or did not stop cleanly.

    Raises:
        ConfigurationError: If the file is wrong; nothing was started then.
    """
    options = _parser().parse_args(argv)
    graph = load(_find(options.file), namespace=options.namespace, only=options.only)
    if options.check:
        graph.check()
        print(f"{options.file}: no mistakes found; nodes: {', '.join(item.node for item in graph.nodes)}")
        return 0
    stream = sys.stderr if options.json else sys.stdout
    colour = stream.isatty() and "NO_COLOR" not in os.environ
    outcomes = _supervise(
        graph, options, Console(stream.fileno(), colour=colour), _environment(options, colour)
    )
    clean = all(outcome.clean for outcome in outcomes.values())
    if options.json:
        print(json.dumps({"clean": clean, "nodes": {name: asdict(item) for name, item in outcomes.items()}}))
    return 0 if clean else 1


def _supervise(
    graph: Graph, options: argparse.Namespace, console: Console, environment: Mapping[str, str]
) -> dict[str, Outcome]:
    def reap() -> None:
        reaped = leftovers.reap()
        if reaped.segments:
            console.write(AUTHOR, f"freed {reaped.size / 1e6:.1f} MB of shared memory of dead processes")

    settings = graph.settings
    supervisor = Supervisor(
        [_command(process, environment) for process in graph.nodes],
        RestartPolicy(settings.restart_limit, settings.restart_window_s),
        console,
        grace_s=settings.stop_grace_s,
        stop_on_failure=(options.on_failure or settings.on_failure) == "stop",
        after_run=reap,
    )
    reap()
    if said := segments.remark(os.environ):
        console.write(AUTHOR, said)
    outcomes = supervisor.run()
    reap()
    return outcomes


def _command(process: NodeProcess, environment: Mapping[str, str]) -> Command:
    own = dict(environment)
    if not process.ours:
        own.pop(_WHEELS_MARK, None)
    return Command(process.node.lstrip("/"), process.argv, own)


def _environment(options: argparse.Namespace, colour: bool) -> dict[str, str]:
    """Return what the nodes inherit; a choice of the user always wins."""
    chosen = {"PYTHONUNBUFFERED": "1"}  # so that lines come when they are printed
    if colour:
        chosen["RCUTILS_COLORIZED_OUTPUT"] = "1"
    environment = chosen | os.environ | segments.profile_environment(os.environ)
    if options.log_dir:
        options.log_dir.mkdir(parents=True, exist_ok=True)
        environment["ROS_LOG_DIR"] = str(options.log_dir.resolve())
    return environment


def _find(file: Path) -> Path:
    """Return the file itself, or the shipped one of that name."""
    if file.exists():
        return file
    try:
        return resources.path("config", file.name)
    except resources.ResourceError as error:
        raise ConfigurationError(
            f"{file} does not exist, nor is there a parameter file {file.name!r} in this package"
        ) from error


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lowlat up",
        description="Start the nodes of a ROS parameter file as processes, restart those that crash, "
        "and stop them cleanly on Ctrl-C.",
    )
    parser.add_argument("file", type=Path, help="parameter file, or the name of one in config/")
    parser.add_argument(
        "--namespace", default="", help="namespace of the nodes that the file names as /**/NODE"
    )
    parser.add_argument(
        "--only", action="append", default=[], metavar="NODE", help="start this node; repeatable"
    )
    parser.add_argument("--log-dir", type=Path, help="where the nodes write their ROS logs (ROS_LOG_DIR)")
    parser.add_argument(
        "--on-failure", choices=("keep", "stop"), help="whether the others go on when a node is given up"
    )
    parser.add_argument("--check", action="store_true", help="check the file and start nothing")
    parser.add_argument(
        "--json", action="store_true", help="print a summary at the end; all else goes to stderr"
    )
    return parser
