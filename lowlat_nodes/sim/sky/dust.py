# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Extinction by dust, and how much of it lies before what explodes."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

_LN_SHORTEST = np.log(0.1)
_LN_LONGEST = np.log(3.3)


@functools.cache
def _law() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return ln of wavelengths in um and the law's a and b there: A(lambda) / A(V) = a + b / R(V)."""
    at = np.linspace(_LN_SHORTEST, _LN_LONGEST, 600)
    x = np.exp(-at)
    infrared = np.minimum(x, 1.1) ** 1.61
    y = np.clip(x, 1.1, 3.3) - 1.82
    optical_a = np.polyval([-0.505, 1.647, -0.827, -1.718, 1.137, 0.701, -0.609, 0.104, 1.0], y)
    optical_b = np.polyval([3.347, -10.805, 5.491, 11.102, -7.985, -3.989, 2.908, 1.952, 0.0], y)
    u = np.clip(x, 3.3, 8.0)
    far = np.maximum(u - 5.9, 0.0)
    ultraviolet_a = 1.752 - 0.316 * u - 0.104 / ((u - 4.67) ** 2 + 0.341)
    ultraviolet_b = -3.090 + 1.825 * u + 1.206 / ((u - 4.62) ** 2 + 0.263)
    ultraviolet_a += -0.04473 * far**2 - 0.009779 * far**3
    ultraviolet_b += 0.2130 * far**2 + 0.1207 * far**3
    a = np.where(x < 1.1, 0.574 * infrared, np.where(x < 3.3, optical_a, ultraviolet_a))
    b = np.where(x < 1.1, -0.527 * infrared, np.where(x < 3.3, optical_b, ultraviolet_b))
    return at, a, b


def extinction_mag(ln_wavelength: NDArray[np.float64], a_v: float, r_v: float) -> NDArray[np.float64]:
    """Return the extinction of Cardelli, Clayton and Mathis (1989) with the optical law of O'Donnell (1994).

    Args:
        ln_wavelength: float64 [n], natural logarithms of wavelengths in um, of 0.125 to 3.3 um.
        a_v: Extinction in V, magnitudes.
        r_v: A(V) / E(B-V).

    Returns:
        float64 [n], magnitudes.
    """
    at, a, b = _law()
    return a_v * np.interp(ln_wavelength, at, a + b / r_v)


def draw_galactic(rng: np.random.Generator) -> float:
    """Draw E(B-V) of the Milky Way as away from its plane: median 0.04, half of all within 0.024 to 0.066."""
    return float(min(0.04 * np.exp(rng.normal(0.0, 0.75)), 0.5))


def draw_host(rng: np.random.Generator, mean_ebv: float, clear: float) -> tuple[float, float]:
    """Draw A(V) and R(V) of a host galaxy.

    Args:
        rng: Where it is drawn from.
        mean_ebv: Mean of the exponential distribution of E(B-V) of those behind dust.
        clear: Share of those in front of it.
    """
    ebv = 0.0 if rng.random() < clear else float(min(rng.exponential(mean_ebv), 1.2))
    r_v = float(np.clip(rng.normal(2.8, 0.6), 1.5, 4.5))
    return ebv * r_v, r_v
