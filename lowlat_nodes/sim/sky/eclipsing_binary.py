# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Eclipsing binaries: detached, semi-detached and in contact."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("eclipsing binary")


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """Two stars that hide one another (a `SkyObject`).

    Attributes:
        peak_mjd: When it is brightest.
        zero_mjd: The middle of an eclipse of the first star.
        period_days: Of the orbit.
        light_njy: Flux of each star at 0.62 um, and of a third that only shines.
        kelvin: Temperature of each of them.
        hidden: Share of each of the two that the other hides.
        width: Half of the duration of the eclipses, in cycles.
        flatness: From 1, a V, to 6, a U.
        second_phase: Phase of the other eclipse: 0.5 on a circular orbit.
        ellipsoidal: Half amplitude of what comes from the stars' shape, relative.
        reflection: Of what they heat on one another.
        spots: Difference between the maxima (O'Connell).
        a_v: Extinction in V, magnitudes.
    """

    peak_mjd: float
    zero_mjd: float
    period_days: float
    light_njy: tuple[float, float, float]
    kelvin: tuple[float, float, float]
    hidden: tuple[float, float]
    width: float
    flatness: float
    second_phase: float
    ellipsoidal: float
    reflection: float
    spots: float
    a_v: float
    label: int = LABEL
    persistent: bool = True

    @property
    def start_mjd(self) -> float:
        """A period before the peak."""
        return self.peak_mjd - self.period_days

    @property
    def end_mjd(self) -> float:
        """A period after the peak."""
        return self.peak_mjd + self.period_days

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy, all that shines at times and wavelengths [n]."""
        cycle = (mjd - self.zero_mjd) / self.period_days
        first = 1 - self.hidden[0] * self._eclipse(cycle)
        second = 1 - self.hidden[1] * self._eclipse(cycle - self.second_phase)
        angle = 2 * np.pi * cycle
        shape = 1 - self.ellipsoidal * np.cos(2 * angle) - self.reflection * np.cos(angle)
        shape += self.spots * np.sin(angle)
        one, two, three = (
            light * starlight.black_body(wavelength_um, kelvin)
            for light, kelvin in zip(self.light_njy, self.kelvin, strict=True)
        )
        seen: NDArray[np.float64] = (one * first + two * second) * shape + three
        return seen * starlight.reddening(wavelength_um, self.a_v)

    def _eclipse(self, cycle: NDArray[np.float64]) -> NDArray[np.float64]:
        distance = np.abs(cycle - np.round(cycle)) / self.width
        return np.maximum(1 - distance**self.flatness, 0.0)


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Binary:
    """Draw a binary.

    Near half are in contact, as in the catalogues of ASAS-SN and Catalina (Jayasinghe et al. 2018; Drake et
    al. 2014): periods about 0.35 d and minima that are nearly alike. Detached ones have periods up to months.
    """
    kind = rng.random()
    if kind < 0.45:
        period = starlight.log_normal(rng, 0.36, 0.09, 0.21, 1.2)
        first = rng.uniform(4300, 7000)
        second = first * rng.uniform(0.93, 1.0)
        share = rng.uniform(0.15, 0.5)
        width = rng.uniform(0.16, 0.22)
        flatness = rng.uniform(1.3, 2.2)
        ellipsoidal = rng.uniform(0.03, 0.17)
        hidden = rng.uniform(0.05, 0.45), rng.uniform(0.05, 0.6)
        second_phase = 0.5
    elif kind < 0.7:
        period = starlight.log_normal(rng, 0.9, 0.25, 0.3, 6)
        first = rng.uniform(6000, 14000)
        second = first * rng.uniform(0.45, 0.85)
        share = rng.uniform(0.08, 0.5)
        width = rng.uniform(0.09, 0.16)
        flatness = rng.uniform(1.2, 2.5)
        ellipsoidal = rng.uniform(0.02, 0.12)
        hidden = rng.uniform(0.2, 0.85), rng.uniform(0.1, 0.7)
        second_phase = 0.5
    else:
        period = starlight.log_normal(rng, 3.0, 0.45, 0.5, 120)
        first = rng.uniform(4500, 15000)
        second = first * rng.uniform(0.5, 1.0)
        share = rng.uniform(0.05, 0.5)
        width = float(np.clip(0.08 * period**-0.5 * np.exp(rng.normal(0, 0.4)), 0.008, 0.1))
        flatness = rng.uniform(1.2, 6)
        ellipsoidal = rng.uniform(0.0, 0.02)
        hidden = rng.uniform(0.2, 1.0), rng.uniform(0.1, 1.0)
        second_phase = 0.5 if rng.random() < 0.6 else rng.uniform(0.3, 0.7)
    third = rng.uniform(0.05, 0.6) if rng.random() < 0.25 else 0.0
    # What varies is to be seen: the deeper of the eclipses, or the shape.
    depth = max(hidden[0] * (1 - share), hidden[1] * share) * 0.6 + ellipsoidal
    total = starlight.draw_peak_njy(rng, faintest_mag) / depth
    zero = mjd + period * rng.uniform(-0.5, 0.5)
    return Binary(
        peak_mjd=zero + 0.25 * period,
        zero_mjd=zero,
        period_days=period,
        light_njy=(total * (1 - share), total * share, total * third),
        kelvin=(first, second, rng.uniform(3500, 8000)),
        hidden=hidden,
        width=width,
        flatness=flatness,
        second_phase=second_phase,
        ellipsoidal=ellipsoidal,
        reflection=rng.uniform(0, 0.02),
        spots=rng.normal(0, 0.01),
        a_v=starlight.draw_extinction(rng),
    )
