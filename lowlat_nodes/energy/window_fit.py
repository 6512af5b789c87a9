# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Least squares over windows of one length, with the neighbours of each as its instruments.

Counts are blurred at the edges of a window: a result is half done there, a counter that moves every 100 ms
lags. Least squares would take the blur for variation, and find too little (errors in variables). But what is
too much in one window is too little in the next. So windows are weighed by the counts of three, themselves
and their neighbours, whose edges are elsewhere and whose blur has nothing to do with theirs (instrumental
variables; Fuller, "Measurement Error Models", 1987, section 2.4).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.energy.nonnegative import nonnegative

Key = tuple[str, str]
"""A node, and a shape bucket of its results."""

MAX_KEYS: Final = 64

_OTHERS: Final = ("", "other")
_POWER, _IDLE, _FIRST = 0, 1, 2  # columns of all sums of products; those of the keys follow
_LEAST_WINDOWS: Final = 20.0
_LEAST_TRUE: Final = 0.35  # of the variation; the rest is blur of the edges
_MOST_TRUE: Final = (
    10.0  # a steady rate has 3; beyond are a few windows that have nothing to do with the rest
)
_LEAST_COUNT: Final = 0.5  # standard deviation, where a window has more than one: an even rate has up to that
_MOST_LASTING: Final = 0.9  # correlation of the residuals of neighbours
_MOST_BLUR: Final = 0.5  # of the variance of an unknown
_IDLE_SHARE: Final = 0.2  # of all power: idle power may be small, and need not be known better
_MOST_ERROR: Final = 0.25  # standard error, of the value
_KEPT_HALF_LIVES: Final = 10.0
_LEAST_KEPT: Final = 1e-3  # windows: what is left of less is rounding
_LEAST_NOISE: Final = 0.1  # of that of independent windows
_RIDGE: Final = 1e-10
_FLOOR_W: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Estimate:
    """What something costs.

    Attributes:
        joules: Energy of one result, in J; of idle power, in W; NaN while nothing is known.
        error_j: Its standard error, in the same unit.
        why: Why it is not to be relied on; empty where it is.
    """

    joules: float
    error_j: float
    why: str = ""


Solution = tuple[dict[Key, Estimate], Estimate]
"""What results cost, by node and bucket, and idle power."""

UNKNOWN: Final = Estimate(math.nan, math.nan, "nothing is known yet")


