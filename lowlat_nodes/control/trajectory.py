# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Motions for a controller that carries them out on its own, within the limits at every instant."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.limits import Limiter
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.stream.payload import Floats

_LONGEST_STEP_NS = 50_000_000  # no brake takes less
_SLOW = 1e-2  # rad/s or m/s; from here on a decay is cut short
_LONGEST_TAIL = 200  # steps


class Points(NamedTuple):
    """A motion to a stand.

    Attributes:
        times_ns: int64 [n], from the present, increasing.
        positions: float64 [n, joints].
        velocities: float64 [n, joints], zero in the last row.
    """

    times_ns: NDArray[np.int64]
    positions: Floats
    velocities: Floats


class TrajectoryPlanner:
    """Plans motions to a stand, each from where the one before has come to.

    A joint trajectory controller moves on cubics between points with velocities. These points lie on a
    quadratic spline whose control points P, a step h apart, are commands of a limiter: it passes
    (P[k-1] + P[k]) / 2 with the velocity (P[k] - P[k-1]) / h, and there a cubic has no choice but to be the
    quadratic in between. Its acceleration is constant from point to point, its velocity between those of the
    points: what the limiter keeps from step to step, the controller keeps at every instant. Positions keep
    their range to 1/16 of acceleration limit times h^2, where a motion that brakes before an end of the range
    is replaced within a step.

    Where the plan ends, the miss policy leads out of motion, until it is slow.

    Args:
        limiter: Limits each step; the planner sets where it begins.
        miss: Continues beyond the last row of a chunk.
        period_ns: Time between the rows of chunks; steps are equal parts of it, of 50 ms at most.
        waits: Whether the last row of a chunk holds, instead.
    """

    def __init__(self, limiter: Limiter, miss: MissPolicy, *, period_ns: int, waits: bool) -> None:
        self._limiter = limiter
        self._miss = miss
        self._step_ns = period_ns // -(-period_ns // _LONGEST_STEP_NS)
        self._waits = waits
        self._start_ns = 0
        # The motion under way, from its start on.
        self._positions = self._velocities = np.zeros((1, len(limiter.position)))

    def stand_at(self, position: Floats) -> None:
        """Continue from a position, float64 [joints], at rest."""
        self._positions, self._velocities = position[None], np.zeros((1, len(position)))

    def plan(self, now_ns: int, chunk: Chunk | None, *, brake: bool) -> Points | None:
        """Replace the motion under way; None where there is nothing to do but stand.

        Args:
            now_ns: The present tick.
            chunk: The chunk in force, if any; possibly expired.
            brake: Brake where it ends, as hard as the limits allow, without the miss policy.
        """
        step_ns, limiter = self._step_ns, self._limiter
        position, velocity = (values[0] for values in self.at(np.array([now_ns])))
        rows = self._rows(chunk, now_ns + step_ns + step_ns // 2)
        if not len(rows) and not velocity.any():
            return None
        control = position + velocity * (0.5e-9 * step_ns)
        limiter.reset(control, velocity)
        controls = [control, *limiter.limit_rows(rows, step_ns * 1e-9)]
        end_ns = now_ns if chunk is None else chunk.last_ns
        rows_end = len(controls)
        while limiter.velocity.any() or len(controls) == 1:
            target, speed = limiter.position, limiter.velocity
            tail = len(controls) - rows_end
            if not (brake or self._waits or tail > _LONGEST_TAIL or np.abs(speed).max() < _SLOW):
                missing_ns = now_ns + len(controls) * step_ns + step_ns // 2 - end_ns
                target = self._miss.target(target, speed, missing_ns, step_ns)
            controls.append(limiter.limit(target, step_ns * 1e-9)[0])
        path = np.array(controls)
        self._start_ns = now_ns
        self._positions = np.concatenate([position[None], 0.5 * (path[1:] + path[:-1])])
        self._velocities = np.concatenate([velocity[None], np.diff(path, axis=0) / (step_ns * 1e-9)])
        times_ns = np.arange(1, len(path)) * step_ns
        return Points(times_ns, self._positions[1:], self._velocities[1:])

    def copy(self) -> TrajectoryPlanner:
        """Return an independent copy."""
        twin = copy.copy(self)
        twin._limiter = self._limiter.copy()
        return twin

    def _rows(self, chunk: Chunk | None, from_ns: int) -> Floats:
        """Return what a chunk wants at the coming steps, float64 [n, joints]."""
        if chunk is None:
            return np.empty((0, self._positions.shape[1]))
        until_ns = chunk.end_ns if self._waits else chunk.last_ns + 1
        return chunk.sample_all(np.arange(from_ns, until_ns, self._step_ns))

    def at(self, times_ns: NDArray[np.int64]) -> tuple[Floats, Floats]:
        """Return positions and velocities of the motion under way, float64 [n, joints], at instants [n]."""
        steps = len(self._positions) - 1
        if not steps:
            stand = np.repeat(self._positions, len(times_ns), axis=0)
            return stand, np.zeros_like(stand)
        step, into_ns = np.divmod(times_ns - self._start_ns, self._step_ns)
        into_ns = np.where(step < steps, into_ns, self._step_ns)[:, None]
        step = np.clip(step, 0, steps - 1)
        before, after = self._velocities[step], self._velocities[step + 1]
        velocity = before + (after - before) * (into_ns / self._step_ns)
        return self._positions[step] + 0.5e-9 * into_ns * (before + velocity), velocity
