# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Microlensing: a star that passes behind another mass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("microlensing")
_YEAR_DAYS = 365.25


@dataclass(frozen=True, slots=True, eq=False)
class Lensing:
    """One or two sources behind one lens (a `SkyObject`).

    Attributes:
        peak_mjd: When the first source is nearest.
        einstein_days: Time to cross the Einstein radius.
        nearest: float64 [k], impact parameters in Einstein radii.
        delays_days: float64 [k], when each source is nearest, after the first.
        source_njy: float64 [k], fluxes at 0.62 um without lens.
        kelvin: float64 [k], colours.
        parallax: Of the Earth's orbit along and across the path, in Einstein radii.
        season: Phase of the orbit at the peak, radians.
        a_v: Extinction in V, magnitudes.
        reach_days: How long before and after the peak it is worth observing.
    """

    peak_mjd: float
    einstein_days: float
    nearest: NDArray[np.float64]
    delays_days: NDArray[np.float64]
    source_njy: NDArray[np.float64]
    kelvin: NDArray[np.float64]
    parallax: tuple[float, float]
    season: float
    a_v: float
    reach_days: float
    label: int = LABEL
    persistent: bool = False

    @property
    def start_mjd(self) -> float:
        """When it begins to be worth observing."""
        return self.peak_mjd - self.reach_days

    @property
    def end_mjd(self) -> float:
        """When it ceases to be worth observing."""
        return self.peak_mjd + self.reach_days

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy above the light without lens, at times and wavelengths [n].

        The magnification is Paczynski's (1986); the Earth's orbit bends the path as seen from here (Gould
        1992), relative to that at the peak.
        """
        since = mjd - self.peak_mjd
        angle = 2 * np.pi * since / _YEAR_DAYS
        # Where the Earth is, less where it would be had it gone on straight at the peak.
        east = np.cos(angle + self.season) - np.cos(self.season) + angle * np.sin(self.season)
        north = np.sin(angle + self.season) - np.sin(self.season) - angle * np.cos(self.season)
        along = (since[:, None] - self.delays_days) / self.einstein_days
        along += (self.parallax[0] * east + self.parallax[1] * north)[:, None]
        across = self.nearest + (self.parallax[0] * north - self.parallax[1] * east)[:, None]
        squared = along**2 + across**2
        excess = (squared + 2) / np.sqrt(squared * (squared + 4)) - 1
        colours = starlight.black_body(wavelength_um[:, None], self.kelvin)
        seen: NDArray[np.float64] = (excess * self.source_njy * colours).sum(axis=1)
        return seen * starlight.reddening(wavelength_um, self.a_v)


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Lensing:
    """Draw an event.

    Einstein times are log-normal about 25 d in the bulge and longer in the disc (Mroz et al. 2019, 2020),
    impact parameters even up to where it can be seen, sources are of all colours. What blends with the source
    shines in the template as well, so here it only makes the lensed part of the light fainter. A tenth of the
    sources are double (Griest and Hu 1992), and long events bend by parallax.
    """
    days = starlight.log_normal(rng, 28, 0.28, 2, 300)
    nearest = [max(rng.uniform(0, 1.0), 0.005)]
    delays, shares = [0.0], [1.0]
    kelvin = [starlight.log_normal(rng, 4800, 0.08, 3300, 11000)]
    if rng.random() < 0.12:
        nearest.append(max(rng.uniform(0, 0.7), 0.005))
        delays.append(days * rng.uniform(0.2, 1.5) * rng.choice([-1, 1]))
        shares.append(rng.uniform(0.02, 0.7))
        kelvin.append(starlight.log_normal(rng, 4800, 0.1, 3300, 11000))
    # Of one solar mass at a few kpc the Einstein radius is some ten times the Earth's orbit.
    parallax = rng.normal(0, 0.12, 2) if rng.random() < 0.6 else np.zeros(2)
    squared = nearest[0] ** 2
    top = (squared + 2) / np.sqrt(squared * (squared + 4)) - 1
    source = starlight.draw_peak_njy(rng, faintest_mag) / top
    # Where the excess is 3 % of its peak, or of the source.
    level = max(0.03 * top, 0.01)
    reach = np.sqrt(2 * ((1 + level) / np.sqrt((1 + level) ** 2 - 1)) - 2)
    return Lensing(
        peak_mjd=mjd,
        einstein_days=days,
        nearest=np.array(nearest),
        delays_days=np.array(delays),
        source_njy=source * np.array(shares),
        kelvin=np.array(kelvin),
        parallax=(float(parallax[0]), float(parallax[1])),
        season=rng.uniform(0, 2 * np.pi),
        a_v=starlight.draw_extinction(rng),
        reach_days=float(np.sqrt(max(reach**2 - squared, 0.25)) * days),
    )
