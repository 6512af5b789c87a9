# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Position, velocity and acceleration limits on joint commands, tick by tick."""

from __future__ import annotations

import copy
import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

# A trajectory at its limits is not cut, or counted, because (p - q) / dt was rounded.
_SLACK = 1.0 + 1e-9
# Targets add up to less than this: no robot gets there, and no difference of two overflows.
LARGEST = 1e9

_CLAMPED, _HURRIED, _FORCED = 1, 2, 4  # which limits acted: position, velocity, acceleration
_BLOCK = 8  # rows that are followed one by one before it pays to ask whether the limits still act


@dataclass(frozen=True)
class JointLimits:
    """What each joint may be commanded: one value per joint, one for all of them, or none for no limit."""

    lower: tuple[float, ...] = setting((), doc="Lowest positions, per joint or one for all.", unit="rad")
    upper: tuple[float, ...] = setting((), doc="Highest positions, per joint or one for all.", unit="rad")
    velocity: tuple[float, ...] = setting((), doc="Highest speeds, per joint or one for all.", unit="rad/s")
    acceleration: tuple[float, ...] = setting(
        (), doc="Highest accelerations, per joint or one for all.", unit="rad/s^2"
    )

    def __post_init__(self) -> None:
        for name, values in (("velocity", self.velocity), ("acceleration", self.acceleration)):
            if not all(value > 0.0 for value in values):
                raise ConfigurationError(f"limits.{name}: expected numbers above 0, got {list(values)}")
        if any(math.isnan(value) for value in (*self.lower, *self.upper)):
            raise ConfigurationError(f"limits: expected no NaN, got {list(self.lower)}, {list(self.upper)}")
        joints = max(len(self.lower), len(self.upper))
        lowers = _spread("lower", self.lower, -math.inf, joints)
        for joint, (lower, upper) in enumerate(
            zip(lowers, _spread("upper", self.upper, math.inf, joints), strict=True)
        ):
            if lower >= upper:
                raise ConfigurationError(
                    f"limits: expected lower below upper, got {lower:g} and {upper:g} for joint {joint}"
                )

    def per_joint(self, joints: int) -> tuple[list[float], list[float], list[float], list[float]]:
        """Return lower, upper, velocity and acceleration, each with one value per joint, inf for no limit.

        Raises:
            ConfigurationError: If a limit has neither one value nor as many as there are joints.
        """
        return (
            _spread("lower", self.lower, -math.inf, joints),
            _spread("upper", self.upper, math.inf, joints),
            _spread("velocity", self.velocity, math.inf, joints),
            _spread("acceleration", self.acceleration, math.inf, joints),
        )


@dataclass(slots=True)
class LimitCounts:
    """In how many ticks each limit acted on at least one joint.

    Attributes:
        refused: The target was not finite, out of all reason, or had the wrong number of joints.
        position: A target lay outside the range, or the joint was slowed before an end of it.
        velocity: A joint could not go as fast as its target.
        acceleration: A joint could not change its speed as fast as its target.
    """

    refused: int = 0
    position: int = 0
    velocity: int = 0
    acceleration: int = 0

    def add(self, acted: int) -> None:
        """Count a tick by the flags of the limits that acted in it."""
        if acted:
            self.position += bool(acted & _CLAMPED)
            self.velocity += bool(acted & _HURRIED)
            self.acceleration += bool(acted & _FORCED)


