# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How well regression finds the energy of a result, on a simulated host with a known truth.

A detector (1.5 J, about 20 Hz) and a policy (8 J, about 3 Hz) share a device that idles at 70 W. Its counter
moves every 100 ms at a phase that nobody knows, and each move is wrong by 3 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.energy.account import Account
from lowlat_nodes.energy.figures import Cost
from lowlat_nodes.energy.node_use import NodeUses
from lowlat_nodes.energy.regression import Key
from lowlat_nodes.energy.tally_reader import Counts, Page
from lowlat_nodes.sim.power import NodeConfig, SimulatedMeter, Work
from lowlat_nodes.stream.clock import ManualClock

NODES: Final[dict[Key, NodeConfig]] = {
    ("/detector", ""): NodeConfig(joules=1.5, rate_hz=20.0, busy_s=0.025),
    ("/policy", ""): NodeConfig(joules=8.0, rate_hz=3.0, busy_s=0.08),
}
KEYS: Final = tuple(NODES)
TRUE_J: Final = np.array([node.joules for node in NODES.values()])
IDLE_W: Final = 70.0
HALF_LIFE_S: Final = 120.0  # as in `lowlat energyd`
WINDOW_LENGTHS_S: Final = (0.2, 0.5, 1.0, 2.0, 5.0)

_SAMPLE_S: Final = 0.1
_LATE_S: Final = 0.0005  # a sampler wakes up a little late
_DRIFT: Final = 5e-5  # of the counter's clock
_MOMENTS_S: Final = (60, 300)
_COURSE_S: Final = 5
_NEARLY_ALL: Final = 0.98
_UNKNOWN: Final = Cost("", "", math.nan, math.nan, "regression", "nothing is known yet")


@dataclass(frozen=True)
class Case:
    """What is simulated.

    Attributes:
        noise: Of a move of the counter, relative.
        period_s: From one move to the next.
        pattern: How rates vary, see `sim.power.NodeConfig`; also the next two.
        variation: Of the rates, relative.
        scatter: Of the energy of a result, relative.
        window_s: Length of a window.
    """

    noise: float = 0.03
    period_s: float = 0.1
    pattern: str = "walk"
    variation: float = 0.3
    scatter: float = 0.0
    window_s: float = 1.0


SENSITIVITY: Final[dict[str, tuple[float | str, ...]]] = {
    "noise": (0.01, 0.03, 0.1),
    "variation": (0.1, 0.3, 1.0),
    "period_s": (0.1, 0.25, 1.0),
    "pattern": ("walk", "phases"),
    "scatter": (0.0, 0.1, 0.3),
}


