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
