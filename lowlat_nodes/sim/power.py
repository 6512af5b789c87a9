# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A simulated host whose power has a known truth: nodes with an energy per result, idle power, a counter.

The counter behaves as those of GPUs and CPU packages do: it moves every 100 ms or so, at a phase that nobody
knows, and each of its steps is wrong by a few per cent. A gain that is wrong for good (`gain`) is another
matter: no method can see it in the counter, all energies are wrong by it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.meter import Kind, Reading

FAKE: Final = "simulated"
"""What stands behind such a meter."""

_S: Final = 1_000_000_000
_MOST_STEPS: Final = 100_000  # of the counter between two readings: beyond, they are taken as one


@dataclass(frozen=True)
class NodeConfig:
    """A simulated node, which makes one result after the other."""

    joules: float = setting(1.5, unit="J", low=0.0, doc="Mean energy of a result.")
    scatter: float = setting(0.0, low=0.0, high=1.0, doc="Standard deviation of that, relative, by result.")
    busy_s: float = setting(0.02, unit="s", low=0.0, doc="How long a result takes; its power is even.")
    rate_hz: float = setting(20.0, unit="Hz", low=1e-3, doc="Mean rate.")
    pattern: str = setting(
        "walk",
        choices=("constant", "walk", "phases"),
        doc="How the rate varies: not at all, as a random walk that is drawn back, or between two values.",
    )
    variation: float = setting(0.3, low=0.0, high=1.0, doc="Standard deviation of the rate, relative.")
    steady_s: float = setting(10.0, unit="s", low=0.1, doc="How long a rate lasts, about.")


