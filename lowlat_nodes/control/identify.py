# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Actuator identification: the drive model that explains recorded commands and joint states.

Output-error identification (Ljung, System Identification, 2nd edition, 1999): the model is simulated over
stretches of the record from the measured state at their beginning, with the commands alone, and the squares
of what is then missing to the measured positions are made least. Noise of the encoders does not bias that,
unlike a regression from one sample to the next. The search is Levenberg-Marquardt from points of a grid.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator, discretise, discretise_trapezoid
from lowlat_nodes.control.rollforward import LastAction, RollForward, SumDeltas
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import Floats

HORIZONS = (1, 4, 8, 16)
"""Steps over which predictions are judged."""

STEP_NS = 20_000_000
"""Length of these steps: a policy of 50 Hz."""

_GRID_S = 0.004
_STRETCH_S = 1.2
_SETTLE_S = 0.25  # of a stretch that is not counted: there the noise of its beginning dies away, by itself
_FEW_STRETCHES, _MANY_STRETCHES = 16, 80
_LONGEST_DEAD_S = 0.25
_SHORTEST_RECORD_S = 8.0
_SMALLEST_MOTION = 1e-3  # rad or m
_TRIED = 4
_FEW_TURNS, _SOME_TURNS, _MANY_TURNS = 5, 12, 40
_WORTH = 1.05  # how much less the residual must be, for a model to get another parameter
_LARGEST_ERROR = 0.1  # of a lag, beyond which the record does not tell it
_SMALLEST_LAG_MS = 2.0  # about what a grid of 4 ms resolves
_ADVICE = (
    "record at least 20 s in which every joint goes back and forth by 0.3 rad or more, in quick steps as "
    "well as in slow sweeps"
)

# The columns of a vector of parameters, in s, rad, rad/s and rad/s^2.
_LAG, _VELOCITY_LAG, _DEAD, _OFFSET, _VELOCITY, _ACCELERATION = range(6)
_LOWEST = np.array([1e-3, 1e-4, 0.0, -np.inf, 1e-3, 1e-2])
_HIGHEST = np.array([5.0, 2.0, _LONGEST_DEAD_S, np.inf, 1e3, 1e5])
_ALWAYS = (_LAG, _DEAD, _OFFSET)
_BY_FACTOR = np.array([True, True, False, False, True, True])
_NUDGE = np.array([0.01, 0.01, 1e-3, 1e-4, 0.01, 0.01])


class NotIdentifiable(LowlatError):
    """A record does not tell how the drives behave; the message says which motion to record."""


@dataclass(frozen=True, eq=False)
class Motion:
    """Recorded commands and states of a robot's joints; both times in one clock.

    Attributes:
        joints: Names, one per column.
        command_ns: int64 [n], when each command took effect, increasing.
        commands: float64 [n, joints], position targets, each held until the next.
        state_ns: int64 [m], increasing.
        position: float64 [m, joints].
        velocity: float64 [m, joints], or empty where it was not measured.
    """

    joints: tuple[str, ...]
    command_ns: NDArray[np.int64]
    commands: Floats
    state_ns: NDArray[np.int64]
    position: Floats
    velocity: Floats


@dataclass(frozen=True)
class JointFit:
    """How well the model of one joint is known.

    Attributes:
        drive: The model.
        rms: Root mean square of what it does not explain, over the stretches that it was fitted to.
        lag_error_ms: Standard error of the lag.
        dead_time_error_ms: Standard error of the dead time.
    """

    drive: JointActuator
    rms: float
    lag_error_ms: float
    dead_time_error_ms: float


@dataclass(frozen=True)
class HorizonError:
    """Root mean square errors of predicted positions some steps ahead, on data that was not fitted.

    Attributes:
        steps: How many steps of `STEP_NS`.
        model: Of the fitted model, all joints.
        last_action: Of the last target.
        sum_deltas: Of the measured state plus the difference of the targets.
        joints: Of the model divided by that of the last target, by joint.
    """

    steps: int
    model: float
    last_action: float
    sum_deltas: float
    joints: Mapping[str, float]

    @property
    def ratio(self) -> float:
        """Return the model's error divided by that of the last target."""
        return self.model / self.last_action if self.last_action else math.inf


