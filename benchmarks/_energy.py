# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Energy of a result in a benchmark: meters before and after what is measured, and nothing in between.

Where a sampler (`lowlat energyd`) measures, its board is read, which knows what the host uses without work;
otherwise the meters of the host. What is used above that is charged to the processes that made the results
by their share of the CPU time; a GPU is charged whole. A counter tells nothing about a window that is not
much longer than its period, so that there is no figure for one: 5 ms of a counter of 100 ms read 0 to 19
times what was used.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures, Missing
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.meters.discovery import find_meters
from lowlat_nodes.energy.process_time import HostTime
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.meter import Kind, Meter

if TYPE_CHECKING:
    from typing_extensions import Self

LEAST: Final = 10
"""Periods of a counter that a window lasts, and steps that it counts in one: they are known to 10 % then."""

_MODEL: Final = "model/cpu"

_ENDED = "the processes whose energy it would be have ended"
_PATIENCE_PERIODS = 5
_LOOK_S = 0.05
_PROOF_S = 2.5
_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_HOST: Final = HostTime()
_SCHED = 2  # CPUCLOCK_SCHED of the kernel: of all threads, in ns


class FakeMeter(LowlatError):
    """A benchmark was to publish energy that no hardware has counted."""

    def __init__(self, name: str, fake: str) -> None:
        super().__init__(
            f"the meter {name} is a fake ({fake}), and no benchmark is written with energy of one; "
            "unset LOWLAT_SYSFS_ROOT, end the sampler that reads fakes, and run it again"
        )


@dataclass(frozen=True, slots=True)
class Count:
    """What a meter has counted at one moment; `idle_j` of it without work, NaN where nobody knows."""

    name: str
    device: str
    part_of: str
    kind: Kind
    period_s: float
    resolution_j: float
    joules: float
    idle_j: float
    breaks: float
    why: str


class Counts(Protocol):
    """Where counts are from."""

    missing: tuple[Missing, ...]

    def read(self) -> list[Count]:
        """Return what all meters count."""
        ...


class HostMeters:
    """The meters of this host, read here.

    Args:
        meters: In the order in which they are to be read.
        missing: What cannot be read.

    Raises:
        FakeMeter: If one of them is a fake.
    """

    def __init__(self, meters: Sequence[Meter], missing: Sequence[Missing] = ()) -> None:
        _refuse_fakes(meters)
        self.missing = tuple(missing)
        self._meters = meters

    def read(self) -> list[Count]:
        """Return what all meters count now."""
        found = []
        for meter in self._meters:
            read = meter.read()
            idle_j = read.idle_w * time.monotonic()
            about = (meter.name, meter.device, meter.part_of, read.kind, read.period_s, read.resolution_j)
            found.append(Count(*about, read.joules, idle_j, read.breaks, read.why))
        return found


class BoardMeters:
    """The meters of this host as its sampler has read them.

    Args:
        board: Of the sampler.
        figures: Its newest figures.

    Raises:
        FakeMeter: If one of the meters is a fake.
    """

    def __init__(self, board: Board, figures: Figures) -> None:
        _refuse_fakes(figures.meters)
        self.missing = figures.missing
        self._board = board
        self._patience_s = _PATIENCE_PERIODS * max(figures.period_s, 1.0)

    def read(self) -> list[Count]:
        """Wait for figures that are made from now on, and return them; none if the sampler has ended.

        Raises:
            FakeMeter: If a meter is a fake by now.
        """
        asked_ns, give_up_s = time.monotonic_ns(), time.monotonic() + self._patience_s
        while time.monotonic() < give_up_s:
            figures = self._board.read()
            if figures is not None and figures.steady_ns >= asked_ns:
                _refuse_fakes(figures.meters)
                return [self._count(meter) for meter in figures.meters]
            time.sleep(_LOOK_S)
        return []

    @staticmethod
    def _count(meter: Any) -> Count:
        idle_j = math.nan if math.isnan(meter.idle_w) else meter.idle_j
        about = (meter.name, meter.device, meter.part_of, meter.kind, meter.period_s, meter.resolution_j)
        return Count(*about, meter.joules, idle_j, meter.unmetered_s, meter.why)


