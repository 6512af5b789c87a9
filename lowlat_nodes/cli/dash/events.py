# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What has changed: nodes that come, go, hang, warn and recover."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lowlat_nodes.cli.reports import Report

MOST_EVENTS = 50
_MOST_KNOWN = 1000
_LONGEST = 300
_CALM_S = 5.0  # how long it must be better before that is told: what warns every other second does so once
_RANKS = {"ok": 0, "stale": 1, "warn": 2, "error": 3}


class Events:
    """Compares what is seen with what was seen before."""

    def __init__(self) -> None:
        self._events: deque[dict[str, Any]] = deque(maxlen=MOST_EVENTS)
        self._known: dict[tuple[str, str], _Known] = {}
        self._lives: dict[str, frozenset[bytes]] = {}

    def see(self, at_s: float, reports: Sequence[Report]) -> None:
        """Take note of the newest reports."""
        for report in reports:
            key = (report.node, report.part)
            state = report.level if report.lost else report.values.get("state", "") or "there"
            known = self._known.pop(key, None)
            if known is None:
                known = _Known(state, report.level, at_s)
                self._add(at_s, report.node, f"appeared: {state}{_why(report)}")
            elif known.state != state:
                self._add(at_s, report.node, f"went from {known.state} to {state}{_why(report)}")
                known = _Known(state, report.level, at_s)
            else:
                self._see_level(at_s, report, known)
            self._known[key] = known
        while len(self._known) > _MOST_KNOWN:
            del self._known[next(iter(self._known))]

    def see_lives(self, at_s: float, lives: Mapping[str, frozenset[bytes]]) -> None:
        """Take note of what tells each node from those of the same name before it."""
        for name, ids in lives.items():
            former = self._lives.pop(name, None)
            if former and ids - former:
                self._add(at_s, name, "was started again")
            self._lives[name] = ids
        while len(self._lives) > _MOST_KNOWN:
            del self._lives[next(iter(self._lives))]

    def newest(self) -> list[dict[str, Any]]:
        """Return the events, the newest first."""
        return list(self._events)

    def _see_level(self, at_s: float, report: Report, known: _Known) -> None:
        if _rank(report.level) >= _rank(known.level):
            known.worst_s = at_s
        elif at_s - known.worst_s < _CALM_S:
            return
        if report.level != known.level:
            self._add(at_s, report.node, f"went from {known.level} to {report.level}{_why(report)}")
            known.level, known.worst_s = report.level, at_s

    def _add(self, at_s: float, node: str, text: str) -> None:
        self._events.appendleft({"at": round(at_s, 3), "node": node, "text": text[:_LONGEST]})


@dataclass(slots=True)
class _Known:
    """What was told of a part of a node: its state, its level, and when it was last as bad as that."""

    state: str
    level: str
    worst_s: float


def _rank(level: str) -> int:
    return _RANKS.get(level, 0)


def _why(report: Report) -> str:
    return f": {report.message}" if report.level not in {"ok", "stale"} and report.message else ""
