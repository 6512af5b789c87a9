# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How much CPU time and memory the processes of each node take, as /proc tells."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # in /proc/PID/stat, after the name
_ROS_ARGUMENTS, _NODE_NAME = "--ros-args", "__node:="


@dataclass(frozen=True)
class NodeUse:
    """What the processes of one node took.

    Attributes:
        cpu: Cores that it kept at work, on average; 0.5 is half of one.
        memory_mb: Their memory at the end; what they share with others counts in parts (PSS).
        processes: How many they were.
    """

    cpu: float
    memory_mb: float
    processes: int


class ProcessUse:
    """Follows the nodes that a process has started, and what those start.

    Args:
        parent: Process id of what started the nodes.
    """

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._began_s = self._ended_s = 0.0
        self._before: dict[int, float] = {}
        self._after: dict[int, float] = {}
        self._nodes: dict[str, list[int]] = {}

    def begin(self) -> None:
        """Count CPU time from now on."""
        self._began_s = time.monotonic()
        self._before = {pid: _cpu_s(pid) for pids in self._find().values() for pid in pids}

    def end(self) -> None:
        """Count CPU time up to now."""
        self._ended_s = time.monotonic()
        self._nodes = self._find()
        self._after = {pid: _cpu_s(pid) for pids in self._nodes.values() for pid in pids}

    def result(self) -> dict[str, NodeUse]:
        """Return what each node took in between, by its name, and its memory now.

        A process that was started meanwhile counts from its start.
        """
        elapsed_s = max(self._ended_s - self._began_s, 1e-3)
        return {
            name: NodeUse(
                sum(self._after[pid] - self._before.get(pid, 0.0) for pid in pids) / elapsed_s,
                sum(map(_memory_mb, pids)),
                len(pids),
            )
            for name, pids in self._nodes.items()
        }

    def _find(self) -> dict[str, list[int]]:
        return {_name(pid): list(_tree(pid)) for pid in _children(self._parent)}


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for child in _children(pid):
        yield from _tree(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for path in (_PROC / str(pid) / "task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has just ended
            found += map(int, path.read_text(encoding="ascii").split())
    return found


def _name(pid: int) -> str:
    """Return the name of a node by its command line: the one that it is given, or that of its program."""
    words = _read(pid, "cmdline").split("\0")
    given = [word.partition(_NODE_NAME)[2] for word in words if _NODE_NAME in word]
    if given:
        return given[-1]
    end = words.index(_ROS_ARGUMENTS) if _ROS_ARGUMENTS in words else len(words)
    return Path(words[max(0, end - 1)]).name


def _cpu_s(pid: int) -> float:
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS if len(fields) > _SYSTEM else 0.0


def _memory_mb(pid: int) -> float:
    for line in _read(pid, "smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024.0
    return 0.0


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        return ""
