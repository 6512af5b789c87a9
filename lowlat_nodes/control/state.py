# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The state of a robot's joints at one instant."""

from __future__ import annotations

from dataclasses import dataclass

from lowlat_nodes.stream.payload import Floats


@dataclass(frozen=True, slots=True, eq=False)
class RobotState:
    """Measured or predicted joint state.

    Attributes:
        stamp_ns: The instant that it describes.
        position: float64 [joints], rad or m, in the order of the command contract.
        velocity: float64 [joints], rad/s or m/s.
    """

    stamp_ns: int
    position: Floats
    velocity: Floats

    def later_ns(self, steps: int, step_ns: int, first_ns: int) -> int:
        """Return the instant after a number of steps of which the first is shorter."""
        return self.stamp_ns + (first_ns + (steps - 1) * step_ns if steps else 0)