def merged(figures: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the figures of two parts as those of one benchmark, with the energy of both."""
    energy = {**figures.get("energy", {}), **more.get("energy", {})}
    return {**figures, **more, **({"energy": energy} if energy else {})}


def counts_of_host() -> Counts:
    """Return the counts of the sampler where one measures, otherwise of the meters of this host.

    A model is made here, by constants that are known here.

    Raises:
        FakeMeter: If a meter is a fake.
    """
    board = Board(energy_folder())
    figures = board.read()
    if figures is not None:
        sampled = BoardMeters(board, figures)
        if any(meter.kind is Kind.MEASURED for meter in figures.meters):
            return sampled
    return _host_meters()


@functools.cache
def _host_meters() -> HostMeters:
    """Open the meters once for all parts of a benchmark."""
    found = find_meters()
    meters = HostMeters(found.meters, found.missing)
    # A counter that has not moved yet may be a dead one; once that is known, the model stands in for it.
    give_up_s = time.monotonic() + _PROOF_S
    while time.monotonic() < give_up_s and any(
        count.kind is Kind.UNAVAILABLE for count in meters.read() if count.name != _MODEL
    ):
        time.sleep(_LOOK_S)
    return meters


def _refuse_fakes(meters: Iterable[Any]) -> None:
    for meter in meters:
        if meter.fake:
            raise FakeMeter(meter.name, meter.fake)


class Metered:
    """Reads the meters around what is measured; may be entered again, and sums up.

    Args:
        of: Numbers of the processes that make the results, with their children; this one unless given.
        counts: Where counts are from; the host unless given.

    Attributes:
        cpu_s: CPU time that the processes took while it was entered.

    Raises:
        FakeMeter: If a meter is a fake; nothing was measured then.
    """

    def __init__(self, of: Sequence[int] = (), counts: Counts | None = None) -> None:
        self._of = frozenset(of) or frozenset({os.getpid()})
        self._counts = counts or counts_of_host()
        self._begin = _Moment(0.0, 0.0, 0.0, ())
        self._seconds = self._busy_s = self.cpu_s = 0.0
        self._meters: dict[str, _MeterSum] = {}

    def __enter__(self) -> Self:
        # What the processes compute while a sampler is waited for, here and at the end, is not charged.
        counts, busy_s = self._counts.read(), _host_busy_s()
        self._begin = _Moment(time.monotonic(), busy_s, cpu_s_of(self._of), counts)
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error_type is not None:
            return
        begin, time_s, cpu_s = self._begin, time.monotonic(), cpu_s_of(self._of)
        counts = self._counts.read()
        self._seconds += time_s - begin.time_s
        self._busy_s += _host_busy_s() - begin.busy_s
        self.cpu_s += cpu_s - begin.cpu_s
        before, after = ({count.name: count for count in each} for each in (begin.counts, counts))
        for name in dict.fromkeys((*before, *after)):
            meter = self._meters.setdefault(name, _MeterSum())
            meter.add(before.get(name), after.get(name), time_s - begin.time_s)

    def plain(self, unit: str, results: int, cpu_s: float | None = None) -> dict[str, Any]:
        """Return the energy of a result, in the fields that all benchmarks have.

        Args:
            unit: What a result is: `action`, `detection`, `alert`, `message`, ...
            results: How many were made while it was entered.
            cpu_s: CPU time of what made these, where the processes did other things besides; GPUs are left
                out then.

        Returns:
            `kind`, `j_per_UNIT` and `joules` (null without a figure), `results`, `seconds`, `cpu_s`,
            `cpu_share` of what the whole host computed, `meters`, and `why`. Kinds are not added, nor is a
            meter that another one includes: `charged` says which meters make the figure.
        """
        own_s = self.cpu_s if cpu_s is None else cpu_s
        share = min(1.0, own_s / self._busy_s) if self._busy_s > 0.0 and own_s >= 0.0 else math.nan
        used = {
            name: meter.used_j(share, gpus=cpu_s is None)
            for name, meter in self._meters.items()
            if not meter.trouble
        }
        used = {name: joules for name, joules in used.items() if not math.isnan(joules)}
        charged = _charged([self._meters[name].last for name in used])
        joules = math.fsum(used[name] for name in charged) if charged and results else None
        kind = self._meters[charged[0]].last.kind if joules is not None else Kind.UNAVAILABLE
        return {
            "kind": kind.value,
            f"j_per_{unit}": None if joules is None else _rounded(joules / results),
            "joules": None if joules is None else _rounded(joules),
            "results": results,
            "seconds": _rounded(self._seconds),
            "cpu_s": _rounded(own_s),
            "cpu_share": _rounded(share),
            "charged": charged if joules is not None else [],
            "meters": [meter.plain(used.get(name)) for name, meter in self._meters.items()],
            "why": "; ".join(self._why(charged)) if results else "there were no results",
        }

    def _why(self, charged: Sequence[str]) -> list[str]:
        """Return what is to be known of the figure, or why there is none."""
        said = [self._meters[name].note() for name in charged]
        if not charged:
            said = [f"{name}: {meter.trouble or _ENDED}" for name, meter in self._meters.items()]
            if self._counts.missing:
                names = ", ".join(each.name for each in self._counts.missing)
                said.append(f"missing here: {names}; `lowlat energy meters` says why")
            said = ["no meter", *said]
        return [each for each in said if each]


@dataclass(frozen=True, slots=True)
class _Moment:
    """The beginning of a window."""

    time_s: float
    busy_s: float
    cpu_s: float
    counts: Sequence[Count]


@dataclass(slots=True)
class _MeterSum:
    """What one meter counted in all windows."""

    joules: float = 0.0
    idle_j: float = 0.0
    trouble: str = ""
    last: Count = field(
        default_factory=lambda: Count("", "", "", Kind.UNAVAILABLE, 0.0, 0.0, 0.0, 0.0, 0, "")
    )

    def add(self, begin: Count | None, end: Count | None, seconds: float) -> None:
        self.last = end or begin or self.last
        if begin is None or end is None:
            self.trouble = "it was not there all the time"
            return
        gained_j = end.joules - begin.joules
        self.joules += gained_j
        self.idle_j += end.idle_j - begin.idle_j
        if end.kind is Kind.UNAVAILABLE:
            self.trouble = end.why
        elif end.breaks != begin.breaks:
            self.trouble = "it was away in between, or started anew"
        elif seconds < LEAST * end.period_s:
            self.trouble = (
                f"{seconds:.3g} s are too short for a counter that changes every {end.period_s:.3g} s; "
                f"expected {LEAST} periods at least"
            )
        elif gained_j < LEAST * end.resolution_j:
            self.trouble = f"it counted {gained_j:.3g} J in steps of {end.resolution_j:.3g} J"

    def used_j(self, share: float, *, gpus: bool) -> float:
        """Return what is charged; all of it where nobody knows the idle power, NaN where nothing can be."""
        if math.isnan(self.idle_j):
            return self.joules
        active_j = max(0.0, self.joules - self.idle_j)
        if self.last.device.startswith("gpu"):
            return active_j if gpus else math.nan
        return share * active_j

    def note(self) -> str:
        if math.isnan(self.idle_j):
            return (
                f"{self.last.name} counts idle power too, and whatever else ran; `lowlat energyd`, started a "
                "minute before, knows it"
            )
        return f"{self.last.name}: {self.last.why}" if self.last.why else ""

    def plain(self, used_j: float | None) -> dict[str, Any]:
        return {
            "name": self.last.name,
            "device": self.last.device,
            "kind": self.last.kind.value,
            "period_s": _rounded(self.last.period_s),
            "joules": _rounded(self.joules),
            "idle_j": _rounded(self.idle_j),
            "used_j": None if used_j is None else _rounded(used_j),
            "why": self.trouble,
        }


def _charged(usable: Sequence[Count]) -> list[str]:
    """Return the meters that make the figure: of one kind, none within another, the processor among them.

    Measured ones come first; of them that of the board, those of devices, and the battery, which is slow.
    """
    for kind in (Kind.MEASURED, Kind.MODELLED):
        names = {count.name for count in usable if count.kind is kind}
        tops = [count for count in usable if count.kind is kind and count.part_of not in names]
        devices = [count for count in tops if count.device not in {"board", "battery"}]
        if not any(count.device == "cpu" for count in devices):
            devices = []
        whole = {
            device: [count for count in tops if count.device == device] for device in ("board", "battery")
        }
        chosen = whole["board"][:1] or devices or whole["battery"][:1]
        if chosen:
            return [count.name for count in chosen]
    return []


def _host_busy_s() -> float:
    busy_ns = _HOST.busy_ns()
    return math.nan if busy_ns is None else busy_ns * 1e-9


def cpu_s_of(of: frozenset[int]) -> float:
    """Return the CPU time of processes and their children; of children that have ended, too.

    That of a child that has ended is known to 10 ms, and is handed to the parent that waits for it.
    """
    parents, ended_s = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        pid = int(path.parent.name)
        parents[pid] = int(words[1])
        ended_s[pid] = (int(words[13]) + int(words[14])) / _TICKS_HZ
    return math.fsum(ended_s[pid] + _clock_s(pid) for pid in parents if _descends(pid, of, parents))


def _clock_s(pid: int) -> float:
    """Return the CPU time of all threads of a process, to a nanosecond (clock_getcpuclockid(3))."""
    try:
        return time.clock_gettime_ns((~pid << 3) | _SCHED) * 1e-9
    except OSError:  # it has just ended
        return 0.0


def _descends(pid: int, of: frozenset[int], parents: Mapping[int, int]) -> bool:
    while pid and pid not in of:
        pid = parents.get(pid, 0)
    return pid in of


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else float(f"{value:.4g}")