@dataclass(frozen=True)
class Identification:
    """A fitted model and what is known about it."""

    model: ActuatorModel
    fits: Mapping[str, JointFit]
    horizons: tuple[HorizonError, ...]


def identify(motion: Motion, *, holdout: float = 0.3) -> Identification:
    """Fit the drives of all joints to the first part of a record and judge them on the rest.

    Args:
        motion: The record.
        holdout: Share of the record, at its end, that is judged and not fitted.

    Raises:
        NotIdentifiable: If the record is too short, holds too little motion, or does not hang together.
        ValueError: If the shapes do not fit each other or the share is not between 0 and 1.
    """
    _check(motion, holdout)
    start_ns = max(motion.command_ns[0], motion.state_ns[0])
    end_ns = motion.state_ns[-1]
    if (end_ns - start_ns) * 1e-9 * (1.0 - holdout) < _SHORTEST_RECORD_S:
        raise NotIdentifiable(
            f"expected at least {_SHORTEST_RECORD_S:g} s of commands and states beside what is kept for "
            f"judging, got {max(0, end_ns - start_ns) * 1e-9 * (1.0 - holdout):.1f} s; {_ADVICE}"
        )
    split_ns = start_ns + round(float(end_ns - start_ns) * (1.0 - holdout))
    kept = motion.commands[motion.command_ns >= split_ns]
    if len(kept) < 2 or np.ptp(kept, axis=0).max() < _SMALLEST_MOTION:
        raise NotIdentifiable(
            f"expected motion in the last {holdout:.0%} of the record too: it is kept for judging; {_ADVICE}"
        )
    velocity = motion.velocity if len(motion.velocity) else slopes(motion.state_ns, motion.position)
    fits = {}
    for column, name in enumerate(motion.joints):
        few, many = (
            _Stretches(
                (motion.command_ns - start_ns) * 1e-9,
                motion.commands[:, column],
                (motion.state_ns - start_ns) * 1e-9,
                motion.position[:, column],
                velocity[:, column],
                (split_ns - start_ns) * 1e-9,
                most,
            )
            for most in (_FEW_STRETCHES, _MANY_STRETCHES)
        )
        fits[name] = _fit(name, few, many)
    model = ActuatorModel({name: fit.drive for name, fit in fits.items()})
    judged = judge(model, motion, velocity, split_ns)
    return Identification(model, fits, judged)


