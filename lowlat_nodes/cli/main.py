# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat`: finds the module of a subcommand, imports only that one and runs it."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from typing import Protocol, cast

import lowlat_nodes
from lowlat_nodes.stream.errors import LowlatError

COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("lowlat_nodes.cli.demo", "compare sync, naive and vlash control on a simulated robot"),
    "bench": ("lowlat_nodes.cli.bench", "run one benchmark, or list them"),
    "record": ("lowlat_nodes.cli.record", "record ROS topics into a bag"),
    "replay": ("lowlat_nodes.cli.replay", "publish a bag on ROS, or run a processor over it offline"),
    "up": ("lowlat_nodes.cli.up", "start the nodes of a parameter file and keep them running"),
    "top": ("lowlat_nodes.cli.top", "show a live table of rates, latencies and drops for each node"),
    "train": ("lowlat_nodes.cli.train", "train a shipped model anew"),
    "identify": ("lowlat_nodes.cli.identify", "fit the actuator model from a bag"),
}
"""Subcommand: its module and one line of help."""

EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


class Subcommand(Protocol):
    """What the module of a subcommand offers."""

    def main(self, argv: list[str]) -> int:
        """Run with the arguments that follow the subcommand's name; return the exit code."""
        ...


def usage() -> str:
    """Return the help text."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, summary) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: lowlat [-h] [--version] COMMAND ...",
            "",
            *lines,
            "",
            "`lowlat COMMAND -h` shows the options of a command.",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """Run `lowlat` and return its exit code.

    Args:
        argv: The arguments after the program's name; None takes those of the process.

    Returns:
        The subcommand's own code; 2 for a wrong command line or configuration; 130 after Ctrl-C.
    """
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments:
        print(usage(), file=sys.stderr)
        return EXIT_USAGE
    name, *rest = arguments
    if name in {"-h", "--help"}:
        print(usage())
        return 0
    if name == "--version":
        print(f"lowlat_nodes {lowlat_nodes.__version__}")
        return 0
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"one of {', '.join(COMMANDS)} was expected"
        print(f"lowlat: no command {name!r}; {hint}", file=sys.stderr)
        return EXIT_USAGE
    return _run(name, rest)


def _run(name: str, argv: list[str]) -> int:
    try:
        command = cast("Subcommand", importlib.import_module(COMMANDS[name][0]))
        return command.main(argv)
    except LowlatError as error:
        print(f"lowlat {name}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has gone; point stdout elsewhere so that the flush at exit is silent.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


if __name__ == "__main__":
    sys.exit(main())