class WindowFit:
    """What results cost, from windows that follow each other, of which old ones count less.

    Memory is bounded: sums of products of at most `MAX_KEYS` keys; what is beyond counts as one key that
    is not told. A key that was not counted for ten half-lives is forgotten.

    Args:
        half_life_s: After this time a window counts half.
    """

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._columns: dict[Key, int] = {}
        self._unseen_s: dict[Key, float] = {}
        self._learned: dict[Key, int] = {}  # windows since the key is one
        # Sums over windows, each weighted: of its row with itself; of the row with its instrument, which is
        # the row and its two neighbours; of the row with the one before. Then, with squared forgetting, of
        # the instrument with itself, and with the one before.
        self._sums = np.zeros((5, _FIRST, _FIRST))
        # The two rows before; and, weighted, the newest row that was learned, and its instrument.
        self._past = np.zeros((4, _FIRST))
        self._length_s = 0.0  # of the window before
        self._in_a_row = 0
        self._windows = self._windows_squared = 0.0
        self._mean_w = 0.0
        self._seconds = 1.0

    def add(self, counts: Mapping[Key, float], seconds: float, joules: float) -> None:
        """Learn from a window, which follows the one before."""
        self._forget(seconds)
        row = self._row(counts, seconds, joules)
        self._in_a_row += 1
        if self._in_a_row > 2:
            self._learn(row, self._length_s)
        self._past[0], self._past[1] = self._past[1], row
        self._length_s = seconds

    def interrupt(self) -> None:
        """Note that the next window does not follow the last one."""
        self._past[:] = 0.0
        self._in_a_row = 0

    def solution(self) -> Solution:
        """Return the energy of a result by node and bucket, in J, and the power without results, in W."""
        found = dict.fromkeys((key for key in self._columns if key != _OTHERS), UNKNOWN)
        used = np.flatnonzero(self._sums[0].diagonal() > 0.0)
        used = used[used != _POWER]
        if not len(used) or self._windows < _LEAST_KEPT:
            return found, UNKNOWN
        fit = _Fit(self._sums, used, self._windows, self._windows**2 / self._windows_squared)
        names = {column: key for key, column in self._columns.items()}
        told = [names.get(column, _OTHERS) for column in used.tolist()]
        for place, key in enumerate(told):
            if key in found:
                found[key] = fit.estimate(place, told, self._learned[key], self._seconds)
        return found, fit.estimate(0, told, self._windows, self._seconds)

    def _forget(self, seconds: float) -> None:
        kept = 0.5 ** (seconds / self._half_life_s)
        self._sums[:3] *= kept
        self._sums[3:] *= kept * kept
        self._windows *= kept
        self._windows_squared *= kept * kept
        longest_s = _KEPT_HALF_LIVES * self._half_life_s
        for key in list(self._columns):
            self._unseen_s[key] += seconds
            if self._unseen_s[key] > longest_s:
                self._remove(key)

    def _remove(self, key: Key) -> None:
        column = self._columns.pop(key)
        del self._unseen_s[key], self._learned[key]
        self._columns = {other: place - (place > column) for other, place in self._columns.items()}
        self._sums = np.delete(np.delete(self._sums, column, 1), column, 2)
        self._past = np.delete(self._past, column, 1)

    def _row(self, counts: Mapping[Key, float], seconds: float, joules: float) -> NDArray[np.float64]:
        """Return power, 1, and the rate of each key; a new key gets a column."""
        rates: dict[Key, float] = {}
        for key, count in counts.items():
            if count > 0.0:
                known = key if key in self._columns or len(self._columns) < MAX_KEYS - 1 else _OTHERS
                if known not in self._columns:
                    self._columns[known] = len(self._columns) + _FIRST
                    self._learned[known] = 0
                    self._sums = np.pad(self._sums, ((0, 0), (0, 1), (0, 1)))
                    self._past = np.pad(self._past, ((0, 0), (0, 1)))
                self._unseen_s[known] = 0.0
                rates[known] = rates.get(known, 0.0) + count / seconds
        row = np.zeros(len(self._columns) + _FIRST)
        row[_POWER], row[_IDLE] = joules / seconds, 1.0
        for key, rate in rates.items():
            row[self._columns[key]] = rate
        return row

    def _learn(self, following: NDArray[np.float64], seconds: float) -> None:
        """Learn from the window before, now that both its neighbours are known."""
        older, row, row_before, instrument_before = self._past
        self._windows += 1.0
        self._windows_squared += 1.0
        self._learned = {key: windows + 1 for key, windows in self._learned.items()}
        self._mean_w += (row[_POWER] - self._mean_w) / self._windows
        self._seconds += (seconds - self._seconds) / self._windows
        # The noise of a counter is a share of what it counts. Power near none must not weigh most of all.
        root = math.sqrt(seconds / (row[_POWER] ** 2 + self._mean_w**2 + _FLOOR_W**2))
        weighted, instrument = root * row, root * (older + row + following)
        left = np.stack((weighted, instrument, weighted, instrument, instrument))
        right = np.stack((weighted, weighted, row_before, instrument, instrument_before))
        self._sums += left[:, :, None] * right[:, None, :]
        self._past[2], self._past[3] = weighted, instrument


