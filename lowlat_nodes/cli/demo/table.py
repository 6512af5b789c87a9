# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The live table of the demo: one row for each strategy, redrawn in place on a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

_COLUMNS = "{:<8} {:>7} {:>7} {:>7} {:>7} {:>6} {:>10} {:>8}"
_LEAST_NAME = 12  # the names that are compared by default, in 80 columns
_HEAD = _COLUMNS.format("state", "lights", "touched", "within", "stalled", "stalls", "inferences", "W")
_EVERY = 10


@dataclass
class _Row:
    state: str = "later"
    asked: int = 0
    on_ns: dict[int, int] = field(default_factory=dict)
    touched_ns: list[int] = field(default_factory=list)
    policy: dict[str, int] = field(default_factory=dict)
    before: dict[str, int] = field(default_factory=dict)
    power: str = ""

    def hear(self, said: dict[str, Any]) -> None:
        self.state = said.get("phase", self.state)
        if "policy" in said:
            self.policy = {name: int(text) for name, text in said["policy"].items() if text.isdecimal()}
        if "energy" in said:
            self.power = power(**said["energy"])
        event = said.get("event")
        if event == "start":
            self.asked, self.before = said["targets"], self.policy
        elif event == "on" and said["asked"]:
            self.on_ns[said["id"]] = said["stamp_ns"]
        elif event == "hit":
            self.touched_ns.append(said["stamp_ns"] - self.on_ns[said["id"]])

    def count(self, name: str) -> str:
        if not self.asked:
            return ""
        return str(self.policy.get(name, 0) - self.before.get(name, 0))

    def text(self) -> str:
        lights = f"{len(self.on_ns)}/{self.asked}" if self.asked else ""
        touched = str(len(self.touched_ns)) if self.asked else ""
        within = f"{statistics.median(self.touched_ns) * 1e-6:.0f} ms" if self.touched_ns else ""
        counts = (self.count("stalled_ticks"), self.count("stalls"), self.count("inferences"))
        return _COLUMNS.format(self.state, lights, touched, within, *counts, self.power)


def power(kind: str, watts: float | None) -> str:
    """Return the power of the policy node, with `~` where it is modelled; `no meter` where there is none."""
    if watts is None:
        return "no meter"
    return f"~{watts:.2f}" if kind == "modelled" else f"{watts:.2f}"


class LiveTable:
    """Shows the runs while they go on: lights so far, touched ones, the median time to a touch, counters, W.

    Args:
        stream: Where to write; redrawn in place if it is a terminal, otherwise a row now and then.
        strategies: The rows.
    """

    def __init__(self, stream: TextIO, strategies: Sequence[str]) -> None:
        self._stream = stream
        self._rows = {name: _Row() for name in strategies}
        self._width = max(_LEAST_NAME, *map(len, strategies))
        self._in_place = stream.isatty()
        self._drawn = 0
        self._has_head = False

    def begin(self) -> None:
        """Show the table before anything has been heard: a run takes seconds to start."""
        if self._in_place:
            self.draw()
        else:
            self._write_head()

    def hear(self, name: str, said: dict[str, Any]) -> None:
        """Take in what the driver of a strategy's run says."""
        row = self._rows[name]
        row.hear(said)
        if self._in_place:
            self.draw()
        elif said.get("phase") == "done" or (
            said.get("event") == "on" and said["asked"] and len(row.on_ns) % _EVERY == 0
        ):
            self._write_row(name)

    def draw(self) -> None:
        """Draw the table over the one before."""
        lines = [self._line("strategy", _HEAD), *map(self._row_line, self._rows)]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._stream.flush()
        self._drawn = len(lines)

    def _write_head(self) -> None:
        if not self._has_head:
            print(self._line("strategy", _HEAD), file=self._stream, flush=True)
        self._has_head = True

    def _write_row(self, name: str) -> None:
        self._write_head()
        print(self._row_line(name), file=self._stream, flush=True)

    def _row_line(self, name: str) -> str:
        return self._line(name, self._rows[name].text())

    def _line(self, name: str, rest: str) -> str:
        return f"{name:<{self._width}} {rest}"
