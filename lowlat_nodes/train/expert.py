# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The demonstrator: where to go, and a speed- and acceleration-limited reach there with lag feed-forward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.arm import ArmConfig
from lowlat_nodes.sim.insertion import Slot
from lowlat_nodes.sim.interception import LINE_Y_M, Ball, CrossingLine
from lowlat_nodes.sim.kinematics import inverse
from lowlat_nodes.sim.reaction import Light
from lowlat_nodes.sim.scene import Thing


@dataclass(frozen=True)
class ExpertConfig:
    """Limits of the reference and the lag that it leads; triples run from shoulder to wrist."""

    speed_rad_s: tuple[float, float, float] = (5.0, 5.0, 5.0)
    acceleration_rad_s2: tuple[float, float, float] = (30.0, 30.0, 30.0)
    approach_s: float = 0.06  # time constant of the last few degrees
    lag_ns: tuple[int, int, int] = ArmConfig().lag_ns
    inertia_lag_ns: tuple[int, int, int] = (12_000_000, 10_000_000, 8_000_000)
    action_dt_ns: int = 20_000_000
    substeps: int = 4


BRISK: Final = ExpertConfig(
    speed_rad_s=(6.0, 7.0, 8.0), acceleration_rad_s2=(60.0, 60.0, 60.0), approach_s=0.04
)
"""For interception and insertion, where a leisurely reach comes too late."""

READY_M: Final = (0.0, LINE_Y_M)


def aim(things: Iterable[Thing]) -> NDArray[np.float64]:
    """Where the joints should go for what lies on the table: [3] in rad, NaN to brake and stay.

    To the light that is asked for, to where the ball will cross the line (to its middle while none flies),
    into the slot.
    """
    goal = np.full(3, np.nan)
    for thing in things:
        if isinstance(thing, CrossingLine):
            goal = inverse(READY_M)
        elif isinstance(thing, Ball):
            goal = inverse((thing.crossing_x_m, LINE_Y_M))
        elif isinstance(thing, Slot) or (isinstance(thing, Light) and thing.asked):
            goal = inverse((thing.x_m, thing.y_m))
    return goal


def plan(
    q: NDArray[np.float64],
    qd: NDArray[np.float64],
    goal: NDArray[np.float64],
    horizon: int,
    config: ExpertConfig,
) -> NDArray[np.float64]:
    """Commands that take each joint from its state to its goal and keep it there.

    `q` (rad), `qd` (rad/s) and `goal` (rad) are [N, 3]; a row of NaN in `goal` asks to brake and stay. The
    result is [N, horizon, 3] in rad: entry k is to be held from k to k + 1 action periods after the state.
    Each joint's reference follows the square-root law for its acceleration limit; the command leads the
    reference so as to cancel the servo's lag and, for a typical posture, its inertia.
    """
    dt = config.action_dt_ns * 1e-9 / config.substeps
    lag_s, inertia_lag_s = np.asarray(config.lag_ns) * 1e-9, np.asarray(config.inertia_lag_ns) * 1e-9
    top_speed, acceleration = np.asarray(config.speed_rad_s), np.asarray(config.acceleration_rad_s2)
    position, velocity = q.copy(), qd.copy()
    braking = np.isnan(goal)
    commands = np.empty((len(q), horizon, 3))
    for step in range(horizon * config.substeps):
        gap = np.where(braking, 0.0, goal - position)
        distance = np.abs(gap)
        wanted = np.sign(gap) * np.minimum(
            top_speed, np.minimum(np.sqrt(1.6 * acceleration * distance), distance / config.approach_s)
        )
        change = np.clip(wanted - velocity, -acceleration * dt, acceleration * dt)
        velocity += change
        position += velocity * dt
        if (
            step % config.substeps == config.substeps // 2 - 1
        ):  # mid-period: a held command is late by half of one
            commands[:, step // config.substeps] = position + lag_s * (velocity + inertia_lag_s * change / dt)
    return commands
