# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where boxes that move will be: a Kalman filter for each, all of them at once.

As in SORT (Bewley et al., ICIP 2016) centres have a constant velocity; uncertainties are shares of the box's
sides, as in DeepSORT (Wojke et al., ICIP 2017). Here they are per second: frames may come at any rate.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.vision.boxes import Floats

# Of x, y, width and height, in sides of the box.
_MEASUREMENT: Final = 0.05  # standard deviation of a detector's boxes
_SPEED: Final = np.array((2.0, 2.0, 0.0, 0.0))  # standard deviation per second of what was just seen first
_ACCELERATION: Final = np.array((8.0, 8.0, 0.0, 0.0))  # variance of the speed that a second adds
_GROWTH: Final = np.array((0.0, 0.0, 0.1, 0.1))  # variance of width and height that a second adds


@dataclass
class BoxMotion:
    """The estimates of n boxes; columns are x and y of the centre, width and height, which never covary.

    Attributes:
        position: float64 [n, 4], px.
        velocity: float64 [n, 4], px/s; 0 for width and height.
        position_variance: float64 [n, 4].
        velocity_variance: float64 [n, 4].
        covariance: float64 [n, 4], of position and velocity.
    """

    position: Floats
    velocity: Floats
    position_variance: Floats
    velocity_variance: Floats
    covariance: Floats

    @staticmethod
    def start(boxes: NDArray[np.float32]) -> BoxMotion:
        """Return what is known of boxes, float32 [n, 4], left, top, right and bottom, that are seen first."""
        position = _centred(boxes)
        sides = _sides(position)
        still = np.zeros_like(position)
        return BoxMotion(position, still, (_MEASUREMENT * sides) ** 2, (_SPEED * sides) ** 2, still.copy())

    def boxes(self) -> Floats:
        """Return where they are expected: float64 [n, 4], left, top, right and bottom edge, px."""
        half = 0.5 * self.position[:, 2:]
        return np.concatenate((self.position[:, :2] - half, self.position[:, :2] + half), axis=1)

    def predict(self, duration_s: float) -> None:
        """Let time pass."""
        squares = _sides(self.position) ** 2
        drift = _ACCELERATION * squares
        self.position += self.velocity * duration_s
        self.position_variance += (
            duration_s * (2.0 * self.covariance + duration_s * self.velocity_variance)
            + drift * (duration_s**3 / 3.0)
            + _GROWTH * squares * duration_s
        )
        self.covariance += duration_s * self.velocity_variance + drift * (0.5 * duration_s**2)
        self.velocity_variance += drift * duration_s

    def correct(self, numbers: NDArray[np.intp], boxes: NDArray[np.float32]) -> None:
        """Take over where the boxes `numbers` were seen, float32 [m, 4]: left, top, right and bottom."""
        seen = _centred(boxes)
        variance, covariance = self.position_variance[numbers], self.covariance[numbers]
        noise = (_MEASUREMENT * _sides(seen)) ** 2
        gain, velocity_gain = variance / (variance + noise), covariance / (variance + noise)
        surprise = seen - self.position[numbers]
        self.position[numbers] += gain * surprise
        self.velocity[numbers] += velocity_gain * surprise
        self.position_variance[numbers] = gain * noise
        self.velocity_variance[numbers] -= velocity_gain * covariance
        self.covariance[numbers] = (1.0 - gain) * covariance

    def keep(self, which: NDArray[np.bool_]) -> None:
        """Forget all but some of them, bool [n]."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name)[which])

    def extend(self, others: BoxMotion) -> None:
        """Append others."""
        for field in fields(self):
            setattr(
                self, field.name, np.concatenate((getattr(self, field.name), getattr(others, field.name)))
            )


def _centred(boxes: NDArray[np.float32]) -> Floats:
    """Return centres and sides of boxes, float64 [n, 4]."""
    low, high = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)
    return np.concatenate((0.5 * (low + high), high - low), axis=1)


def _sides(position: Floats) -> Floats:
    """Return width, height, width and height, at least 1 px."""
    sides: Floats = position[:, (2, 3, 2, 3)].clip(min=1.0)
    return sides
