# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the driver heard in a run, read once and turned into arrays."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import Floats

_LEVELS = ("ok", "warn", "error", "stale")


class HeardError(LowlatError):
    """A record that is not one of a complete run."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a node said about itself at one time.

    Attributes:
        at_ns: When it was heard, ROS time.
        part: What it reports on.
        level: ok, warn, error or stale.
        message: One sentence.
        values: Figures as text, by name.
    """

    at_ns: int
    part: str
    level: str
    message: str
    values: Mapping[str, str]

    def number(self, name: str) -> float:
        """Return a figure, NaN where there is none."""
        try:
            return float(self.values.get(name, "nan"))
        except ValueError:
            return math.nan


@dataclass(frozen=True, eq=False)
class Heard:
    """A run as the driver heard it.

    Attributes:
        start_ns: When the lights were started, ROS time.
        end_ns: When nothing new was sent any more.
        statuses: By node, in order; those before the start too.
        lights: Events of the lights, as the simulation says them.
        frames: Frames that the detector was done with between start and end.
        results: Results of alerts, in the order of their coming.
    """

    start_ns: int
    end_ns: int
    statuses: Mapping[str, tuple[Status, ...]]
    lights: tuple[dict[str, Any], ...]
    frames: tuple[dict[str, Any], ...]
    results: tuple[dict[str, Any], ...]

    @property
    def seconds(self) -> float:
        """Return how long it was."""
        return (self.end_ns - self.start_ns) * 1e-9

    def last(self, node: str) -> Status | None:
        """Return what a node said last; None where it said nothing."""
        said = self.statuses.get(node, ())
        return said[-1] if said else None

    def during(self, node: str) -> list[Status]:
        """Return what a node said from the start to the end."""
        return [each for each in self.statuses.get(node, ()) if self.start_ns < each.at_ns <= self.end_ns]

    def series(self, node: str, name: str) -> tuple[Floats, Floats]:
        """Return a figure of a node over time: float64 [n], s since the start; float64 [n]."""
        said = self.during(node)
        times = np.array([(each.at_ns - self.start_ns) * 1e-9 for each in said])
        return times, np.array([each.number(name) for each in said])

    def frame_ages_ms(self) -> Floats:
        """Return how old each frame was when its detections were published."""
        return np.array([(each["published_ns"] - each["capture_ns"]) * 1e-6 for each in self.frames])

    def result_latencies_ms(self) -> Floats:
        """Return how long each alert was under way, from its receipt to the publication of its result."""
        return np.array([(each["published_ns"] - each["received_ns"]) * 1e-6 for each in self.results])

    def light_times_s(self, event: str) -> NDArray[np.float64]:
        """Return when lights went `on`, or were touched (`hit`): s since the start."""
        asked = {each["id"] for each in self.lights if each["event"] == "on" and each["asked"]}
        times = [each["stamp_ns"] for each in self.lights if each["event"] == event and each["id"] in asked]
        return (np.array(times, dtype=np.float64) - self.start_ns) * 1e-9


def read(path: Path) -> Heard:
    """Read what was heard.

    Raises:
        HeardError: If there is no such file, or the run did not come to its end in it.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return heard(json.loads(line) for line in lines)
    except (OSError, ValueError, KeyError) as error:
        raise HeardError(f"expected the record of a run, got {path}: {error}") from error


def heard(said: Iterable[Mapping[str, Any]]) -> Heard:
    """Put together what the driver said.

    Raises:
        HeardError: If the run did not come to its end.
    """
    gathered = _Gathered()
    for each in said:
        gathered.take(each)
    return gathered.heard()


@dataclass
class _Gathered:
    phases: dict[str, int] = field(default_factory=dict)
    statuses: dict[str, list[Status]] = field(default_factory=lambda: defaultdict(list))
    lights: list[dict[str, Any]] = field(default_factory=list)
    frames: list[dict[str, Any]] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)

    def take(self, said: Mapping[str, Any]) -> None:
        if "phase" in said:
            self.phases[said["phase"]] = said["at_ns"]
        elif "node" in said:
            level = said["level"]
            word = _LEVELS[level] if 0 <= level < len(_LEVELS) else str(level)
            status = Status(said["at_ns"], said["part"], word, said["message"], said["values"])
            self.statuses[said["node"]].append(status)
        elif "event" in said:
            self.lights.append(dict(said))
        elif "frame" in said:
            self.frames.append(said["frame"])
        elif "result" in said:
            self.results.append(said["result"])

    def heard(self) -> Heard:
        missing = {"playing", "settling", "done"} - self.phases.keys()
        if missing:
            raise HeardError(f"the run did not come to its end: it never was {' nor '.join(sorted(missing))}")
        start_ns, end_ns = self.phases["playing"], self.phases["settling"]
        return Heard(
            start_ns,
            end_ns,
            {name: tuple(each) for name, each in self.statuses.items()},
            tuple(self.lights),
            tuple(each for each in self.frames if start_ns <= each["published_ns"] <= end_ns),
            tuple(self.results),
        )