class Limiter:
    """Turns a stream of position targets into commands that keep the limits.

    It remembers its last command, and moves from there. Whatever the targets, the returned positions stay
    inside the range, the speed `(new - last) / dt` keeps its limit and so does the change of speed; the speed
    is always low enough to stop before an end of the range. Targets that keep the limits pass unchanged,
    without lag. Others are met as fast as the limits allow, without overshoot: the approach brakes along the
    discrete-time counterpart of `sqrt(2 a d)` (as the tracking differentiator of Han, IEEE Transactions on
    Industrial Electronics 56(3), 2009), relative to the velocity of the target: a moving one is met moving.

    The work is a few float operations per joint, which Python does faster than NumPy at the size of a robot.

    Args:
        limits: The limits.
        joints: Number of joints, A.

    Raises:
        ConfigurationError: If the limits are for another number of joints.
    """

    def __init__(self, limits: JointLimits, joints: int) -> None:
        per_joint = limits.per_joint(joints)
        self._columns = np.array(per_joint)
        self._joints = [_Joint(*values) for values in zip(*per_joint, strict=True)]
        self.counts = LimitCounts()

    @property
    def position(self) -> Floats:
        """Return the last command, float64 [A]."""
        return np.array([joint.position for joint in self._joints])

    @property
    def velocity(self) -> Floats:
        """Return the velocity of the last command, float64 [A]."""
        return np.array([joint.velocity for joint in self._joints])

    def reset(self, position: Floats, velocity: Floats | None = None) -> None:
        """Continue from a position [A], such as the measured one before the first command.

        A joint that is outside its range is led back, never further out; it does not jump.

        Args:
            position: float64 [A].
            velocity: float64 [A], of the last command; None at rest.
        """
        velocities = [0.0] * len(self._joints) if velocity is None else velocity.tolist()
        for joint, at, speed in zip(self._joints, position.tolist(), velocities, strict=True):
            joint.begin(at, speed)

    def copy(self) -> Limiter:
        """Return an independent copy in the same state, with counts of its own."""
        twin = copy.copy(self)
        twin.counts = LimitCounts()
        twin._joints = [joint.copy() for joint in self._joints]
        return twin

    def limit(self, target: Floats, dt_s: float) -> tuple[Floats, Floats]:
        """Return the next command.

        Args:
            target: float64 [A], the wanted position at the end of this tick. The last command as target
                brakes to a stand. One of another size, or not below `LARGEST` in sum, as NaN, is refused:
                counted, and braked as for the last command.
            dt_s: The period of the commands, above 0. After a pause it is one period all the same: the joints
                did not move on meanwhile.

        Returns:
            The position and velocity to command, float64 [A] each.
        """
        goals, joints, counts = target.tolist(), self._joints, self.counts
        # One comparison for NaN, inf and numbers whose differences would overflow.
        if not sum(map(abs, goals)) < LARGEST or len(goals) != len(joints):
            counts.refused += 1
            goals = [joint.position for joint in joints]
        acted = 0
        for joint, goal in zip(joints, goals, strict=True):
            acted |= joint.follow((goal,), dt_s)[1]
        counts.add(acted)
        return self.position, self.velocity

    def limit_rows(self, targets: Floats, dt_s: float) -> Floats:
        """Return the next commands, as `limit` gives them row by row, bit by bit; counts them as one.

        This is to look ahead, and fast where no limit acts.

        Args:
            targets: float64 [n, A], none of which `limit` would refuse.
            dt_s: The period of the commands.

        Returns:
            The positions, float64 [n, A].
        """
        speeds = np.diff(targets, axis=0) / dt_s
        acted = self._acted(targets, speeds, dt_s)
        columns = zip(self._joints, targets.T.tolist(), speeds.T.tolist(), acted.T, strict=True)
        commands, which = [], 0
        for joint, goals, paces, held in columns:
            ends = [*(2 + np.flatnonzero(held)).tolist(), len(goals)]
            positions, flags = joint.follow(goals[:2], dt_s)
            while (row := len(positions)) < len(goals):
                end = ends[bisect_left(ends, row)]
                if row < end and joint.is_at(goals[row - 1], paces[row - 2]):
                    joint.begin(goals[end - 1], paces[end - 2])
                    positions += goals[row:end]
                else:
                    followed, more = joint.follow(goals[row : row + _BLOCK], dt_s)
                    positions += followed
                    flags |= more
            which |= flags
            commands.append(positions)
        self.counts.add(which)
        rows: Floats = np.array(commands).T
        return rows

    def _acted(self, targets: Floats, speeds: Floats, dt_s: float) -> NDArray[np.bool_]:
        """Return where a limit acts on rows from the third on, if the two before have passed, [n - 2, A].

        The conditions are those of `_Joint.follow`.
        """
        lower, upper, fastest, hardest = self._columns
        goal, position, new, before = targets[2:], targets[1:-1], speeds[1:], speeds[:-1]
        step, size = hardest * dt_s, np.abs(new)
        pace = np.where(new * before > 0.0, np.minimum(np.minimum(size, np.abs(before)), fastest), 0.0)
        room = np.where(new > 0.0, upper - position, position - lower)
        acted: NDArray[np.bool_] = (
            (goal < lower)
            | (goal > upper)
            | (size - pace > step * _SLACK)
            | (size > fastest * _SLACK)
            | (new > before + step * _SLACK)
            | (new < before - step * _SLACK)
            | ((size * dt_s + new * new / (2.0 * hardest) > room) & (new != 0.0))
        )
        return acted


