# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Distances and volumes of a flat universe, and redshifts drawn from them."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

H0_KM_S_MPC = 70.0
OMEGA_M = 0.3
_LIGHT_KM_S = 299792.458
_FARTHEST = 3.0


@functools.cache
def _tables() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return redshifts, distance moduli there, and events per year out to there with a constant rate."""
    redshift = np.concatenate([[0.0], np.geomspace(1e-4, _FARTHEST, 1500)])
    inverse = 1 / np.sqrt(OMEGA_M * (1 + redshift) ** 3 + 1 - OMEGA_M)
    steps = np.diff(redshift)
    comoving = np.concatenate([[0.0], np.cumsum(0.5 * (inverse[1:] + inverse[:-1]) * steps)])
    comoving *= _LIGHT_KM_S / H0_KM_S_MPC
    modulus = 5 * np.log10(np.maximum((1 + redshift) * comoving, 1e-3)) + 25
    rate = comoving**2 * inverse / (1 + redshift)
    events = np.concatenate([[0.0], np.cumsum(0.5 * (rate[1:] + rate[:-1]) * steps)])
    return redshift, modulus, events


def distance_modulus(redshift: float) -> float:
    """Return apparent less absolute magnitude, without K-correction, at a redshift of 0.0001 to 3."""
    at, modulus, _ = _tables()
    return float(np.interp(redshift, at, modulus))


def redshift_at(modulus: float) -> float:
    """Return the redshift of a distance modulus; beyond a redshift of 3 it is 3."""
    at, moduli, _ = _tables()
    return float(np.interp(modulus, moduli, at))


def draw_redshift(rng: np.random.Generator, farthest: float) -> float:
    """Draw the redshift of an event of a constant rate per comoving volume and its own time."""
    at, _, events = _tables()
    return float(np.interp(rng.random() * np.interp(farthest, at, events), events, at))
