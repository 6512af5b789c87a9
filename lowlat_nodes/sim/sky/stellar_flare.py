# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Flares of M dwarfs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("flare")


@dataclass(frozen=True, slots=True, eq=False)
class Flares:
    """The flares of a star (a `SkyObject`).

    Attributes:
        peak_mjd: Peak of the one that is looked for.
        peaks_mjd: float64 [k], of all.
        widths_days: float64 [k], full widths at half maximum.
        heights_njy: float64 [k], at 0.62 um.
        kelvin: Of the impulsive light, and of what remains.
        a_v: Extinction in V, magnitudes.
    """

    peak_mjd: float
    peaks_mjd: NDArray[np.float64]
    widths_days: NDArray[np.float64]
    heights_njy: NDArray[np.float64]
    kelvin: tuple[float, float]
    a_v: float
    label: int = LABEL
    persistent: bool = False

    @property
    def start_mjd(self) -> float:
        """Where the rise begins."""
        return self.peak_mjd - float(self.widths_days[0])

    @property
    def end_mjd(self) -> float:
        """Where some per cent are left."""
        return self.peak_mjd + 8 * float(self.widths_days[0])

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy above the quiet star, at times and wavelengths [n].

        The shape is that of Davenport et al. (2014): a quartic rise, then an impulsive and a gradual decay.
        """
        at = (mjd[:, None] - self.peaks_mjd) / self.widths_days
        rise = np.clip(at, -1, 0)
        rising = 1 + rise * (1.941 + rise * (-0.175 + rise * (-2.246 - 1.125 * rise)))
        fall = np.clip(at, 0, 60)
        impulsive = np.where(at < -1, 0, np.where(at < 0, rising, 0.6890 * np.exp(-1.600 * fall)))
        gradual = np.where(at < 0, 0, 0.3030 * np.exp(-0.2783 * fall))
        hot, cool = (starlight.black_body(wavelength_um, kelvin) for kelvin in self.kelvin)
        flux = (impulsive @ self.heights_njy) * hot + (gradual @ self.heights_njy) * cool
        seen: NDArray[np.float64] = np.maximum(flux, 0) * starlight.reddening(wavelength_um, self.a_v)
        return seen


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Flares:
    """Draw a flare and those of the same star about it.

    It lasts minutes, the rarest hours (Hawley et al. 2014; Aizawa et al. 2022 for fast ones), has the colour
    of 7,000 to 14,000 K, seldom more (Kowalski et al. 2013), and often peaks more than once. A star has one
    that a survey sees every few days to never again: numbers fall as energy^-1 (Hilton et al. 2010).
    """
    width = starlight.log_normal(rng, 12, 0.45, 0.7, 240) / 1440
    height = starlight.draw_peak_njy(rng, faintest_mag)
    kelvin = starlight.log_normal(rng, 9500, 0.09, 6500, 30000)
    a_v = 0.3 * starlight.draw_extinction(rng)
    complex_peaks = int(rng.integers(1, 5)) if rng.random() < 0.4 else 0
    others = int(min(rng.poisson(600 * starlight.log_uniform(rng, 1e-4, 0.1)), 40))
    # A power law of energies: most of the others are smaller, few larger.
    sizes = np.minimum(0.2 * rng.random(others) ** -1.0, 3.0)
    peaks = [
        mjd,
        *(mjd + width * rng.uniform(0.3, 6, complex_peaks)),
        *(mjd - rng.uniform(0, 600, others)),
    ]
    widths = [
        width,
        *(width * rng.uniform(0.3, 1.5, complex_peaks)),
        *(width * sizes**0.4 * np.exp(rng.normal(0, 0.4, others))),
    ]
    heights = [height, *(height * rng.uniform(0.1, 0.9, complex_peaks)), *(height * sizes)]
    return Flares(
        peak_mjd=mjd,
        peaks_mjd=np.array(peaks),
        widths_days=np.array(widths),
        heights_njy=np.array(heights),
        kelvin=(kelvin, rng.uniform(5000, 8000)),
        a_v=a_v,
    )
