# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What `lowlat doctor` prints: aligned, coloured on a terminal, commands on lines of their own."""

from __future__ import annotations

import os
import shutil
import textwrap
from collections.abc import Sequence
from typing import TextIO

from lowlat_nodes.cli.doctor.finding import Finding, Level
from lowlat_nodes.cli.printable import printable

_COLOURS = {Level.OK: "32", Level.NOTE: "36", Level.WARNING: "33;1", Level.PROBLEM: "31;1"}
_BOLD, _FAINT = "1", "2"
_LEVEL_WIDTH = max(len(level.value) for level in Level)
_ABOUT_WIDTH = 20
_INDENT = 2 + _LEVEL_WIDTH + 2 + _ABOUT_WIDTH + 1
_WIDEST, _NARROWEST = 120, 60


class Page:
    """A report that is printed as it comes about.

    Args:
        stream: Where to; a terminal gets colours unless NO_COLOR is set.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._colour = stream.isatty() and not os.environ.get("NO_COLOR")
        columns = shutil.get_terminal_size((100, 24)).columns if stream.isatty() else 100
        self._width = max(_NARROWEST, min(columns, _WIDEST))

    def title(self, text: str) -> None:
        """Print what is looked at."""
        self._print(self._painted(text, _BOLD))

    def heading(self, name: str, what: str) -> None:
        """Print the name of a check before it begins, as some take a while."""
        self._print(f"\n{self._painted(name, _BOLD)}  {self._painted(what, _FAINT)}")

    def show(self, finding: Finding) -> None:
        """Print one finding and what mends it."""
        level = self._painted(f"{finding.level.value:<{_LEVEL_WIDTH}}", _COLOURS[finding.level])
        lines = textwrap.wrap(
            printable(finding.found), self._width - _INDENT, break_long_words=False, break_on_hyphens=False
        )
        first, *rest = lines or [""]
        self._print(f"  {level}  {finding.about:<{_ABOUT_WIDTH}} {first}")
        for line in rest:
            self._print(" " * _INDENT + line)
        # Whole, however long: what is pasted must be what was meant.
        for command in finding.mend:
            self._print(" " * _INDENT + self._painted(printable(command), _COLOURS[Level.NOTE]))

    def summary(self, levels: Sequence[Level]) -> None:
        """Print how many there are of each."""
        parts = []
        for level in (Level.PROBLEM, Level.WARNING, Level.NOTE):
            count = levels.count(level)
            word = f"{count or 'no'} {level.value}{'' if count == 1 else 's'}"
            parts.append(self._painted(word, _COLOURS[level] if count else _FAINT))
        good = f"{levels.count(Level.OK)} in order"
        self._print(f"\n{', '.join(parts)}; {self._painted(good, _COLOURS[Level.OK])}")

    def _painted(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
