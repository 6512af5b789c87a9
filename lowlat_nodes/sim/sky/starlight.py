# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What objects of the Milky Way share: colours of black bodies, dust of the plane, how bright they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT
from lowlat_nodes.sim.sky import dust

REFERENCE_UM = 0.62
"""Colours are relative to the flux here, in r."""

_HC_OVER_K_UM = 14387.77  # um K


def black_body(
    wavelength_um: NDArray[np.float64], kelvin: float | NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Planck's flux per frequency relative to that at 0.62 um, float64 as the arguments broadcast."""
    exponent = np.minimum(_HC_OVER_K_UM / (wavelength_um * kelvin), 500)
    reference = np.minimum(_HC_OVER_K_UM / (REFERENCE_UM * kelvin), 500)
    ratio: NDArray[np.float64] = (
        (REFERENCE_UM / wavelength_um) ** 3 * np.expm1(reference) / np.expm1(exponent)
    )
    return ratio


def reddening(wavelength_um: NDArray[np.float64], a_v: float) -> NDArray[np.float64]:
    """Return the factor by which dust of the Milky Way changes a colour relative to 0.62 um.

    Args:
        wavelength_um: float64 [n].
        a_v: Extinction in V, magnitudes.
    """
    a_r = dust.extinction_mag(np.log([REFERENCE_UM]), a_v, 3.1)
    factor: NDArray[np.float64] = 10 ** (-0.4 * (dust.extinction_mag(np.log(wavelength_um), a_v, 3.1) - a_r))
    return factor


def draw_extinction(rng: np.random.Generator) -> float:
    """Draw A(V): most of what varies in the Milky Way is behind some of its dust."""
    return float(min(rng.exponential(0.4), 3.5))


def draw_peak_njy(rng: np.random.Generator, faintest_mag: float, deepest_mag: float = 5.0) -> float:
    """Draw a flux that can be seen: half crowd at the limit as stars do, half spread over magnitudes.

    Args:
        rng: Where it is drawn from.
        faintest_mag: AB magnitude that it is brighter than.
        deepest_mag: How many magnitudes brighter it is at most.
    """
    crowded = rng.random() < 0.5
    above = min(rng.exponential(1.1), deepest_mag) if crowded else rng.uniform(0, deepest_mag)
    return njy(faintest_mag - above)


def njy(magnitude: float) -> float:
    """Return the flux of an AB magnitude."""
    return float(10 ** (0.4 * (AB_ZERO_POINT - magnitude)))


def log_normal(rng: np.random.Generator, median: float, dex: float, low: float, high: float) -> float:
    """Draw from a log-normal distribution, its width in dex, between two limits."""
    return float(np.clip(median * 10 ** rng.normal(0.0, dex), low, high))


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
