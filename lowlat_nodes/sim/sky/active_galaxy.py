# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Active galaxies: a damped random walk, bluer when brighter, in the light of the host."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("AGN")
_DAYS_BEFORE = 2000.0
_DAYS_AFTER = 700.0


@dataclass(frozen=True, slots=True, eq=False)
class ActiveGalaxy:
    """A nucleus whose magnitude walks at random (a `SkyObject`).

    Attributes:
        peak_mjd: About which time it is known: from 2,000 days before to 700 after.
        step_days: Between the points of the walk.
        walk: float64 [2, k], two walks of variance 1: what all wavelengths share, and what they do not.
        sigma_mag: Standard deviation at 0.40 um in the nucleus' frame.
        rest: 1 over (1 + redshift).
        own: Share of the variance that only one end of the spectrum has.
        mean_njy: Flux of the nucleus at 0.62 um.
        slope: Flux of the nucleus goes as the wavelength to this.
        host_njy: Flux of the host within the aperture at 0.62 um.
        a_v: Extinction in V, magnitudes.
    """

    peak_mjd: float
    step_days: float
    walk: NDArray[np.float64]
    sigma_mag: float
    rest: float
    own: float
    mean_njy: float
    slope: float
    host_njy: float
    a_v: float
    label: int = LABEL
    persistent: bool = True

    @property
    def start_mjd(self) -> float:
        """Where the walk begins."""
        return self.peak_mjd - _DAYS_BEFORE

    @property
    def end_mjd(self) -> float:
        """Where the walk ends."""
        return self.peak_mjd + _DAYS_AFTER

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy, all that shines at times and wavelengths [n]."""
        at = (mjd - self.start_mjd) / self.step_days
        points = np.arange(self.walk.shape[1])
        relative = wavelength_um / starlight.REFERENCE_UM
        share = np.clip(np.log(relative), -1, 1) * self.own
        brighter = np.interp(at, points, self.walk[0]) + share * np.interp(at, points, self.walk[1])
        sigma = self.sigma_mag * (wavelength_um * self.rest / 0.40) ** -0.479
        nucleus = self.mean_njy * relative**self.slope * 10 ** (0.4 * sigma * brighter)
        seen: NDArray[np.float64] = nucleus + self.host_njy * starlight.black_body(wavelength_um, 4800.0)
        return seen * starlight.reddening(wavelength_um, self.a_v)


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> ActiveGalaxy:
    """Draw a nucleus: a quasar, or in one of six a blazar.

    How far and how fast a quasar's magnitude walks depends on its luminosity, its black hole's mass and the
    wavelength as MacLeod et al. (2010) fitted to Stripe 82; a blazar walks farther and within days (Ruan et
    al. 2012).
    """
    redshift = float(np.clip(rng.gamma(2.0, 0.5), 0.03, 3.5))
    if rng.random() < 0.83:
        magnitude = float(np.clip(-20.5 - 4.5 * np.log10(1 + 3 * redshift) + rng.normal(0, 1), -29, -19.5))
        mass = float(np.clip(2.0 - 0.27 * magnitude + rng.normal(0, 0.58 + 0.011 * magnitude), 6.5, 10.5))
        # log10 of the structure function at infinity and of days; the wavelength enters in flux_njy.
        infinite = -0.51 + 0.131 * (magnitude + 23) + 0.18 * (mass - 9) + rng.normal(0, 0.15)
        tau = 2.4 + 0.03 * (magnitude + 23) + 0.21 * (mass - 9) + rng.normal(0, 0.3)
        sigma, days = 10**infinite / np.sqrt(2), 10**tau * (1 + redshift)
        host = rng.exponential(1.0) if redshift < 0.6 else 0.0
    else:
        sigma, days = starlight.log_uniform(rng, 0.2, 0.9), starlight.log_uniform(rng, 3, 100)
        host = rng.exponential(0.3) if redshift < 0.4 else 0.0
    sigma = float(np.clip(sigma, 0.06, 1.0))
    days = float(np.clip(days, 3, 3000))
    mean = starlight.draw_peak_njy(rng, faintest_mag) / (10 ** (0.4 * min(1.4 * sigma, 1.5)) - 1)
    step = min(max(days / 12, 0.5), 8.0)
    return ActiveGalaxy(
        peak_mjd=mjd,
        step_days=step,
        walk=_walk(rng, int((_DAYS_BEFORE + _DAYS_AFTER) / step) + 2, step / days),
        sigma_mag=sigma,
        rest=1 / (1 + redshift),
        own=rng.uniform(0, 0.5),
        mean_njy=mean,
        slope=rng.normal(0.4, 0.35),
        host_njy=mean * host,
        a_v=0.3 * starlight.draw_extinction(rng),
    )


def _walk(rng: np.random.Generator, count: int, step: float) -> NDArray[np.float64]:
    """Return two damped random walks of variance 1, float64 [2, count], exact at each point.

    The recursion x' = a x + sqrt(1 - a^2) e is summed in blocks that a^-k cannot overflow in.
    """
    decay = np.exp(-step)
    steps = rng.standard_normal((2, count))
    steps[:, 1:] *= np.sqrt(1 - decay**2)
    block = max(int(300 / step), 1)
    walk = np.empty_like(steps)
    last = np.zeros((2, 1))
    for start in range(0, count, block):
        part = steps[:, start : start + block]
        powers = decay ** np.arange(1, part.shape[1] + 1)
        walk[:, start : start + block] = powers * (last + np.cumsum(part / powers, axis=1))
        last = walk[:, start + part.shape[1] - 1 : start + part.shape[1]]
    return walk
