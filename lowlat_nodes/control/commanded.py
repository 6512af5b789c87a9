# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which joint positions were commanded at an instant, by the commands that had come by then."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.alignment import same_clock
from lowlat_nodes.control.contract import ObservationError
from lowlat_nodes.stream.payload import Floats, Trajectory

_WAITING = 64  # trajectories that begin in the future


@dataclass(frozen=True, slots=True, eq=False)
class _Command:
    """Targets from an instant on.

    Attributes:
        begin_ns: When it takes the place of the one before.
        times_ns: int64 [n], of the points.
        points: float64 [n, joints].
        end_ns: When nothing new comes of it any more.
    """

    begin_ns: int
    times_ns: NDArray[np.int64]
    points: Floats
    end_ns: int


class Commanded:
    """The command in force, as the robot's controller has it.

    A position array, or a trajectory of one point, is in force from its receipt to the next command. A
    trajectory of several points takes over at its start; the target moves on lines, from what was in force
    then through its points, and stays at the last. One that starts later leaves the one before in force.

    Args:
        names: Joint names, in the order of position arrays.
    """

    def __init__(self, names: tuple[str, ...]) -> None:
        self._names = names
        self._current: _Command | None = None
        self._waiting: deque[_Command] = deque(maxlen=_WAITING)

    def take(self, payload: Floats | Trajectory, received_ns: int) -> None:
        """Take in a command; times must not go back.

        Raises:
            ObservationError: If it is none for these joints; what was in force stays so.
        """
        points = self._columns(payload) if isinstance(payload, Trajectory) else payload[None]
        if points.shape[1:] != (len(self._names),) or not np.isfinite(points).all():
            raise ObservationError(
                f"expected commands of {len(self._names)} finite numbers, for {list(self._names)}, got "
                f"{points[0].tolist()}"
            )
        start_ns, times_ns = received_ns, np.array([received_ns])
        if isinstance(payload, Trajectory) and len(points) > 1:
            if payload.start_ns and same_clock(payload.start_ns, received_ns):
                start_ns = payload.start_ns
            times_ns = start_ns + payload.time_from_start_ns
        self._promote(received_ns)
        command = _Command(max(received_ns, start_ns), times_ns, points, max(received_ns, int(times_ns[-1])))
        while self._waiting and self._waiting[-1].begin_ns >= command.begin_ns:
            self._waiting.pop()
        self._waiting.append(command)

    def at(self, now_ns: int) -> tuple[Floats, int] | None:
        """Return the target, float64 [joints], and for how long no command has moved it, in ns.

        None before the first command. Times must not go back from call to call.
        """
        self._promote(now_ns)
        current = self._current
        if current is None:
            return None
        return _value(current, now_ns), max(0, now_ns - current.end_ns)

    def _promote(self, now_ns: int) -> None:
        """Put in force what has begun by now."""
        while self._waiting and self._waiting[0].begin_ns <= now_ns:
            self._current = self._anchored(self._waiting.popleft())

    def _anchored(self, command: _Command) -> _Command:
        """Return a trajectory that sets out from what is in force as it begins."""
        if self._current is None or command.times_ns[0] <= command.begin_ns:
            return command
        times_ns = np.concatenate([[command.begin_ns], command.times_ns])
        points = np.concatenate([_value(self._current, command.begin_ns)[None], command.points])
        return _Command(command.begin_ns, times_ns, points, command.end_ns)

    def _columns(self, trajectory: Trajectory) -> Floats:
        missing = [name for name in self._names if name not in trajectory.names]
        if missing or not len(trajectory.positions):
            raise ObservationError(
                f"expected a trajectory of {list(self._names)} with points, got {list(trajectory.names)} and "
                f"{len(trajectory.positions)} points"
            )
        return trajectory.positions[:, [trajectory.names.index(name) for name in self._names]]


def _value(command: _Command, now_ns: int) -> Floats:
    times_ns, points = command.times_ns, command.points
    after = int(np.searchsorted(times_ns, now_ns, side="right"))
    if after in (0, len(times_ns)):
        point: Floats = points[min(after, len(points) - 1)]
        return point
    share = (now_ns - times_ns[after - 1]) / (times_ns[after] - times_ns[after - 1])
    value: Floats = points[after - 1] * (1.0 - share) + points[after] * share
    return value