def judge(model: ActuatorModel, motion: Motion, velocity: Floats, since_ns: int) -> tuple[HorizonError, ...]:
    """Compare predictions with what was measured, beginning at commands after `since_ns`.

    The roll-forwards are called exactly as the control loop calls them.
    """
    period_ns = float(np.median(np.diff(motion.command_ns)))
    step_ns = round(period_ns / max(1, math.ceil(period_ns / STEP_NS)))
    before = math.ceil(max(joint.dead_time_ms for joint in model.joints.values()) * 1e6 / step_ns) + 2
    counts = {steps: max(1, round(steps * STEP_NS / step_ns)) for steps in HORIZONS}
    latest_ns = motion.state_ns[-1] - max(counts.values()) * step_ns
    starts = motion.command_ns[(motion.command_ns >= since_ns) & (motion.command_ns <= latest_ns)]
    starts = starts[:: max(1, len(starts) // 400)]
    # Commands are looked up in the middle of steps, where jitter of their stamps does not matter.
    middles = (np.arange(-before, max(counts.values())) + 0.5) * step_ns
    rows = np.searchsorted(motion.command_ns, starts[:, None] + middles, side="right") - 1
    commands = motion.commands[np.maximum(rows, 0)]
    position, speed = (
        _interpolated(starts, motion.state_ns, values) for values in (motion.position, velocity)
    )
    projections: dict[str, RollForward] = {"model": model, "last": LastAction(), "sum": SumDeltas()}
    errors = []
    for steps, count in counts.items():
        truth = _interpolated(starts + count * step_ns, motion.state_ns, motion.position)
        rms = {}
        for name, projection in projections.items():
            ends = [
                projection.project(
                    RobotState(int(start_ns), position[index], speed[index]),
                    commands[index, :before],
                    commands[index, before : before + count],
                    step_ns,
                    step_ns,
                ).position
                for index, start_ns in enumerate(starts)
            ]
            rms[name] = np.sqrt(np.mean((np.array(ends) - truth) ** 2, axis=0))
        share = dict(
            zip(motion.joints, (rms["model"] / np.maximum(rms["last"], 1e-12)).tolist(), strict=True)
        )
        overall = {name: float(np.sqrt(np.mean(values**2))) for name, values in rms.items()}
        errors.append(HorizonError(steps, overall["model"], overall["last"], overall["sum"], share))
    return tuple(errors)


def slopes(time_ns: NDArray[np.int64], values: Floats, width_s: float = 0.04) -> Floats:
    """Return the velocities [m, joints] of positions: slopes of lines through what is within `width_s`."""
    time = (time_ns - time_ns[0]) * 1e-9
    low = np.searchsorted(time, time - 0.5 * width_s)
    high = np.searchsorted(time, time + 0.5 * width_s, side="right")
    # A line needs two samples; the neighbours serve where the width holds one.
    low = np.maximum(0, np.minimum(low, np.arange(len(time)) - 1))
    high = np.minimum(len(time), np.maximum(high, np.arange(len(time)) + 2))

    def window(samples: Floats) -> Floats:
        sums = np.concatenate([np.zeros((1, samples.shape[1])), np.cumsum(samples, axis=0)])
        total: Floats = (sums[high] - sums[low]) / (high - low)[:, None]
        return total

    t = time[:, None]
    # Around the mean of all, so that the squares do not drown in the sums.
    t = t - t.mean()
    x = values - values.mean(axis=0)
    variance = window(t * t) - window(t) ** 2
    covariance = window(t * x) - window(t) * window(x)
    found: Floats = covariance / np.maximum(variance, 1e-12)
    return found


class _Stretches:
    """Pieces of one joint's record, each simulated from its own measured beginning."""

    def __init__(
        self,
        command_s: Floats,
        commands: Floats,
        state_s: Floats,
        position: Floats,
        velocity: Floats,
        until_s: float,
        most: int,
    ) -> None:
        within = state_s < until_s
        self.spread = float(np.std(position[within]))
        pace = slopes((command_s * 1e9).astype(np.int64), commands[:, None], 0.2)[command_s < until_s]
        self.pace = float(np.std(pace))
        self.span = float(np.ptp(commands[command_s < until_s]))
        self.top_speed = float(np.quantile(np.abs(velocity[within]), 0.999))
        change = slopes((state_s[within] * 1e9).astype(np.int64), velocity[within, None], 0.02)
        self.top_acceleration = float(np.quantile(np.abs(change), 0.99))
        # The integral of a held command is linear in between, so means over any interval are exact.
        self._edges = np.append(command_s, max(command_s[-1], state_s[-1]) + 1.0)
        self._integral = np.concatenate([[0.0], np.cumsum(commands * np.diff(self._edges))])
        # What was commanded before the record is not known.
        first = max(state_s[0], command_s[0] + _LONGEST_DEAD_S)
        count = min(most, int((until_s - first) / _STRETCH_S))
        begins = np.searchsorted(state_s, np.linspace(first, until_s - _STRETCH_S, count))
        self._grid = np.arange(round(_STRETCH_S / _GRID_S) + 1) * _GRID_S
        self._begin, self._q, self._v = state_s[begins], position[begins], velocity[begins]
        ends = np.searchsorted(state_s, self._begin + self._grid[-1])
        settled = np.searchsorted(state_s, self._begin + _SETTLE_S)
        samples = np.concatenate([np.arange(a, b) for a, b in zip(settled, ends, strict=True)])
        self._stretch = np.repeat(np.arange(count), ends - settled)
        rows, self._share = np.divmod((state_s[samples] - self._begin[self._stretch]) / _GRID_S, 1.0)
        self._row = rows.astype(int)
        self.measured = position[samples]

    def residuals(self, parameters: Floats) -> Floats:
        """Return what sets of parameters [sets, 6] do not explain, [sets, samples]."""
        lag, velocity_lag, dead, offset, top, hardest = (column[:, None] for column in parameters.T)
        edges = self._begin[None, :, None] + self._grid - dead[:, :, None]
        means = np.diff(np.interp(edges, self._edges, self._integral), axis=-1) / _GRID_S + offset[:, :, None]
        aims = np.ascontiguousarray(np.moveaxis(means, -1, 0))
        # Sets of one search have the same limits, or lack them alike.
        fast, hard = bool(np.isfinite(top[0, 0])), bool(np.isfinite(hardest[0, 0]))
        solved = (discretise_trapezoid if hard else discretise)(lag, velocity_lag, _GRID_S)
        reach, change = solved.reach(top, _GRID_S), hardest * _GRID_S
        q, v = np.broadcast_arrays(self._q, aims[0])[0], np.broadcast_arrays(self._v, aims[0])[0]
        path = np.empty((len(self._grid), *aims.shape[1:]))
        path[0] = q
        for step, aim in enumerate(aims):
            e = aim - q
            if fast:
                e = np.minimum(np.maximum(e, -reach), reach)
            new = solved.velocity_gain * e + solved.velocity_memory * v
            if hard:
                new = np.minimum(np.maximum(new, v - change), v + change)
                q = q + (0.5 * _GRID_S) * (v + new)
            else:
                q = q + solved.position_gain * e + solved.position_drift * v
            v = new
            path[step + 1] = q
        early, late = path[self._row, :, self._stretch].T, path[self._row + 1, :, self._stretch].T
        missing: Floats = early + (late - early) * self._share - self.measured
        return missing

    def costs(self, parameters: Floats) -> Floats:
        """Return the sums of the squares of these residuals, [sets]."""
        total: Floats = np.sum(self.residuals(parameters) ** 2, axis=1)
        return total


@dataclass(frozen=True, eq=False)
class _Solution:
    """A minimum: parameters [6], which of them were free, gradients [free, samples], residual [samples]."""

    parameters: Floats
    free: tuple[int, ...]
    gradients: Floats
    residual: Floats

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(self.residual**2)))

    @property
    def noise(self) -> float:
        """The rms of as many independent samples as would tell as much: neighbours are alike."""
        like = float(np.corrcoef(self.residual[:-1], self.residual[1:])[0, 1])
        like = min(max(like, 0.0), 0.999)
        return self.rms * math.sqrt((1.0 + like) / (1.0 - like))

    def errors(self) -> Floats:
        """Return the standard errors [6] of the parameters, relative where these are sought by factors."""
        sizes = np.maximum(np.linalg.norm(self.gradients, axis=1), 1e-12)
        directions = self.gradients / sizes[:, None]
        # What two parameters explain alike, neither is known from.
        unknown = np.linalg.inv(directions @ directions.T + 1e-12 * np.eye(len(sizes)))
        found = np.zeros(6)
        found[list(self.free)] = self.noise * np.sqrt(np.diag(unknown)) / sizes
        return found


