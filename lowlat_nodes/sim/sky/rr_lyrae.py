# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""RR Lyrae stars: fundamental mode (ab) and first overtone (c), some with the Blazhko effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("RR Lyrae")
_G_UM = 0.48


@dataclass(frozen=True, slots=True, eq=False)
class Pulsator:
    """A star that pulsates with one period (a `SkyObject`).

    Attributes:
        peak_mjd: When it is brightest.
        period_days: Of the pulsation.
        amplitude_mag: From minimum to maximum in g.
        ratios: float64 [k], amplitudes of the harmonics relative to the first.
        phases: float64 [k], their phases in magnitudes and g, in cosines.
        phase_slopes: float64 [k], how they grow with ln wavelength.
        mean_njy: Mean flux at 0.62 um.
        kelvin: Colour.
        a_v: Extinction in V, magnitudes.
        blazhko_days: Period of the modulation.
        blazhko: Relative size of it in amplitude, and in phase in cycles.
    """

    peak_mjd: float
    period_days: float
    amplitude_mag: float
    ratios: NDArray[np.float64]
    phases: NDArray[np.float64]
    phase_slopes: NDArray[np.float64]
    mean_njy: float
    kelvin: float
    a_v: float
    blazhko_days: float
    blazhko: tuple[float, float]
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
        modulation = 2 * np.pi * (mjd - self.peak_mjd) / self.blazhko_days
        cycle = (mjd - self.peak_mjd) / self.period_days + self.blazhko[1] * np.sin(modulation)
        order = np.arange(1, len(self.ratios) + 1)
        ln_wavelength = np.log(wavelength_um / _G_UM)
        angle = 2 * np.pi * cycle[:, None] * order + self.phases + self.phase_slopes * ln_wavelength[:, None]
        shape = np.cos(angle) @ self.ratios
        # Sesar et al. (2010): amplitudes in r, i and z are 0.72, 0.57 and 0.53 of that in g, in u the same.
        amplitude = self.amplitude_mag * np.minimum((wavelength_um / _G_UM) ** -1.15, 1.0)
        amplitude *= 1 + self.blazhko[0] * np.cos(modulation)
        colour = starlight.black_body(wavelength_um, self.kelvin) * starlight.reddening(
            wavelength_um, self.a_v
        )
        return self.mean_njy * colour * 10 ** (-0.4 * amplitude * shape)


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Pulsator:
    """Draw a star.

    Two of three are in the fundamental mode, fewer than in the halo, so that the others are known too.
    Periods and amplitudes follow Sesar et al. (2010), harmonics Simon and Teays (1982), and a third have the
    Blazhko effect (Szeidl 1988; Jurcsik et al. 2009: up to half).
    """
    if rng.random() < 0.67:
        period = float(np.clip(rng.normal(0.57, 0.07), 0.40, 0.95))
        amplitude = float(np.clip(rng.normal(1.0 - 2.5 * (period - 0.57), 0.2), 0.3, 1.6))
        ratios = np.array([1.0, 0.44, 0.30, 0.18, 0.10, 0.055]) * np.exp(rng.normal(0, 0.12, 6))
        phases = np.array([0.0, 3.84, 1.71, 5.96, 3.91, 1.9]) + np.arange(6) * rng.normal(0, 0.12)
        slopes = np.array([0.0, 0.80, 1.35, 1.90, 2.4, 2.9])
    else:
        period = float(np.clip(rng.normal(0.33, 0.04), 0.22, 0.45))
        amplitude = float(np.clip(rng.normal(0.5, 0.1), 0.2, 0.8))
        ratios = np.array([1.0, 0.15, 0.06, 0.04]) * np.exp(rng.normal(0, 0.3, 4))
        phases = np.array([0.0, 4.0, 2.5, 1.0]) + rng.normal(0, 0.4, 4)
        slopes = np.array([0.0, 0.4, 0.7, 1.0])
    cycle = np.linspace(0, 1, 64, endpoint=False)
    shape = np.cos(2 * np.pi * cycle[:, None] * np.arange(1, len(ratios) + 1) + phases) @ ratios
    brightest = float(cycle[shape.argmin()])
    # The first harmonic's phase puts the peak at phase 0, and the shape spans 1 magnitude.
    phases = phases + 2 * np.pi * brightest * np.arange(1, len(ratios) + 1)
    ratios = ratios / np.ptp(shape)
    modulated = rng.random() < 0.33
    # Half of what it varies by is to be seen.
    mean = starlight.draw_peak_njy(rng, faintest_mag) / (1 - 10 ** (-0.4 * 0.36 * amplitude))
    return Pulsator(
        peak_mjd=mjd + period * rng.uniform(-0.5, 0.5),
        period_days=period,
        amplitude_mag=amplitude,
        ratios=ratios,
        phases=phases,
        phase_slopes=slopes,
        mean_njy=mean,
        kelvin=rng.uniform(6100, 7400),
        a_v=starlight.draw_extinction(rng) * 0.5,
        blazhko_days=starlight.log_uniform(rng, 20, 200),
        blazhko=(rng.uniform(0.05, 0.4), rng.uniform(0.0, 0.03)) if modulated else (0.0, 0.0),
    )
