# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes out for each tick, as the command contract has it."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.control.contract import CommandConfig
from lowlat_nodes.control.follower import Tick
from lowlat_nodes.stream.payload import NO_FLOATS, Floats, Trajectory


class Commands:
    """Turns the answers of ticks into payloads.

    `positions` and `point` say something at every tick. A point has no velocity: a joint trajectory
    controller goes there on a line, and those of today reject a trajectory that ends in motion. With `chunk`,
    a trajectory goes out when a chunk takes over, and when the plan is dropped. Each leads to a stand, so
    nothing need follow.

    Args:
        config: The command contract.
        names: Joint names.
        tick_ns: Time between ticks.
    """

    def __init__(self, config: CommandConfig, names: tuple[str, ...], *, tick_ns: int) -> None:
        self._kind = config.kind
        self._names = names
        self._lead_ns = np.array([round(config.lead_ms * 1e6) or tick_ns])

    def payload(self, tick: Tick, stamp_ns: int) -> Floats | Trajectory | None:
        """Return what to send for a tick.

        Args:
            tick: The answer.
            stamp_ns: Its time as a stamp.

        Returns:
            float64 [joints] for `positions`, a trajectory otherwise; None where nothing is due.
        """
        if self._kind == "positions":
            return tick.position
        if self._kind == "point":
            return self._point(tick, stamp_ns)
        return None if tick.points is None else Trajectory(self._names, stamp_ns, *tick.points, NO_FLOATS)

    def _point(self, tick: Tick, stamp_ns: int) -> Trajectory:
        return Trajectory(self._names, stamp_ns, self._lead_ns, tick.position[None], NO_FLOATS, NO_FLOATS)
