# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Transients outside the Milky Way: a source put at a redshift, behind dust, at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.sim.sky import cosmology, dust

_SIGHT_UM = np.array([0.48, 0.62, 0.76])
_LOOK = np.linspace(0.0, 1.0, 56) ** 2


class Source(Protocol):
    """What explodes, in its own frame and seen from 10 pc."""

    @property
    def first_days(self) -> float:
        """Phase before which there is no light."""

    @property
    def last_days(self) -> float:
        """Phase up to which it is known."""

    def flux_njy(
        self, phase_days: NDArray[np.float64], wavelength_um: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return float64 [n], nJy, at phases and wavelengths [n] in its own frame."""


@dataclass(frozen=True, slots=True, eq=False)
class Host:
    """Dust of the galaxy that something explodes in.

    Attributes:
        a_v: Extinction in V, magnitudes.
        r_v: A(V) / E(B-V).
    """

    a_v: float
    r_v: float


@dataclass(slots=True, eq=False)
class Explosion:
    """A source at a redshift, behind the dust of its host and of the Milky Way (a `SkyObject`).

    Attributes:
        label: Its class, an index in `alerts.classes.CLASSES`.
        source: What explodes.
        redshift: Where.
        host: Dust there.
        galactic_ebv: E(B-V) of the Milky Way.
        zero_mjd: When the source's phase is 0.
        start_mjd: When it begins to be worth observing.
        end_mjd: When it ceases to be worth observing.
        peak_mjd: When it is brightest in g, r or i.
    """

    label: int
    source: Source
    redshift: float
    host: Host
    galactic_ebv: float
    zero_mjd: float = 0.0
    start_mjd: float = 0.0
    end_mjd: float = 0.0
    peak_mjd: float = 0.0

    @property
    def persistent(self) -> bool:
        """False: it happens once."""
        return False

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy (AB), at times and observed wavelengths [n]; 0 before it began."""
        stretch = 1 + self.redshift
        rest_um = wavelength_um / stretch
        flux = self.source.flux_njy((mjd - self.zero_mjd) / stretch, rest_um)
        # The host's dust as its own frame sees it, the Milky Way's as we do.
        dimmed = dust.extinction_mag(np.log(rest_um), self.host.a_v, self.host.r_v)
        dimmed += dust.extinction_mag(np.log(wavelength_um), 3.1 * self.galactic_ebv, 3.1)
        dimmed += cosmology.distance_modulus(self.redshift) - 2.5 * np.log10(stretch)
        return flux * 10 ** (-0.4 * dimmed)


def explode(
    rng: np.random.Generator, label: int, source: Source, host: Host, faintest_mag: float, mjd: float
) -> Explosion:
    """Put a source where it can be seen, and its peak near a time.

    Half are drawn by volume, so most of these are near the limit; the peaks of the other half are spread
    evenly over five magnitudes above the limit, because catalogues hold many bright ones.

    Args:
        rng: Where it is drawn from.
        label: Its class.
        source: What explodes.
        host: Dust around it.
        faintest_mag: AB magnitude that the peak is brighter than.
        mjd: When the peak is, within 2 days.
    """
    phases = source.first_days + (source.last_days - source.first_days) * _LOOK
    absolute = (
        -2.5 * np.log10(source.flux_njy(phases, np.full(len(phases), _SIGHT_UM[1])).max()) + AB_ZERO_POINT
    )
    farthest = cosmology.redshift_at(faintest_mag - absolute)
    by_volume = rng.random() < 0.5
    limit_njy = 10 ** (-0.4 * (faintest_mag - AB_ZERO_POINT))
    mjds = np.repeat(phases, len(_SIGHT_UM))
    wavelengths = np.tile(_SIGHT_UM, len(phases))
    galactic = dust.draw_galactic(rng)
    while True:
        if by_volume:
            redshift = cosmology.draw_redshift(rng, farthest)
        else:
            redshift = cosmology.redshift_at(cosmology.distance_modulus(farthest) - rng.uniform(0.0, 5.0))
        seen = Explosion(label, source, max(redshift, 5e-4), host, galactic)
        flux = seen.flux_njy(mjds * (1 + seen.redshift), wavelengths).reshape(len(phases), -1).max(axis=1)
        if flux.max() >= limit_njy:
            break
        farthest *= 0.8
    stretch = 1 + seen.redshift
    peak = int(flux.argmax())
    # Worth observing while it is above half of the limit and above a fiftieth of the peak.
    bright = np.flatnonzero(flux > max(0.5 * limit_njy, 0.02 * flux[peak]))
    seen.zero_mjd = mjd + rng.uniform(-2.0, 2.0) - float(phases[peak]) * stretch
    seen.peak_mjd = seen.zero_mjd + float(phases[peak]) * stretch
    seen.start_mjd = seen.zero_mjd + float(phases[max(int(bright[0]) - 1, 0)]) * stretch
    seen.end_mjd = seen.zero_mjd + float(phases[min(int(bright[-1]) + 1, len(phases) - 1)]) * stretch
    return seen