class Work:
    """What a simulated node did, all of it: known before it happens, so that it can be read at any time.

    Args:
        config: The node.
        seconds: How long it works.
        seed: Of its rates and energies.
    """

    def __init__(self, config: NodeConfig, seconds: float, seed: int) -> None:
        if config.pattern not in {"constant", "walk", "phases"}:
            raise ConfigurationError(f"pattern: expected constant, walk or phases, got {config.pattern!r}")
        random = np.random.default_rng(seed)
        rates = _rates(config, seconds, random)
        starts = _starts(config, rates, random)
        self.config = config
        self.starts_s: NDArray[np.float64] = starts
        self.ends_s: NDArray[np.float64] = starts + config.busy_s
        joules = config.joules * np.maximum(0.0, 1.0 + config.scatter * random.normal(size=len(starts)))
        self._knots_s = np.stack((self.starts_s, self.ends_s), 1).ravel()
        after = np.cumsum(joules)
        self._joules = np.stack((after - joules, after), 1).ravel()

    def joules(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Return what it has used until each of some times."""
        times = np.asarray(times_s, np.float64)
        return np.asarray(np.interp(times, self._knots_s, self._joules, left=0.0))

    def started(self, time_s: float) -> int:
        """Return how many results it has begun until a time."""
        return int(np.searchsorted(self.starts_s, time_s, "right"))

    def finished(self, time_s: float) -> int:
        """Return how many results it has made until a time."""
        return int(np.searchsorted(self.ends_s, time_s, "right"))

    def counts(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Return how many results it has made until each of some times, one that is not finished as half."""
        started = np.searchsorted(self.starts_s, times_s, "right")
        finished = np.searchsorted(self.ends_s, times_s, "right")
        return (started + finished) / 2.0


class SimulatedMeter:
    """A counter of what simulated nodes use, and of what is spent on it: a `stream.meter.Meter`.

    Every `period_s` it moves by what was used since it last did, times `gain`, times 1 plus a normal number
    times `noise`; it does not know when it last moved, so that `Reading.time_ns` is the time of the reading.
    `spend` may be called from any thread.

    Args:
        idle_w: Power without work.
        works: Simulated nodes; their time begins with the meter.
        period_s: Time between two movements.
        phase: When the first is, as a share of the period.
        noise: Standard deviation of a movement, relative.
        gain: What it counts of a joule, always.
        clock: Steady; that of this machine unless given.
        seed: Of the noise.
        name: Unique among the meters of a host.
        device: Whose work moves it.
    """

    covers: tuple[str, ...]
    part_of = ""
    fake = FAKE

    def __init__(
        self,
        idle_w: float = 70.0,
        works: tuple[Work, ...] = (),
        *,
        period_s: float = 0.1,
        phase: float = 0.0,
        noise: float = 0.03,
        gain: float = 1.0,
        clock: Clock | None = None,
        seed: int = 0,
        name: str = "simulated/0",
        device: str = "gpu0",
    ) -> None:
        if period_s <= 0.0 or not 0.0 <= phase < 1.0 or min(idle_w, noise, gain) < 0.0:
            raise ConfigurationError(
                "expected a period above 0, a phase from 0 to below 1, and no negative idle power, noise or "
                f"gain; got period_s={period_s}, phase={phase}, idle_w={idle_w}, noise={noise}, gain={gain}"
            )
        self.name, self.device, self.covers = name, device, (device,)
        self._clock = clock or SteadyClock()
        self._idle_w, self._works = idle_w, works
        self._period_s, self._noise, self._gain = period_s, noise, gain
        self._random = np.random.default_rng(seed)
        self._lock = threading.Lock()
        self._start_ns = self._clock.now_ns()
        self._first_s = (phase or 1.0) * period_s
        self._moves = 0
        self._used_j = 0.0  # of idle power and simulated nodes, when it last moved
        self._spent_j = 0.0  # since then
        self._counted_j = 0.0

    def spend(self, joules: float) -> None:
        """Use energy now; the counter shows it when it next moves."""
        with self._lock:
            self._move(self._clock.now_ns())
            self._spent_j += joules

    def read(self) -> Reading:
        """Return what it shows now."""
        with self._lock:
            now_ns = self._clock.now_ns()
            self._move(now_ns)
            return Reading(self._counted_j, now_ns, Kind.MEASURED, self._period_s, 0.0)

    def close(self) -> None:
        """Do nothing: nothing is held."""

    def _move(self, now_ns: int) -> None:
        now_s = (now_ns - self._start_ns) / _S
        moves = int((now_s - self._first_s) / self._period_s + 1.0) if now_s >= self._first_s else 0
        if moves <= self._moves:
            return
        first = max(self._moves, moves - _MOST_STEPS)
        times_s = self._first_s + self._period_s * np.arange(first, moves)
        used = self._idle_w * times_s + sum(work.joules(times_s) for work in self._works)
        steps = np.diff(used, prepend=self._used_j)
        steps[0] += self._spent_j
        noise = 1.0 + self._noise * self._random.normal(size=len(steps))
        self._counted_j += self._gain * float(np.maximum(steps * noise, 0.0).sum())
        self._moves, self._used_j, self._spent_j = moves, float(used[-1]), 0.0


def _rates(config: NodeConfig, seconds: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a rate for each tenth of a second."""
    count = max(1, round(seconds * 10.0))
    if config.pattern == "constant":
        return np.full(count, config.rate_hz)
    if config.pattern == "phases":
        changes = random.random(count) < 0.1 / config.steady_s
        factors = 1.0 + config.variation * np.where((np.cumsum(changes) + random.integers(2)) % 2, 1.0, -1.0)
    else:
        kept = np.exp(-0.1 / config.steady_s)
        pushes = random.normal(size=count) * np.sqrt(1.0 - kept**2)
        walk = random.normal()
        factors = np.empty(count)
        for number, push in enumerate(pushes):
            walk = kept * walk + push
            factors[number] = 1.0 + config.variation * walk
    return config.rate_hz * np.clip(factors, 0.0, 3.0)


def _starts(
    config: NodeConfig, rates: NDArray[np.float64], random: np.random.Generator
) -> NDArray[np.float64]:
    """Return when results begin: evenly at the rate, and never two at a time."""
    due = random.random() + np.concatenate(([0.0], np.cumsum(rates / 10.0)))
    numbers = np.arange(1, int(due[-1]) + 1)
    starts = np.interp(numbers, due, np.arange(len(due)) / 10.0)
    # The latest of the times from which everything before would still be done one after the other.
    behind = config.busy_s * np.arange(len(starts))
    return np.asarray(np.maximum.accumulate(starts - behind) + behind, np.float64)
