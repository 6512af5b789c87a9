# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The graph while it runs: the table of `lowlat top`, redrawn in place on a terminal."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any, TextIO

from lowlat_nodes.cli.reports import Reports
from lowlat_nodes.cli.top_table import table
from lowlat_nodes.stream.clock import SteadyClock

_EVERY_S = 1.0
_SELDOM_S = 15.0  # where lines stay
_PLAIN_WIDTH = 120


class LiveGraph:
    """Shows what the nodes say of themselves.

    Args:
        stream: Where to write; redrawn in place if it is a terminal, otherwise the table now and then.
        seconds: How long the run is.
    """

    def __init__(self, stream: TextIO, seconds: float) -> None:
        self._stream = stream
        self._seconds = seconds
        self._in_place = stream.isatty()
        self._reports = Reports(SteadyClock())
        self._phase = "starting"
        self._begin_s = self._shown_s = time.monotonic()
        self._drawn = 0

    def hear(self, said: Mapping[str, Any]) -> None:
        """Take in what the driver of the run says."""
        if "phase" in said:
            self._phase = said["phase"]
            self._begin_s = time.monotonic()
            if not self._in_place:
                print(f"{self._phase}", file=self._stream, flush=True)
        elif "node" in said:
            name = f"{said['node']}: {said['part']}"
            self._reports.hear(name, said["level"], said["message"], said["values"])
        now_s = time.monotonic()
        if now_s - self._shown_s >= (_EVERY_S if self._in_place else _SELDOM_S):
            self._shown_s = now_s
            self._draw(now_s - self._begin_s)

    def _draw(self, elapsed_s: float) -> None:
        width = shutil.get_terminal_size().columns if self._in_place else _PLAIN_WIDTH
        at = f"{elapsed_s:.0f} of {self._seconds:.0f} s" if self._phase == "playing" else self._phase
        lines = [f"lowlat demo --full: {at}", *(line.text for line in table(self._reports.newest(), width))]
        if self._in_place:
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            self._stream.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
            self._drawn = len(lines)
        else:
            self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()
