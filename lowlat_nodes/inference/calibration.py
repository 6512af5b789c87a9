# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Timing the ways in which this machine can run a model, as busy as it is, and taking the best."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from lowlat_nodes.inference.agreement import disagreement
from lowlat_nodes.inference.candidates import Candidate
from lowlat_nodes.inference.model import Model
from lowlat_nodes.stream.errors import ConfigurationError

TOLERANCES: Final[Mapping[str, float]] = {"fp32": 0.02, "fp16": 0.05, "bf16": 0.15}
"""Precision: how far results may be from the reference, as `agreement.disagreement` has it."""

QUANTISED_TOLERANCE: Final = 0.3
Compared = Callable[[list[np.ndarray]], list[np.ndarray]]
"""Makes of a model's outputs what is the same however it is run."""

Stop = Callable[[], bool]
"""Returns whether a calibration is to give up."""

TIE: Final = 1.05
"""Candidates within this factor of the fastest are as fast."""

HOPELESS: Final = 1.5
"""A candidate whose fastest run takes this many times the median of the best is not timed further."""

_TURNS_BEFORE_JUDGING = 5
_PRECISIONS = ("fp32", "fp16", "bf16")  # by falling preference where speed is the same


def never() -> bool:
    """Return that nobody wants a calibration to give up."""
    return False


@dataclass(frozen=True)
class Row:
    """What was found out about a candidate.

    Attributes:
        candidate: What was timed.
        runs: How many runs were timed; the figures below are 0 without any.
        p50_ms: Median of a run.
        p99_ms: 99th percentile of a run.
        cpu_ms: Mean time of all cores that a run took.
        apart: How far its result is from the reference; None without one.
        error: Why it is out of the question; empty if it is not.
    """

    candidate: Candidate
    runs: int = 0
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    cpu_ms: float = 0.0
    apart: float | None = None
    error: str = ""


@dataclass(frozen=True)
class Calibration:
    """The table and the choice.

    Attributes:
        rows: One per candidate.
        chosen: Index of the best.
        load: Load average of the machine before it began.
        cores: Cores that this process may use.
        unix_ns: When it was made.
        cached: Whether it was made at an earlier start.
    """

    rows: tuple[Row, ...]
    chosen: int
    load: float
    cores: int
    unix_ns: int
    cached: bool = False

    @property
    def best(self) -> Candidate:
        """Return the chosen candidate."""
        return self.rows[self.chosen].candidate

    def as_text(self) -> str:
        """Return the table as text, the chosen row marked."""
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.unix_ns // 10**9))
        origin = f"from the cache, made {when}" if self.cached else f"made {when}"
        lines = [
            f"backends timed at a load of {self.load:.2f} on {self.cores} cores ({origin})",
            "  backend      device    threads  spinning  precision   p50 ms   p99 ms   CPU ms  runs",
        ]
        for index, row in enumerate(self.rows):
            each = row.candidate
            head = (
                f"{'*' if index == self.chosen else ' '} {each.backend:<11}  {each.device:<8}  "
                f"{each.threads:7}  {'on' if each.spinning else 'off':>8}  {each.precision:>9}"
            )
            figures = f"  {row.p50_ms:7.2f}  {row.p99_ms:7.2f}  {row.cpu_ms:7.2f}  {row.runs:4}"
            lines.append(f"{head}{figures if row.runs else ''}  {row.error}".rstrip())
        return "\n".join(lines)

    def as_json(self) -> str:
        """Return the same as one JSON object."""
        rows = []
        for index, row in enumerate(self.rows):
            figures = asdict(row)
            rows.append({**figures.pop("candidate"), **figures, "chosen": index == self.chosen})
        return json.dumps(
            {
                "rows": rows,
                "load": self.load,
                "cores": self.cores,
                "unix_ns": self.unix_ns,
                "cached": self.cached,
            }
        )


@dataclass(frozen=True)
class Clocks:
    """What is measured with; all in ns.

    Attributes:
        wall: Steady time.
        cpu: Time of all threads of this process.
        load: Load average of the last minute.
        unix: Time of day.
    """

    wall: Callable[[], int] = time.perf_counter_ns
    cpu: Callable[[], int] = time.process_time_ns
    load: Callable[[], float] = field(default=lambda: os.getloadavg()[0])
    unix: Callable[[], int] = time.time_ns


@dataclass
class _Trial:
    """A candidate while it is timed."""

    candidate: Candidate
    model: Model | None = None
    feed: Mapping[str, np.ndarray] = field(default_factory=dict)
    walls: list[int] = field(default_factory=list)
    cpus: list[int] = field(default_factory=list)
    apart: float | None = None
    error: str = ""

    def fail(self, error: str) -> None:
        """Give up, and let the model go with its threads."""
        self.error = error
        self.model = None

    def row(self) -> Row:
        if not self.walls:
            return Row(self.candidate, apart=self.apart, error=self.error)
        return Row(
            self.candidate,
            len(self.walls),
            _ms(np.percentile(self.walls, 50)),
            _ms(np.percentile(self.walls, 99)),
            _ms(np.mean(self.cpus)),
            self.apart,
            self.error,
        )


