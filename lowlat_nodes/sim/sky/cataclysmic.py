# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Cataclysmic variables: outbursts of dwarf novae, and novae."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.classes import CLASSES
from lowlat_nodes.sim.sky import starlight

LABEL = CLASSES.index("CV")


@dataclass(frozen=True, slots=True, eq=False)
class Outbursts:
    """A white dwarf and its outbursts, each a rise, a plateau and a fall in magnitudes (a `SkyObject`).

    Attributes:
        peak_mjd: When the outburst that is looked for is brightest.
        peaks_mjd: float64 [k], when each outburst is at the top of its rise.
        below_mag: float64 [k], how much fainter each is than the brightest.
        rise_days: float64 [k], a magnitude.
        plateau_days: float64 [k].
        plateau_slope: float64 [k], magnitudes a day.
        fall_days: float64 [k], a magnitude, after the plateau.
        fall_power: 1 where magnitudes fall evenly; below, ever slower.
        amplitude_mag: Of the brightest above what is there in between.
        flickering: Half amplitude, magnitudes.
        flicker: float64 [2, j], frequencies in cycles a day and phases of it.
        peak_njy: Flux at 0.62 um.
        kelvin: At the peak, and far below it.
        red_excess: What lines in r add, relative.
        a_v: Extinction in V, magnitudes.
        start_mjd: When the outburst begins.
        end_mjd: When it is over.
    """

    peak_mjd: float
    peaks_mjd: NDArray[np.float64]
    below_mag: NDArray[np.float64]
    rise_days: NDArray[np.float64]
    plateau_days: NDArray[np.float64]
    plateau_slope: NDArray[np.float64]
    fall_days: NDArray[np.float64]
    fall_power: float
    amplitude_mag: float
    flickering: float
    flicker: NDArray[np.float64]
    peak_njy: float
    kelvin: tuple[float, float]
    red_excess: float
    a_v: float
    start_mjd: float
    end_mjd: float
    label: int = LABEL
    persistent: bool = False

    def flux_njy(self, mjd: NDArray[np.float64], wavelength_um: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return float64 [n], nJy above what is there between outbursts, at times and wavelengths [n]."""
        since = mjd[:, None] - self.peaks_mjd
        before, after = np.minimum(since, 0), np.maximum(since, 0)
        beyond = np.maximum(after - self.plateau_days, 0) / self.fall_days
        fainter = self.below_mag - before / self.rise_days
        fainter += np.minimum(after, self.plateau_days) * self.plateau_slope + beyond**self.fall_power
        magnitudes = fainter.min(axis=1)
        frequencies, phases = self.flicker
        magnitudes += self.flickering * np.sin(2 * np.pi * mjd[:, None] * frequencies + phases).mean(axis=1)
        share = np.clip(magnitudes / max(self.amplitude_mag, 3), 0, 1)
        kelvin = self.kelvin[0] + (self.kelvin[1] - self.kelvin[0]) * share
        colour = starlight.black_body(wavelength_um, kelvin) * starlight.reddening(wavelength_um, self.a_v)
        colour *= 1 + self.red_excess * share * ((wavelength_um > 0.60) & (wavelength_um < 0.67))
        quiet = 10 ** (-0.4 * self.amplitude_mag)
        return np.asarray(self.peak_njy * colour * np.maximum(10 ** (-0.4 * magnitudes) - quiet, 0))


def draw(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Outbursts:
    """Draw a dwarf nova, or in one of seven a nova.

    Outbursts have amplitudes of 2 to 8 mag, rise within a day or so, and fall at 0.2 to 2 mag a day; those of
    SU UMa stars every few months last two weeks longer and are brighter (Warner 1995; Osaki 1996), and the
    rare ones of WZ Sge stars may flare up again (Kato 2015). Novae fall by 2 mag in 3 to 200 d, ever slower,
    and gain lines in r (Strope, Schaefer and Henden 2010; della Valle and Izzo 2020).
    """
    return _nova(rng, faintest_mag, mjd) if rng.random() < 0.15 else _dwarf_nova(rng, faintest_mag, mjd)


def _dwarf_nova(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Outbursts:
    amplitude = float(np.clip(rng.normal(4.0, 1.3), 1.8, 8.5))
    # The rarer, the larger (Kukarkin and Parenago).
    recurrence = starlight.log_normal(rng, 10 ** (0.9 + 0.25 * amplitude), 0.35, 8, 5000)
    count = int(min(1200 / recurrence, 60)) + 1
    gaps = recurrence * rng.gamma(3.0, 1 / 3.0, (2, count))
    peaks = np.concatenate(([0.0], np.cumsum(gaps[0]) + 3, -np.cumsum(gaps[1]) - 3))
    peaks = np.sort(peaks[np.abs(peaks) < 1000])
    main = int(np.searchsorted(peaks, 0.0))
    super_share = rng.uniform(0.1, 1.0) if rng.random() < 0.5 else 0.0
    if amplitude > 6:
        super_share = 1.0
    long = rng.random(len(peaks)) < super_share
    rise = starlight.log_normal(rng, 0.3, 0.2, 0.1, 1.5)
    fall = starlight.log_normal(rng, 0.9, 0.2, 0.35, 4.0)
    plateau = np.where(long, rng.uniform(7, 22), np.maximum(rng.normal(1.5, 2.0, len(peaks)), 0.0))
    below = np.where(long, 0.0, np.abs(rng.normal(0.6 if super_share else 0.15, 0.3, len(peaks))))
    if amplitude > 6.5 and rng.random() < 0.4:
        peaks, below, plateau = _rebrighten(rng, peaks, below, plateau, main)
    below -= below[main]
    return Outbursts(
        peak_mjd=mjd,
        peaks_mjd=mjd + peaks,
        below_mag=below,
        rise_days=np.full(len(peaks), rise),
        plateau_days=plateau,
        plateau_slope=np.full(len(peaks), rng.uniform(0.04, 0.15)),
        fall_days=np.full(len(peaks), fall),
        fall_power=1.0,
        amplitude_mag=amplitude,
        flickering=rng.uniform(0.0, 0.2),
        flicker=np.stack((starlight.log_uniform(rng, 10, 100) * rng.random(5) + 8, 7 * rng.random(5))),
        peak_njy=starlight.draw_peak_njy(rng, faintest_mag),
        kelvin=(rng.uniform(9000, 22000), rng.uniform(5000, 9000)),
        red_excess=rng.uniform(0.0, 0.3),
        a_v=0.7 * starlight.draw_extinction(rng),
        start_mjd=mjd - rise * amplitude,
        end_mjd=mjd + float(plateau[main]) + fall * amplitude,
    )


def _rebrighten(
    rng: np.random.Generator,
    peaks: NDArray[np.float64],
    below: NDArray[np.float64],
    plateau: NDArray[np.float64],
    main: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Add short outbursts after the main one."""
    count = int(rng.integers(1, 8))
    first = plateau[main] + rng.uniform(6, 12)
    again = first + np.cumsum(rng.uniform(2, 6, count))
    return (
        np.concatenate((peaks, again)),
        np.concatenate((below, np.full(count, rng.uniform(1.5, 3.5)))),
        np.concatenate((plateau, np.full(count, rng.uniform(0, 1.0)))),
    )


def _nova(rng: np.random.Generator, faintest_mag: float, mjd: float) -> Outbursts:
    amplitude = float(np.clip(rng.normal(11, 2), 7, 16))
    two_magnitudes = starlight.log_normal(rng, 20, 0.4, 3, 200)
    power = rng.uniform(0.45, 0.8)
    fall = two_magnitudes / 2 ** (1 / power)
    rise = starlight.log_normal(rng, 0.3, 0.25, 0.08, 1.5)
    visible = min(float((6 ** (1 / power)) * fall), 500.0)
    return Outbursts(
        peak_mjd=mjd,
        peaks_mjd=np.array([mjd]),
        below_mag=np.zeros(1),
        rise_days=np.array([rise]),
        plateau_days=np.array([rng.uniform(0, 2) if rng.random() < 0.6 else rng.uniform(2, 40)]),
        plateau_slope=np.array([rng.uniform(0, 0.05)]),
        fall_days=np.array([fall]),
        fall_power=power,
        amplitude_mag=amplitude,
        flickering=rng.uniform(0.0, 0.8) if rng.random() < 0.5 else 0.05,
        flicker=np.stack((rng.uniform(0.02, 0.3, 4), 7 * rng.random(4))),
        peak_njy=starlight.draw_peak_njy(rng, faintest_mag, 7.0),
        kelvin=(rng.uniform(7000, 12000), rng.uniform(8000, 20000)),
        red_excess=rng.uniform(0.5, 4.0),
        a_v=starlight.draw_extinction(rng),
        start_mjd=mjd - rise * 8,
        end_mjd=mjd + visible,
    )
