# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The `lowlat` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import lowlat_nodes
from lowlat_nodes.cli.subcommands import EXIT_USAGE, Subcommand, Subcommands
from lowlat_nodes.stream.errors import LowlatError

EXIT_INTERRUPTED = 130

COMMANDS = Subcommands(
    "lowlat",
    {
        name: Subcommand(f"lowlat_nodes.cli.{name}", summary)
        for name, summary in {
            "doctor": "find what is wrong with this machine, and name the command that mends it",
            "demo": "compare ways to control a simulated robot, or run all nodes at once",
            "bench": "run one benchmark, or list them",
            "record": "record ROS topics and ZeroMQ publishers into a bag",
            "replay": "publish a bag on ROS and ZeroMQ, run a processor over it, or send recorded alerts",
            "listen": "show what a ZeroMQ publisher says: topics, rates, ages, losses",
            "up": "start the nodes of a parameter file and keep them running",
            "top": "show rates, latencies and drops of each node, live",
            "dash": "serve a live page of nodes, graph, cameras, arms and alerts to a browser",
            "energy": "show meters, joules per result, and what a model would cost",
            "energyd": "sample the meters of this host, once for all nodes",
            "kernels": "list the compiled operations, and compile those for GPUs without one",
            "parameters": "list the parameters of a node, with defaults and ranges",
            "keys": "make keys, and say which machines may connect",
            "serve": "serve a policy to robots and programs, or classify alert streams, without ROS",
            "train": "train a shipped model anew, or adapt one to a robot",
            "calibrate": "time the ways in which this machine can run a detector",
            "export": "turn a checkpoint into the ONNX file that a node runs",
            "profile": "show what an inference costs to launch, and whether CPU or GPU bounds it",
            "quantize": "make an INT8 model of a detector, unless it would see worse",
            "classify": "classify recorded alerts or light curves, and draw them",
            "identify": "fit the actuator model from a bag",
            "interfaces": "build the messages that the wheels of ROS lack",
            "reap": "free the shared memory that killed processes left behind",
            "dataset": "convert bags to a LeRobot dataset, and back",
        }.items()
    },
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `lowlat` and return its exit code.

    Args:
        argv: The arguments after the program's name; None takes those of the process.

    Returns:
        The subcommand's own code; 2 for a wrong command line or configuration; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] == "--version":
        print(f"lowlat_nodes {lowlat_nodes.__version__}")
        return 0
    try:
        code = COMMANDS.run(arguments)
        sys.stdout.flush()
    except LowlatError as error:
        print(f"lowlat {arguments[0]}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; what is left of it goes nowhere, without a second complaint.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main())
