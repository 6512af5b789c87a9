# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes out for each tick, as the command contract has it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.contract import CommandConfig
from lowlat_nodes.control.follower import Served, Tick
from lowlat_nodes.control.loop import ControlLoop
from lowlat_nodes.stream.payload import NO_FLOATS, Floats, Trajectory


class Commands:
    """Turns the answers of ticks into payloads.

    `positions` and `point` say something at every tick. A point has no velocity: a joint trajectory
    controller goes there on a line, and those of today reject a trajectory that ends in motion. With `chunk`,
    a trajectory goes out when a chunk takes over, with velocities, and with zero velocity in its last point.
    While no chunk is in force, every tick that still moves and the first that stands sends one point.

    Args:
        config: The command contract.
        names: Joint names.
        loop: Limits the rows of chunks.
        tick_ns: Time between ticks.
    """

    def __init__(
        self, config: CommandConfig, names: tuple[str, ...], loop: ControlLoop, *, tick_ns: int
    ) -> None:
        self._kind = config.kind
        self._names = names
        self._loop = loop
        self._lead_ns = np.array([round(config.lead_ms * 1e6) or tick_ns])
        self._standing = False

    def payload(self, tick: Tick, now_ns: int, stamp_ns: int) -> Floats | Trajectory | None:
        """Return what to send for a tick.

        Args:
            tick: The answer.
            now_ns: Its time on the loop's timeline.
            stamp_ns: The same instant as a stamp.

        Returns:
            float64 [joints] for `positions`, a trajectory otherwise; None where nothing is due.
        """
        if self._kind == "positions":
            return tick.position
        if self._kind == "point":
            return self._point(tick, stamp_ns)
        if tick.swapped is not None:
            self._standing = False
            times_ns, rows = self._loop.limited_rows(tick.swapped, now_ns)
            return Trajectory(
                self._names, stamp_ns, times_ns, rows, _slopes(times_ns, rows, tick.position), NO_FLOATS
            )
        if tick.served is Served.CHUNK or self._standing:
            return None
        self._standing = not tick.velocity.any()
        return self._point(tick, stamp_ns)

    def _point(self, tick: Tick, stamp_ns: int) -> Trajectory:
        return Trajectory(self._names, stamp_ns, self._lead_ns, tick.position[None], NO_FLOATS, NO_FLOATS)


def _slopes(times_ns: NDArray[np.int64], rows: Floats, start: Floats) -> Floats:
    """Return the velocity at each row from its neighbours, zero at the last."""
    times_s = np.concatenate([[0.0], times_ns * 1e-9])
    path = np.concatenate([start[None], rows])
    slopes = np.zeros_like(rows)
    slopes[:-1] = (path[2:] - path[:-2]) / (times_s[2:] - times_s[:-2])[:, None]
    return slopes