def _fit(name: str, few: _Stretches, many: _Stretches) -> JointFit:
    """Find out on few stretches which parameters a joint's model needs, and their values on many."""
    if many.span < _SMALLEST_MOTION:
        raise NotIdentifiable(f"joint {name!r}: its commands differ by {many.span:.2g} only; {_ADVICE}")
    lags, deads = np.geomspace(5e-3, 0.5, 8), np.linspace(0.0, 0.12, 5)
    bases = [np.array([lag, 0.0, dead, 0.0, math.inf, math.inf]) for lag in lags for dead in deads]
    solutions: list[_Solution] = []
    for count in range(4):
        for extra in itertools.combinations((_VELOCITY_LAG, _VELOCITY, _ACCELERATION), count):
            # What a simpler model found is as good a start as any point of the grid.
            simpler = [known.parameters for known in solutions if set(known.free) < {*_ALWAYS, *extra}]
            starts = [start for base in bases + simpler for start in _starts(few, base, extra)]
            solutions.append(_search(few, np.array(starts), (*_ALWAYS, *extra), _SOME_TURNS))
    chosen = min(solutions, key=lambda solution: solution.rms * _WORTH ** len(solution.free))
    found = _search(many, chosen.parameters[None], chosen.free, _MANY_TURNS)
    for index in chosen.free[len(_ALWAYS) :]:
        free = tuple(other for other in found.free if other != index)
        without = _descend(many, _without(found.parameters, index), free, _SOME_TURNS)
        found = without if without.rms < _WORTH * found.rms else found
    if found.rms > 0.5 * many.spread:
        raise NotIdentifiable(
            f"joint {name!r}: the commands do not explain its motion, {found.rms:.2g} of {many.spread:.2g} "
            "(rms) is left; expected the commands of this robot, in the order of the joints"
        )
    errors = found.errors()
    lag_ms, dead_ms = (float(found.parameters[index]) * 1e3 for index in (_LAG, _DEAD))
    # Commands that come in steps tell a delay but for a multiple of their period; only a pace that changes
    # tells which.
    delay_error_ms = 1e3 * found.noise / max(many.pace * math.sqrt(len(many.measured)), 1e-9)
    lag_error_ms = max(float(errors[_LAG]) * lag_ms, delay_error_ms)
    dead_error_ms = max(float(errors[_DEAD]) * 1e3, delay_error_ms)
    if max(lag_error_ms, dead_error_ms) > max(_LARGEST_ERROR * (lag_ms + dead_ms), _SMALLEST_LAG_MS):
        raise NotIdentifiable(
            f"joint {name!r}: the record does not tell its lag and dead time, {lag_ms:.0f} +- "
            f"{min(lag_error_ms, 9999):.0f} and {dead_ms:.0f} +- {min(dead_error_ms, 9999):.0f} ms; {_ADVICE}"
        )
    return JointFit(_drive(found.parameters), found.rms, lag_error_ms, dead_error_ms)