class _Joint:
    """One joint of a limiter: its limits, last command and last target."""

    __slots__ = (
        "fastest", "hardest", "lower", "position", "target", "target_velocity", "upper", "velocity",
    )  # fmt: skip

    def __init__(self, lower: float, upper: float, fastest: float, hardest: float) -> None:
        self.lower, self.upper, self.fastest, self.hardest = lower, upper, fastest, hardest
        self.begin(0.0, 0.0)

    def begin(self, position: float, velocity: float) -> None:
        """Continue as if the last command and target had been there, and moved like that."""
        self.position = self.target = position
        self.velocity = self.target_velocity = velocity

    def copy(self) -> _Joint:
        """Return an independent copy; by hand, which is several times faster than `copy.copy`."""
        twin = _Joint(self.lower, self.upper, self.fastest, self.hardest)
        twin.position, twin.velocity = self.position, self.velocity
        twin.target, twin.target_velocity = self.target, self.target_velocity
        return twin

    def is_at(self, position: float, velocity: float) -> bool:
        """Return whether it is in the state that `begin` makes."""
        return (
            self.position == position
            and self.target == position
            and self.velocity == velocity
            and self.target_velocity == velocity
        )

    def follow(self, goals: Sequence[float], dt_s: float) -> tuple[list[float], int]:
        """Return the next positions, and which limits acted."""
        lower, upper, fastest, hardest = self.lower, self.upper, self.fastest, self.hardest
        position, velocity = self.position, self.velocity
        target, target_velocity = self.target, self.target_velocity
        step = hardest * dt_s
        slack, speed_limit = step * _SLACK, fastest * _SLACK
        positions, acted = [], 0
        for wish in goals:
            goal = wish
            if goal < lower or goal > upper:
                goal = lower if goal < lower else upper
                acted |= _CLAMPED
            # The velocity that the target keeps: the lesser of its last two, so that one jump is no motion.
            newest, before = (goal - target) / dt_s, target_velocity
            target, target_velocity = goal, newest
            pace = 0.0
            if newest > 0.0 < before:
                pace = min(newest, before, fastest)
            elif newest < 0.0 > before:
                pace = max(newest, before, -fastest)
            new = wanted = (goal - position) / dt_s
            gap = abs(wanted - pace)
            if gap > slack:
                new = pace + math.copysign(_approach(gap, step), wanted - pace)
                acted |= _FORCED
            if not -speed_limit <= new <= speed_limit:
                new = fastest if new > 0.0 else -fastest
                acted |= _HURRIED
            if not velocity - slack <= new <= velocity + slack:
                new = velocity + step if new > velocity else velocity - step
                acted |= _FORCED
            room = upper - position if new > 0.0 else position - lower
            if abs(new) * dt_s + new * new / (2.0 * hardest) > room and new != 0.0:
                new = math.copysign(_last_stop(room, dt_s, hardest), new)
                acted |= _CLAMPED
            reached = goal if new == wanted else position + new * dt_s
            if not lower <= reached <= upper:
                # Rounding must not leave the range; a joint that began outside is not thrown back into it.
                reached = min(max(reached, min(lower, position)), max(upper, position))
            position, velocity = reached, new
            positions.append(reached)
        self.position, self.velocity = position, velocity
        self.target, self.target_velocity = target, target_velocity
        return positions, acted


def _approach(gap: float, step: float) -> float:
    """Return the highest speed relative to a target that can still be shed before it.

    Args:
        gap: Distance to the target over the tick, rad/s: the speed that would arrive in this tick.
        step: What the speed may change per tick, rad/s.

    A speed that falls by `step` each tick from `n step` covers n (n + 1) / 2 of the distance of one tick.
    """
    ticks = math.ceil((math.sqrt(1.0 + 8.0 * min(gap / step, 1e12)) - 1.0) / 2.0)
    return gap / ticks + 0.5 * (ticks - 1) * step


def _last_stop(room: float, dt_s: float, hardest: float) -> float:
    """Return the highest speed of this tick after which a joint can stop in `room`, whatever ticks follow."""
    return 2.0 * room / (dt_s + math.sqrt(dt_s * dt_s + 2.0 * room / hardest)) if room > 0.0 else 0.0


def _spread(name: str, values: Sequence[float], none: float, joints: int) -> list[float]:
    if len(values) == joints:
        return list(values)
    if len(values) > 1:
        raise ConfigurationError(f"limits.{name}: expected one value, or {joints}, got {len(values)}")
    return [values[0] if values else none] * joints
