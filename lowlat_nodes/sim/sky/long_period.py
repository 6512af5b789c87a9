# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Long-period variables: Mira stars, semi-regular and irregular red giants."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("long-period variable")


@dataclass(frozen=True, slots=True, eq=False)
class RedGiant:
    """A star that pulsates over months, no cycle like the last (a `SkyObject`).

    Attributes:
        peak_mjd: When it is about brightest.
        periods_days: float64 [k], of all that varies in it.
        amplitudes_mag: float64 [k], half amplitudes at 0.62 um.
        phases: float64 [k], cycles at the peak.
        asymmetry: Harmonic of the first period: a rise quicker than the fall.
        wander: Cycles that the first phase wanders by, and share that the first amplitude does.
        wander_days: How long that takes.
        wavelength_power: Amplitudes grow as the wavelength to this.
        mean_njy: Flux at 0.62 um.
        kelvin: Colour.
        molecules: Magnitudes that bands of TiO and VO take at 0.48 um.
        a_v: Extinction in V, magnitudes.
    """

    peak_mjd: float
    periods_days: NDArray[np.float64]
    amplitudes_mag: NDArray[np.float64]
    phases: NDArray[np.float64]
    asymmetry: float
    wander: tuple[float, float]
    wander_days: float
    wavelength_power: float
    mean_njy: float
    kelvin: float
    molecules: float
    a_v: float
    label: int = LABEL
    persistent: bool = True

    @property
    def start_mjd(self) -> float:
        """A period before the peak."""
        return self.peak_mjd - float(self.periods_days[0])

    @property
    def end_mjd(self) -> float:
        """A period after the peak."""
        return self.peak_mjd + float(self.periods_days[0])

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy, all that shines at times and wavelengths [n]."""
        since = mjd - self.peak_mjd
        slow = 2 * np.pi * since / self.wander_days
        cycle = since[:, None] / self.periods_days + self.phases
        cycle[:, 0] += self.wander[0] * np.sin(slow)
        angle = 2 * np.pi * cycle
        shape = np.cos(angle)
        shape[:, 0] += self.asymmetry * np.cos(2 * angle[:, 0] - 1.2)
        shape[:, 0] *= 1 + self.wander[1] * np.sin(1.62 * slow + 1)
        brighter_mag = (
            shape @ self.amplitudes_mag * (wavelength_um / starlight.REFERENCE_UM) ** self.wavelength_power
        )
        colour = starlight.black_body(wavelength_um, self.kelvin) * starlight.reddening(
            wavelength_um, self.a_v
        )
        blue = np.maximum(starlight.REFERENCE_UM - wavelength_um, 0) / (starlight.REFERENCE_UM - 0.48)
        return self.mean_njy * colour * 10 ** (0.4 * (brighter_mag - self.molecules * blue))


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> RedGiant:
    """Draw a star.

    Miras have periods about 300 d and more than 2.5 mag in V, semi-regular ones 30 to 400 d and less, with
    several periods at once (General Catalogue of Variable Stars; Soszynski et al. 2009); amplitudes fall
    towards the red (Smith et al. 2002), and a third have a long secondary period (Wood et al. 1999).
    """
    kind = rng.random()
    if kind < 0.45:
        first = starlight.log_normal(rng, 290, 0.17, 100, 700)
        half = rng.uniform(0.9, 3.0)
        wander = (rng.uniform(0, 0.08), rng.uniform(0, 0.25))
        others = rng.integers(0, 2)
        kelvin = rng.uniform(2300, 3100)
    else:
        first = starlight.log_uniform(rng, 30, 400)
        half = starlight.log_uniform(rng, 0.04, 0.7)
        wander = (rng.uniform(0, 0.4), rng.uniform(0, 0.6))
        others = rng.integers(1, 4)
        kelvin = rng.uniform(2800, 3800)
    periods = [first, *(first * rng.uniform(0.45, 2.2, others))]
    amplitudes = [half, *(half * rng.uniform(0.1, 0.7, others))]
    if rng.random() < 0.33:
        periods.append(first * rng.uniform(5, 10))
        amplitudes.append(half * rng.uniform(0.2, 0.8))
    varies = 1 - 10 ** (-0.4 * sum(amplitudes[:2]))
    return RedGiant(
        peak_mjd=mjd + rng.uniform(-0.5, 0.5) * first,
        periods_days=np.array(periods),
        amplitudes_mag=np.array(amplitudes),
        phases=np.array([0.0, *rng.random(len(periods) - 1)]),
        asymmetry=rng.uniform(0, 0.25),
        wander=wander,
        wander_days=first * rng.uniform(4, 15),
        wavelength_power=rng.uniform(-2.0, -0.8),
        mean_njy=starlight.draw_peak_njy(rng, faintest_mag) / varies,
        kelvin=kelvin,
        molecules=rng.uniform(0, 1.0),
        a_v=starlight.draw_extinction(rng),
    )