def calibrate(
    candidates: Sequence[Candidate],
    load: Callable[[Candidate], Model],
    feed: Callable[[Model], Mapping[str, np.ndarray]],
    outputs: list[str],
    *,
    reference: Sequence[np.ndarray] | None = None,
    compared: Compared = list,
    tolerances: Mapping[str, float] = TOLERANCES,
    runs: int = 20,
    limit_s: float = 2.0,
    clocks: Clocks | None = None,
    stop: Stop = never,
) -> tuple[Calibration, Model]:
    """Time candidates in turns, so that a change of load meets all of them, and return the best loaded.

    Args:
        candidates: What to time.
        load: Loads the model in one of these ways.
        feed: Makes inputs for a loaded model: the same image for all of them.
        outputs: What to fetch.
        reference: The right values of these; None if they are not known.
        compared: Makes of the outputs what must be the same.
        tolerances: By precision, how far outputs may be from them.
        runs: How often each is timed.
        limit_s: Time after which no further turn is begun, s.
        clocks: What to measure with.
        stop: Asked before each load and each turn.

    Raises:
        ConfigurationError: If none of them works, the message has the table; if it was to stop.
    """
    clocks = clocks or Clocks()
    load_average = clocks.load()
    trials = [_Trial(candidate) for candidate in candidates]
    for trial in trials:
        _go_on(stop)
        _prepare(trial, load, feed, outputs)
        if reference is not None and trial.model is not None:
            _compare(trial, outputs, compared, reference, tolerances[trial.candidate.precision])
    _time(trials, outputs, runs, limit_s, clocks, stop)
    rows = tuple(trial.row() for trial in trials)
    chosen = choose(rows)
    found = Calibration(rows, chosen, load_average, len(os.sched_getaffinity(0)), clocks.unix())
    model = trials[chosen].model if chosen >= 0 else None
    if model is None:
        raise ConfigurationError(f"expected a backend that runs the model, none does:\n{found.as_text()}")
    return found, model


def choose(rows: Sequence[Row]) -> int:
    """Return the index of the best row, -1 if there is none.

    The fastest by median; among those within 5 % of it the one with fewest threads, then of the higher
    precision, then without spinning, then with the lower 99th percentile.
    """
    fit = [index for index, row in enumerate(rows) if row.runs and not row.error]
    if not fit:
        return -1
    fastest = min(rows[index].p50_ms for index in fit)

    def rank(index: int) -> tuple[int, int, bool, float]:
        each = rows[index].candidate
        return each.threads, _PRECISIONS.index(each.precision), each.spinning, rows[index].p99_ms

    return min((index for index in fit if rows[index].p50_ms <= TIE * fastest), key=rank)


def _prepare(
    trial: _Trial,
    load: Callable[[Candidate], Model],
    feed: Callable[[Model], Mapping[str, np.ndarray]],
    outputs: list[str],
) -> None:
    """Load a candidate and run it once: first runs allocate."""
    try:
        trial.model = load(trial.candidate)
        trial.feed = feed(trial.model)
        trial.model.run(trial.feed, outputs)
    except Exception as error:  # each backend has its own; whatever it is, this is no candidate
        trial.fail(_brief(error))


def _compare(
    trial: _Trial,
    outputs: list[str],
    compared: Compared,
    reference: Sequence[np.ndarray],
    tolerance: float,
) -> None:
    """Refuse a candidate whose results are not those of the reference."""
    assert trial.model is not None
    try:
        made = compared(trial.model.run(trial.feed, outputs))
    except Exception as error:  # the same: it goes into the table
        trial.fail(_brief(error))
        return
    apart = disagreement(compared(list(reference)), made)
    if not math.isfinite(apart):
        trial.fail("its results are not finite, or not of the reference's shapes")
        return
    trial.apart = round(apart, 6)
    if apart > tolerance:
        trial.fail(f"its results are {apart:.2g} apart from the reference, at most {tolerance:g} is right")


def _time(
    trials: Sequence[_Trial], outputs: list[str], runs: int, limit_s: float, clocks: Clocks, stop: Stop
) -> None:
    end = clocks.wall() + round(limit_s * 1e9)
    for turn in range(runs):
        alive = [trial for trial in trials if trial.model is not None]
        if turn and clocks.wall() >= end:
            return
        _go_on(stop)
        for offset in range(len(alive)):
            _time_once(alive[(turn + offset) % len(alive)], outputs, clocks)
        if turn + 1 >= _TURNS_BEFORE_JUDGING:
            _stop_the_hopeless([trial for trial in alive if trial.model is not None])


def _time_once(trial: _Trial, outputs: list[str], clocks: Clocks) -> None:
    assert trial.model is not None
    cpu, wall = clocks.cpu(), clocks.wall()
    try:
        trial.model.run(trial.feed, outputs)
    except Exception as error:  # the same
        trial.fail(_brief(error))
        return
    trial.walls.append(clocks.wall() - wall)
    trial.cpus.append(clocks.cpu() - cpu)


def _stop_the_hopeless(alive: Sequence[_Trial]) -> None:
    best = min((float(np.median(trial.walls)) for trial in alive), default=0.0)
    for trial in alive:
        if min(trial.walls) > HOPELESS * best:
            trial.fail("stopped: far behind the best")


def _go_on(stop: Stop) -> None:
    if stop():
        raise ConfigurationError("told to stop while the backends were timed")


def _brief(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__


def _ms(value_ns: Any) -> float:
    return round(float(value_ns) / 1e6, 4)