def _starts(stretches: _Stretches, base: Floats, extra: tuple[int, ...]) -> list[Floats]:
    """Return a point [6] with likely values for the extra parameters that it lacks."""
    likely = {
        _VELOCITY_LAG: (0.1 * base[_LAG], 0.5 * base[_LAG]),
        _VELOCITY: (0.85 * stretches.top_speed, stretches.top_speed),
        _ACCELERATION: (0.5 * stretches.top_acceleration, stretches.top_acceleration),
    }
    lacking = [index for index in extra if base[index] in {0.0, math.inf}]
    points = []
    for values in itertools.product(*(likely[index] for index in lacking)):
        point = base.copy()
        point[lacking] = values
        points.append(point)
    return points


def _search(stretches: _Stretches, starts: Floats, free: tuple[int, ...], turns: int) -> _Solution:
    """Return the least-squares solution that is reached from the best of the starts, or from beside it."""
    # Where limits bind there are minima at many dead times: each gets a chance to lead on.
    ordered = starts[np.argsort(stretches.costs(starts), kind="stable")]
    firsts = np.sort(np.unique(ordered[:, _DEAD], return_index=True)[1])[:_TRIED]
    tried = [_descend(stretches, ordered[first], free, _FEW_TURNS) for first in firsts]
    found = _descend(stretches, min(tried, key=lambda solution: solution.rms).parameters, free, turns)
    # Lag and dead time can stand for each other, and commands that come in steps make minima a step apart.
    total = found.parameters[_LAG] + found.parameters[_VELOCITY_LAG] + found.parameters[_DEAD]
    valley = np.tile(found.parameters, (12, 1))
    deads = np.linspace(0.0, min(0.95 * total, _LONGEST_DEAD_S), 12)
    factors = (total - deads) / (total - found.parameters[_DEAD])
    valley[:, _LAG] *= factors
    valley[:, _VELOCITY_LAG] *= factors
    valley[:, _DEAD] = deads
    beside = _descend(stretches, valley[np.argmin(stretches.costs(valley))], free, turns)
    return min(found, beside, key=lambda solution: solution.rms)