class Host:
    """A simulated host, and the windows that a sampler at 10 Hz makes of it.

    Args:
        case: What is simulated.
        seed: Of everything random.
        seconds: For how long.
    """

    def __init__(self, case: Case, seed: int, seconds: float) -> None:
        random = np.random.default_rng((seed, 0))
        self.works = tuple(
            Work(_varied(node, case, random), seconds + 1.0, seed=seed * len(NODES) + number)
            for number, node in enumerate(NODES.values())
        )
        self._case, self._seed, self._seconds = case, seed, seconds
        self._period_s = case.period_s * (1.0 + _DRIFT * random.normal())
        self._phase = random.random()
        self._late_s = np.abs(_LATE_S * random.normal(size=round(seconds / _SAMPLE_S) + 1))

    def account(self) -> Iterator[tuple[float, Account]]:
        """Yield the account of the meter after each window, as the sampler of a host keeps it, and the time.

        Readings and counts go through the sampler's own code, on a clock of their own.
        """
        clock, meter = self._counter()
        account, uses = Account(meter, HALF_LIFE_S), NodeUses(begin_ns=0)
        pages = [Page(node, "result", uid=0, made_ns=0, processes=(), foreign=False) for node, _ in KEYS]
        for now_s, closes in self._samples():
            clock.set(round(now_s * 1e9))
            account.read(clock.now_ns())
            if closes:
                for page, work in zip(pages, self.works, strict=True):
                    page.counts = {"": Counts(work.started(now_s), work.finished(now_s), 0, 0)}
                nodes = uses.window(pages, {}, {}, ())
                account.settle(None, {(node, ""): use.work.get("", 0.0) for node, use in nodes.items()})
                yield now_s, account

    def windows(self) -> NDArray[np.float64]:
        """Return one row per window: seconds, joules, and the results of each node."""
        clock, meter = self._counter()
        edges = []
        for now_s, closes in self._samples():
            clock.set(round(now_s * 1e9))
            reading = meter.read()
            if closes:
                edges.append((now_s, reading.joules, *(work.counts(now_s) for work in self.works)))
        return np.diff(np.array(edges), axis=0)

    def read_at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the same counter shows at some times, in joules."""
        clock, meter = self._counter()
        order = np.argsort(times_s)
        shown = np.empty(len(times_s))
        for index in order:
            clock.set(round(times_s[index] * 1e9))
            shown[index] = meter.read().joules
        return shown

    def _samples(self) -> Iterator[tuple[float, bool]]:
        """Yield when the sampler wakes up, and whether a window is over then."""
        each = round(self._case.window_s / _SAMPLE_S)
        for number, late_s in enumerate(self._late_s):
            yield _SAMPLE_S * number + late_s, number % each == 0

    def _counter(self) -> tuple[ManualClock, SimulatedMeter]:
        clock = ManualClock()
        meter = SimulatedMeter(
            IDLE_W,
            self.works,
            period_s=self._period_s,
            phase=self._phase,
            noise=self._case.noise,
            clock=clock,
            seed=self._seed,
        )
        return clock, meter


def measure(*, quick: bool = False) -> dict[str, Any]:
    """Return the fields of docs/bench_energy.md.

    Args:
        quick: Fewer seeds.
    """
    seeds = range(8 if quick else 50)
    fewer = range(4 if quick else 20)
    case, longest_s = Case(), max(_MOMENTS_S)
    varying = _Trials(case, seeds, longest_s)
    constant = _Trials(replace(case, pattern="constant"), seeds, longest_s)
    flagged = {
        "constant": round(constant.flagged(longest_s).all(1).mean(), 3),
        "constant_60s": round(constant.flagged(60).all(1).mean(), 3),
        "varying": round(varying.flagged(longest_s).any(1).mean(), 3),
        "varying_60s": round(varying.flagged(60).any(1).mean(), 3),
    }
    return {
        "simulated": True,
        "error_60s": varying.error(60),
        "error_300s": varying.error(300),
        "constant_rate_flagged": bool(
            flagged["constant"] >= _NEARLY_ALL and flagged["varying"] <= 1.0 - _NEARLY_ALL
        ),
        "regression": {
            "seeds": len(seeds),
            "true_j": _by_node(TRUE_J),
            "flagged_share": flagged,
            **{f"at_{moment}s": varying.summary(moment) for moment in _MOMENTS_S},
            "peers": _peers(case, seeds),
            "sensitivity": {
                name: {str(value): _sensitivity(replace(case, **{name: value}), fewer) for value in values}
                for name, values in SENSITIVITY.items()
            },
            "by_window": {
                str(length): _by_window(replace(case, window_s=length), fewer) for length in WINDOW_LENGTHS_S
            },
            "course": varying.course(),
        },
    }


class _Trials:
    """What the regression finds on several hosts, every five seconds."""

    def __init__(self, case: Case, seeds: Sequence[int], seconds: int) -> None:
        courses = [_course(case, seed, seconds) for seed in seeds]
        self._seconds = [second for second, _, _ in courses[0]]
        self._costs = [[costs for _, costs, _ in course] for course in courses]
        self._idle = [[idle for _, _, idle in course] for course in courses]

    def costs(self, moment: int) -> list[list[Cost]]:
        """Return the costs of each host at a moment, node by node."""
        return [each[self._seconds.index(moment)] for each in self._costs]

    def flagged(self, moment: int) -> NDArray[np.bool_]:
        """Return whether each cost was said to be doubtful: [hosts, nodes]."""
        return np.array([[bool(cost.why) for cost in costs] for costs in self.costs(moment)])

    def errors(self, moment: int) -> NDArray[np.float64]:
        """Return the relative error of each cost: [hosts, nodes]."""
        found = np.array([[cost.joules for cost in costs] for costs in self.costs(moment)])
        return found / TRUE_J - 1.0

    def error(self, moment: int) -> float:
        """Return the relative error of the worse node, in the median over hosts."""
        return _rounded(np.nanmedian(np.abs(self.errors(moment)).max(1)))

    def summary(self, moment: int) -> dict[str, Any]:
        """Return the errors of a moment."""
        errors = self.errors(moment)
        said = np.array([[cost.error_j for cost in costs] for costs in self.costs(moment)]) / TRUE_J
        at = self._seconds.index(moment)
        idle = np.array([each[at] for each in self._idle]) - IDLE_W
        return {
            "error_p90": _rounded(np.percentile(np.abs(errors).max(1), 90)),
            "error": _by_node(np.median(np.abs(errors), axis=0)),
            "bias": _by_node(errors.mean(0)),
            "within_2_errors": _by_node((np.abs(errors) <= 2.0 * said).mean(0)),
            "idle_error_w": _rounded(np.nanmedian(np.abs(idle))),
        }

    def course(self) -> list[dict[str, Any]]:
        """Return how the costs of the first host settle, and the error of all in the median, over time."""
        return [
            {
                "s": second,
                "joules": _by_node([cost.joules for cost in self._costs[0][at]]),
                "error_j": _by_node([cost.error_j for cost in self._costs[0][at]]),
                "error": self.error(second),
            }
            for at, second in enumerate(self._seconds)
        ]


def _course(case: Case, seed: int, seconds: int) -> list[tuple[int, list[Cost], float]]:
    """Return costs and idle power every five seconds."""
    course = []
    for now_s, account in Host(case, seed, seconds).account():
        second = round(now_s)
        if second >= 2 * _COURSE_S and round(now_s / _SAMPLE_S) % round(_COURSE_S / _SAMPLE_S) == 0:
            account.solve()
            known = account.costs()
            costs = [(*known.get(node, ()), _UNKNOWN)[0] for node, _ in KEYS]
            course.append((second, costs, account.figures().idle_w))
    return course


def _sensitivity(case: Case, seeds: Sequence[int]) -> dict[str, float]:
    trials = _Trials(case, seeds, max(_MOMENTS_S))
    return {
        "error_60s": trials.error(60),
        "error_300s": trials.error(300),
        "flagged_60s": _rounded(trials.flagged(60).any(1).mean()),
        "flagged_300s": _rounded(trials.flagged(300).any(1).mean()),
    }


def _by_window(case: Case, seeds: Sequence[int]) -> dict[str, float]:
    """Return the errors after 300 s: ours, and of least squares that know nothing of edges."""
    seconds = max(_MOMENTS_S)
    plain = [
        np.abs(_least_squares(Host(case, seed, seconds).windows()) / TRUE_J - 1.0).max() for seed in seeds
    ]
    return {
        "error_300s": _Trials(case, seeds, seconds).error(seconds),
        "least_squares_300s": _rounded(np.median(plain)),
    }


def _peers(case: Case, seeds: Sequence[int]) -> dict[str, Any]:
    """Return what other methods find in the same counters within 60 s, and the error of the worse node."""
    found: dict[str, list[NDArray[np.float64]]] = {}
    for seed in seeds:
        host = Host(case, seed, 60.0)
        windows = host.windows()
        for name, joules in (
            ("least_squares", _least_squares(windows)),
            ("utilisation_share", _utilisation_share(host, windows)),
            ("per_call_window", _per_call(host, idle_w=0.0)),
            ("per_call_window_less_idle", _per_call(host, idle_w=IDLE_W)),
        ):
            found.setdefault(name, []).append(joules)
    return {
        name: {
            "joules": _by_node(np.median(joules, axis=0)),
            "error_60s": _rounded(np.median(np.abs(np.array(joules) / TRUE_J - 1.0).max(1))),
        }
        for name, joules in found.items()
    }


def _least_squares(windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the costs by ordinary least squares over windows."""
    columns = np.column_stack((windows[:, 2:], windows[:, 0]))
    return np.linalg.lstsq(columns, windows[:, 1], rcond=None)[0][: len(KEYS)]


