# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A table of subcommands, each a module that is imported only when it is run."""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

EXIT_USAGE = 2


class Entry(Protocol):
    """What the module of a subcommand offers."""

    def main(self, argv: Sequence[str]) -> int:
        """Run with the arguments that follow the subcommand's name; return the exit code."""
        ...


@dataclass(frozen=True)
class Subcommand:
    """Where a subcommand is and what it does.

    Attributes:
        module: Name of a module with `main(argv) -> int`.
        summary: One line of help.
    """

    module: str
    summary: str


@dataclass(frozen=True)
class Subcommands:
    """The subcommands of one program.

    Attributes:
        program: What the user types before the subcommand, such as `lowlat bench`.
        table: Each subcommand by name, in the order of the help text.
    """

    program: str
    table: Mapping[str, Subcommand]

    def usage(self) -> str:
        """Return the help text."""
        width = max(map(len, self.table), default=0)
        lines = [f"  {name:<{width}}  {command.summary}" for name, command in self.table.items()]
        head, foot = f"usage: {self.program} NAME ...", f"`{self.program} NAME -h` shows the options of one."
        return "\n".join([head, "", *lines, "", foot])

    def run(self, argv: Sequence[str]) -> int:
        """Run the subcommand that `argv` names, or print the help text.

        Args:
            argv: The name of the subcommand and its arguments.

        Returns:
            The subcommand's exit code; 2 for an unknown one, or none, with the right ones on standard error.
        """
        if not argv:
            print(self.usage(), file=sys.stderr)
            return EXIT_USAGE
        name, *rest = argv
        if name in {"-h", "--help"}:
            print(self.usage())
            return 0
        if name not in self.table:
            close = difflib.get_close_matches(name, self.table, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of: {', '.join(self.table)}"
            print(f"{self.program}: {name!r} is unknown; {hint}", file=sys.stderr)
            return EXIT_USAGE
        entry = cast("Entry", importlib.import_module(self.table[name].module))
        return entry.main(rest)
