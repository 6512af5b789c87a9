# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A joint trajectory controller of one joint, as far as motion goes."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.control.trajectory import Points
from lowlat_nodes.stream.payload import Floats


class Controller:
    """Cubics through positions and velocities, from where it is when a trajectory comes."""

    def __init__(self) -> None:
        self.times, self.points = np.zeros(1), np.zeros((1, 2))
        self.samples: list[Floats] = []

    def take(self, now_ns: int, points: Points, delay_ns: int = 0) -> None:
        """Take a trajectory that was made at `now_ns`."""
        came_s = (now_ns + delay_ns) * 1e-9
        here = self.at(came_s)[:2]
        times = (now_ns + points.times_ns) * 1e-9
        self.times = np.concatenate([[came_s], times])
        rows = np.stack([points.positions[:, 0], points.velocities[:, 0]], axis=1)
        self.points = np.concatenate([here[None], rows])

    def at(self, time_s: float) -> Floats:
        """Return position, velocity and acceleration."""
        index = int(np.searchsorted(self.times, time_s, side="right")) - 1
        if index >= len(self.times) - 1:
            return np.array([self.points[-1, 0], 0.0, 0.0])
        h, s = self.times[index + 1] - self.times[index], time_s - self.times[index]
        (q, v), (end, speed) = self.points[index], self.points[index + 1]
        b = (3 * (end - q) / h - 2 * v - speed) / h
        c = (2 * (q - end) / h + v + speed) / h**2
        return np.array([q + s * (v + s * (b + s * c)), v + s * (2 * b + s * 3 * c), 2 * b + s * 6 * c])

    def run(self, from_ns: int, until_ns: int) -> None:
        """Carry out what is there, and keep samples of it."""
        for time_s in np.linspace(from_ns * 1e-9, until_ns * 1e-9, 9)[:-1]:
            self.samples.append(self.at(float(time_s)))