def _descend(stretches: _Stretches, x: Floats, free: tuple[int, ...], turns: int) -> _Solution:
    """Follow Levenberg and Marquardt from one point, trying several dampings at a time."""
    chosen, damping = list(free), 1e-2
    for _ in range(turns):
        nudged = np.vstack([x, *(_moved(x, [index], _NUDGE[[index]]) for index in free)])
        missing = stretches.residuals(nudged)
        gradients = (missing[1:] - missing[0]) / _NUDGE[chosen, None]
        normal, slope = gradients @ gradients.T, gradients @ missing[0]
        scale = np.diag(normal) + 1e-12 * np.trace(normal) + 1e-300
        dampings = damping * 10.0 ** np.arange(-1, 5)
        steps = [np.linalg.solve(normal + np.diag(factor * scale), -slope) for factor in dampings]
        trials = np.array([_moved(x, chosen, step) for step in steps])
        costs = stretches.costs(trials)
        best = int(np.argmin(costs))
        cost = float(np.sum(missing[0] ** 2))
        if cost - float(costs[best]) <= 1e-4 * cost:
            break
        x, damping = trials[best], max(float(dampings[best]), 1e-9)
    return _Solution(nudged[0], free, gradients, missing[0])


def _without(parameters: Floats, extra: int) -> Floats:
    """Return parameters without the velocity lag, or without a limit."""
    changed: Floats = parameters.copy()
    changed[extra] = 0.0 if extra == _VELOCITY_LAG else math.inf
    return changed


def _moved(x: Floats, chosen: list[int], step: Floats) -> Floats:
    """Return parameters moved by a step, of their logarithms where they are sought by factors."""
    moved: Floats = x.copy()
    factors = _BY_FACTOR[chosen]
    moved[chosen] = np.where(factors, x[chosen] * np.exp(np.clip(step, -2.0, 2.0)), x[chosen] + step)
    moved[chosen] = np.clip(moved[chosen], _LOWEST[chosen], _HIGHEST[chosen])
    return moved


def _drive(parameters: Floats) -> JointActuator:
    lag, velocity_lag, dead, offset, top, hardest = parameters.tolist()
    return JointActuator(
        lag_ms=round(lag * 1e3, 3),
        velocity_lag_ms=round(velocity_lag * 1e3, 3),
        dead_time_ms=round(dead * 1e3, 3),
        offset=round(offset, 6),
        velocity_limit=round(top, 4) if math.isfinite(top) else 0.0,
        acceleration_limit=round(hardest, 3) if math.isfinite(hardest) else 0.0,
    )


def _interpolated(at_ns: NDArray[np.int64], time_ns: NDArray[np.int64], values: Floats) -> Floats:
    origin = time_ns[0]
    columns = [np.interp(at_ns - origin, time_ns - origin, column) for column in values.T]
    found: Floats = np.stack(columns, axis=1)
    return found


def _check(motion: Motion, holdout: float) -> None:
    joints = len(motion.joints)
    for name, time_ns, values in (
        ("commands", motion.command_ns, motion.commands),
        ("position", motion.state_ns, motion.position),
        ("velocity", motion.state_ns, motion.velocity),
    ):
        if name == "velocity" and not len(values):
            continue
        if values.shape != (len(time_ns), joints):
            raise ValueError(f"expected {name} [{len(time_ns)}, {joints}], got {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(f"expected finite {name}")
        if (np.diff(time_ns) < 0).any():
            raise ValueError(f"expected times of {name} that increase")
    if not 0.0 < holdout < 1.0:
        raise ValueError(f"expected a share between 0 and 1 to be kept for judging, got {holdout}")
    if min(len(motion.command_ns), len(motion.state_ns)) < 100:
        raise NotIdentifiable(
            "expected at least 100 commands and 100 states, "
            f"got {len(motion.command_ns)} and {len(motion.state_ns)}"
        )
