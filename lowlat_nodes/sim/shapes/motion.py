# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How things move: straight on, turning, and back from the edges of the frame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Motion:
    """Where a thing is, in closed form, so that any time can be asked for.

    Attributes:
        x_px: Of its centre at time 0.
        y_px: Of its centre at time 0.
        x_px_s: Velocity to the right at time 0.
        y_px_s: Velocity downwards at time 0.
        spin_rad_s: How fast it turns.
        width_px: Of the frame, whose edges the centre bounces off.
        height_px: Of the frame.
    """

    x_px: float
    y_px: float
    x_px_s: float
    y_px_s: float
    spin_rad_s: float
    width_px: float
    height_px: float

    def position(self, time_s: float) -> tuple[float, float]:
        """Return its centre in px."""
        return (
            _bounce(self.x_px + self.x_px_s * time_s, self.width_px)[0],
            _bounce(self.y_px + self.y_px_s * time_s, self.height_px)[0],
        )

    def velocity(self, time_s: float) -> tuple[float, float]:
        """Return its velocity in px/s."""
        return (
            self.x_px_s * _bounce(self.x_px + self.x_px_s * time_s, self.width_px)[1],
            self.y_px_s * _bounce(self.y_px + self.y_px_s * time_s, self.height_px)[1],
        )


def _bounce(way: float, length: float) -> tuple[float, float]:
    """Return where a straight way of `way` between two walls ends, and 1 or, on the way back, -1."""
    folded = way % (2.0 * length)
    return (folded, 1.0) if folded <= length else (2.0 * length - folded, -1.0)
