# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest report of each node, and which nodes have fallen silent or gone."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass

from lowlat_nodes.stream.clock import Clock

_LEVELS = ("ok", "warn", "error", "stale")
_SILENT, _GONE = "silent", "gone"
_HANGS = "hangs: its process is in the ROS graph, but does not go round"
_ENDED = "ended: it has left the ROS graph"
_PATIENCE_NS = 3_000_000_000
_MISSED_REPORTS = 3


@dataclass(frozen=True)
class Report:
    """What one part of a node said last.

    Attributes:
        node: Fully qualified name where the node tells it, otherwise the name that it goes by.
        part: What it reports on.
        level: ok, warn, error or stale, as it says; silent if nothing came for three of its periods and three
            seconds although its process is there, as far as anybody can tell; gone if it is not.
        message: One sentence.
        silent_s: Time since the report came; since when it is so, where nothing was to come.
        values: All figures as text.
    """

    node: str
    part: str
    level: str
    message: str
    silent_s: float
    values: Mapping[str, str]

    @property
    def lost(self) -> bool:
        """Whether the node has stopped to report."""
        return self.level in {_SILENT, _GONE}

    def number(self, name: str) -> float | None:
        """Return a figure, None if it is missing or no number."""
        try:
            value = float(self.values[name])
        except (KeyError, ValueError):
            return None
        return value if math.isfinite(value) else None


class Reports:
    """Collects reports; the one that was silent longest goes when there are too many.

    Args:
        clock: Tells when a report came; must not jump.
        limit: How many are kept.
    """

    def __init__(self, clock: Clock, limit: int = 1000) -> None:
        self._clock = clock
        self._limit = limit
        self._heard: dict[tuple[str, str], _Heard] = {}

    def hear(self, name: str, level: int, message: str, values: Mapping[str, str]) -> None:
        """Take over one diagnostic status.

        Args:
            name: By convention `node: part`; the value `node` tells the fully qualified name.
            level: As in diagnostic_msgs/DiagnosticStatus.
            message: One sentence.
            values: Figures as text.
        """
        owner, _, part = name.partition(":")
        key = (values.get("node") or owner.strip(), part.strip())
        now_ns = self._clock.now_ns()
        former = self._heard.pop(key, None)
        word = _LEVELS[level] if 0 <= level < len(_LEVELS) else str(level)
        self._heard[key] = _Heard(now_ns, now_ns - former.at_ns if former else 0, word, message, values)
        if len(self._heard) > self._limit:
            self._heard.pop(next(iter(self._heard)))

    def newest(self, present: Container[str] | None = None) -> list[Report]:
        """Return the newest report of each part of each node, by name.

        Args:
            present: Fully qualified names of the nodes whose processes are there, None where nobody knows.
        """
        now_ns = self._clock.now_ns()
        return [
            heard.report(key, now_ns, present)
            for key, heard in sorted(self._heard.items(), key=lambda item: item[0])
        ]


@dataclass(frozen=True, slots=True)
class _Heard:
    at_ns: int
    period_ns: int
    level: str
    message: str
    values: Mapping[str, str]

    def report(self, key: tuple[str, str], now_ns: int, present: Container[str] | None) -> Report:
        silent_ns = now_ns - self.at_ns
        level, message = self.level, self.message
        if silent_ns > max(_PATIENCE_NS, _MISSED_REPORTS * self.period_ns):
            level, message = _SILENT, f"last report: {message}"
            if present is not None and self.values.get("node"):
                there = key[0] in present
                level = _SILENT if there else _GONE
                message = f"{_HANGS if there else _ENDED}; {message}"
        return Report(*key, level, message, silent_ns * 1e-9, self.values)