def _utilisation_share(host: Host, windows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what is above the true idle power, by the busy time of each node, over its results."""
    seconds, joules, *results = windows.sum(0)
    busy_s = np.array(results) * [work.config.busy_s for work in host.works]
    return (joules - IDLE_W * seconds) * busy_s / busy_s.sum() / results


def _per_call(host: Host, idle_w: float) -> NDArray[np.float64]:
    """Return the mean of what the counter shows from the begin of a result to its end."""
    found = []
    for work in host.works:
        starts, ends = work.starts_s, work.ends_s
        inside = (starts > 1.0) & (ends < 60.0)
        shown = host.read_at(np.concatenate((starts[inside], ends[inside])))
        count = int(inside.sum())
        found.append((shown[count:] - shown[:count]).mean() - idle_w * work.config.busy_s)
    return np.array(found)


def _varied(node: NodeConfig, case: Case, random: np.random.Generator) -> NodeConfig:
    # A rate that fits into a second a whole number of times is a rare accident.
    rate_hz = node.rate_hz * (1.0 + 0.02 * random.normal())
    return replace(
        node, rate_hz=rate_hz, pattern=case.pattern, variation=case.variation, scatter=case.scatter
    )


def _by_node(values: Any) -> dict[str, float]:
    return {node: _rounded(value) for (node, _), value in zip(KEYS, values, strict=True)}


def _rounded(value: Any) -> float:
    return float(f"{float(value):.3g}")
