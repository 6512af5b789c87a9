# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Position, velocity and acceleration limits on joint commands, tick by tick."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats

# A trajectory at its limits is not cut, or counted, because (p - q) / dt was rounded.
_SLACK = 1.0 + 1e-9
# Targets add up to less than this: no robot gets there, and no difference of two overflows.
LARGEST = 1e9


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
        self._limits = list(zip(*limits.per_joint(joints), strict=True))
        self.counts = LimitCounts()
        self.reset(np.zeros(joints))

    @property
    def position(self) -> Floats:
        """Return the last command, float64 [A]."""
        return np.array(self._position)

    @property
    def velocity(self) -> Floats:
        """Return the velocity of the last command, float64 [A]."""
        return np.array(self._velocity)

    def reset(self, position: Floats) -> None:
        """Continue from a position [A], at rest, such as the measured one before the first command.

        A joint that is outside its range is led back, never further out; it does not jump.
        """
        self._position: list[float] = [float(value) for value in position]
        self._velocity = [0.0] * len(self._position)
        self._target = list(self._position)
        self._target_velocity = [0.0] * len(self._position)

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
        targets = target.tolist()
        # One comparison for NaN, inf and numbers whose differences would overflow.
        if not sum(map(abs, targets)) < LARGEST or len(targets) != len(self._position):
            self.counts.refused += 1
            targets = self._position.copy()
        clamped = hurried = forced = False
        for joint, (lower, upper, fastest, hardest) in enumerate(self._limits):
            goal = targets[joint]
            if goal < lower or goal > upper:
                goal = lower if goal < lower else upper
                clamped = True
            position, velocity = self._position[joint], self._velocity[joint]
            # The velocity that the target keeps: the lesser of its last two, so that one jump is no motion.
            newest, before = (goal - self._target[joint]) / dt_s, self._target_velocity[joint]
            self._target[joint], self._target_velocity[joint] = goal, newest
            pace = 0.0
            if newest * before > 0.0:
                pace = math.copysign(min(abs(newest), abs(before), fastest), newest)
            step = hardest * dt_s
            wanted = (goal - position) / dt_s
            new = wanted
            gap = abs(wanted - pace)
            if gap > step * _SLACK:
                new = pace + math.copysign(_approach(gap, step), wanted - pace)
                forced = True
            if new > fastest * _SLACK or new < -fastest * _SLACK:
                new = fastest if new > 0.0 else -fastest
                hurried = True
            if new > velocity + step * _SLACK or new < velocity - step * _SLACK:
                new = velocity + step if new > velocity else velocity - step
                forced = True
            room = upper - position if new > 0.0 else position - lower
            if abs(new) * dt_s + new * new / (2.0 * hardest) > room and new != 0.0:
                new = math.copysign(_last_stop(room, dt_s, hardest), new)
                clamped = True
            reached = goal if new == wanted else position + new * dt_s
            if not lower <= reached <= upper:
                # Rounding must not leave the range; a joint that began outside is not thrown back into it.
                reached = min(max(reached, min(lower, position)), max(upper, position))
            self._position[joint], self._velocity[joint] = reached, new
        self.counts.position += clamped
        self.counts.velocity += hurried
        self.counts.acceleration += forced
        return self.position, self.velocity


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