class _Fit:
    """A solution, and how far it can be relied on.

    Unknowns are idle power and the energies of the keys, scaled so that each has a mean square of 1.

    Args:
        sums: Those of the regression.
        used: Columns of the unknowns, idle power first.
        windows: How many, after forgetting.
        effective: How many windows that weigh the same would tell as much.
    """

    def __init__(
        self, sums: NDArray[np.float64], used: NDArray[np.int64], windows: float, effective: float
    ) -> None:
        scale = np.sqrt(sums[0].diagonal()[used])
        columns = np.concatenate(([_POWER], used))
        scales = np.concatenate(([1.0], scale))
        gram, crossed, following, instruments, instruments_following = (
            each[np.ix_(columns, columns)] / np.outer(scales, scales) for each in sums
        )
        crossed = (crossed + crossed.T) / 2.0
        instruments += _RIDGE * np.eye(len(columns))  # what never varies is not certain
        self._scale, self._effective = scale, effective
        self._gram, self._crossed = gram[1:, 1:], crossed[1:, 1:]
        self._mean_w = float(gram[0, 1] / scale[0])
        matrix, moment = self._equations(gram[1:, 0], crossed[1:, 0])
        solution = nonnegative(matrix, moment)
        self._values = solution / scale
        # Residuals of neighbours cancel where blur causes them, which few windows cannot prove. They add up
        # where something else does, and then it lasts: as a first-order process, as far as is known.
        residual = np.concatenate(([1.0], -solution))
        spare = effective / max(1.0, effective - np.count_nonzero(solution)) / windows
        own = max(0.0, float(residual @ gram @ residual)) * spare
        shared = float(residual @ following @ residual) * spare + 0.5 * own / math.sqrt(effective)
        shared = min(shared, _MOST_LASTING * own)
        if shared > 0.0:
            shared /= 1.0 - shared / own
        noise = own * instruments + shared * (instruments_following + instruments_following.T)
        least = _LEAST_NOISE * own * instruments
        variance = np.maximum(*(_variance(matrix, each[1:, 1:], solution > 0.0) for each in (noise, least)))
        self._errors = np.sqrt(variance) / scale

    def _equations(
        self, plain: NDArray[np.float64], weighed: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the equations of the solution, a matrix and a right-hand side.

        Unknowns are turned into directions that are independent and of one size. Those that have not been
        seen cannot be told. Of the others each is either seen beyond the edges of windows, or it is blur;
        then least squares must do.

        Args:
            plain: Right-hand side of least squares.
            weighed: The same with instruments.
        """
        sizes, axes = np.linalg.eigh(self._gram)
        seen = sizes > _RIDGE * len(sizes)
        roots, null = np.sqrt(sizes[seen]), axes[:, ~seen]
        whiten = axes[:, seen] / roots
        true, turn = np.linalg.eigh(whiten.T @ self._crossed @ whiten)
        blurred = (true < _LEAST_TRUE) | (true > _MOST_TRUE)
        moments = np.where(blurred, turn.T @ whiten.T @ plain, turn.T @ whiten.T @ weighed)
        true = np.where(blurred, 1.0, true)
        spread = (whiten @ turn) ** 2
        untold = spread[:, blurred].sum(1) + (null**2).sum(1) / _RIDGE
        told = spread[:, ~blurred].sum(1)
        self._blur = untold / (untold + told)
        self._partial = 1.0 / (untold + np.maximum(told, (spread / true)[:, ~blurred].sum(1)))
        basis = (axes[:, seen] * roots) @ turn
        return (basis * true) @ basis.T + _RIDGE * null @ null.T, basis @ moments

    def estimate(self, place: int, names: list[Key], windows: float, seconds: float) -> Estimate:
        """Return one unknown, with what is wrong with it.

        Args:
            place: Of the unknown; 0 for idle power.
            names: Of the unknowns.
            windows: How many there were since the unknown is one.
            seconds: Mean length of a window.
        """
        value, error = float(self._values[place]), float(self._errors[place])
        known = min(windows, self._effective)
        if known < _LEAST_WINDOWS:
            return Estimate(value, error, f"only {known:.0f} windows yet, of {_LEAST_WINDOWS:.0f}")
        mean = float(self._gram[place, 0])
        most = self._mean_w / (mean * self._rms(place))  # all of the power
        untold = self._untold(place, names, seconds)
        if untold:
            return Estimate(value, max(error, most / 2.0), untold)
        if error > _MOST_ERROR * (value if place else max(value, _IDLE_SHARE * most)):
            return Estimate(value, error, f"its standard error is more than {_MOST_ERROR:.0%} of it")
        return Estimate(value, error)

    def _untold(self, place: int, names: list[Key], seconds: float) -> str:
        """Say what it cannot be told from, if so."""
        if not place:
            blurred = self._blur[place] > _MOST_BLUR
            return "rates hardly vary: idle power cannot be told from work" if blurred else ""
        rms, mean = self._rms(place), float(self._gram[place, 0])
        least = _LEAST_COUNT / seconds if mean * rms * seconds > 1.0 else 0.0
        if rms * math.sqrt(max(0.0, 1.0 - mean**2)) < least or self._seen(place) < _LEAST_TRUE:
            return "its rate hardly varies: its energy cannot be told from idle power"
        if rms * math.sqrt(float(self._partial[place])) < least or self._blur[place] > _MOST_BLUR:
            return f"its rate varies only with that of {self._companion(place, names)}"
        return ""

    def _seen(self, place: int) -> float:
        """Share of the variation of a rate that is not blur, all others aside."""
        centred = np.zeros(len(self._scale))
        centred[0], centred[place] = -self._gram[place, 0], 1.0
        return float(centred @ self._crossed @ centred) / max(float(centred @ self._gram @ centred), _RIDGE)

    def _rms(self, place: int) -> float:
        """Root mean square of a rate, in results a second."""
        return float(self._scale[place] / self._scale[0])

    def _companion(self, place: int, names: list[Key]) -> str:
        """The key whose rate goes most with that of this one."""
        mean = self._gram[:, 0]
        centred = self._gram - np.outer(mean, mean)
        alike = np.abs(centred[place]) / np.sqrt(np.maximum(centred.diagonal(), _RIDGE))
        alike[[0, place]] = -1.0
        node, bucket = names[int(np.argmax(alike))]
        return f"{node} {bucket}".strip() or "others"


def _variance(
    matrix: NDArray[np.float64], noise: NDArray[np.float64], free: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return the variance of each unknown: of a free one beside the free ones, of a bound one beside all."""
    variance = np.zeros(len(free))
    for which in (np.ones(len(free), bool), free):
        index = np.ix_(which, which)
        inverse = np.linalg.inv(matrix[index])
        variance[which] = np.einsum("ij,jk,ki->i", inverse, noise[index], inverse)
    return np.maximum(variance, 0.0)  # below it is rounding
