# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves from arrays: for photometry that did not come as an alert."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.stream.errors import ConfigurationError

SHORT_NAMES: Final = {
    **{letter: f"sdss_{letter}" for letter in "ugriz"},
    **{f"{letter}'": f"sdss_{letter}" for letter in "ugriz"},
    "y": "ps1_y",
    **{letter: f"bessell_{letter.lower()}" for letter in "UBVRI"},
    "Rc": "bessell_r",
    "Ic": "bessell_i",
    "G": "gaia_g",
}
"""What catalogues call passbands, and which of `passbands` is meant; letter case counts."""

VEGA_TO_AB_MAG: Final = {
    "bessell_u": 0.79,
    "bessell_b": -0.09,
    "bessell_v": 0.02,
    "bessell_r": 0.21,
    "bessell_i": 0.45,
    "gaia_g": 0.11,
}
"""What to add to magnitudes of the Vega system: Blanton and Roweis (2007), for Gaia Riello et al. (2021)."""

_DETECTION: Final = 5.0  # sigma
_ASSUMED: Final = 0.1  # of a magnitude or a flux whose error nobody tells
_MAG_TO_RELATIVE_FLUX: Final = 0.4 * np.log(10.0)


def light_curve(
    mjd: ArrayLike,
    bands: Sequence[str],
    *,
    magnitude: ArrayLike | None = None,
    flux_njy: ArrayLike | None = None,
    error: ArrayLike,
    detected: ArrayLike | None = None,
    vega: bool = False,
    name: str = "",
) -> LightCurves:
    """Return the light curve of one object, in any order of its n epochs.

    Args:
        mjd: Times, days.
        bands: Names of `passbands`, or short ones of `SHORT_NAMES`.
        magnitude: Magnitudes of what was added to the sky (the supernova without its galaxy), AB; of an
            epoch without detection the limit of 5 sigma.
        flux_njy: Fluxes in nJy in place of magnitudes.
        error: 1 sigma, of magnitudes in magnitudes, of fluxes in nJy; where a magnitude is a limit, ignored.
            Where it is missing (NaN, or not above 0), a tenth of a magnitude or of the flux is assumed.
        detected: Which epochs are detections; None: all magnitudes, and fluxes of 5 sigma or more.
        vega: Whether magnitudes of the Bessell and Gaia passbands are Vega's, as most published ones are.
        name: Of the object.

    Returns:
        One light curve; of epochs with the same time and passband it has the first, and none whose time or
        brightness is not finite.

    Raises:
        ConfigurationError: If a passband is not known, lengths differ, or not one of magnitudes and fluxes is
            given.
    """
    if (magnitude is None) == (flux_njy is None):
        raise ConfigurationError("expected either magnitude or flux_njy")
    days, sigma = np.asarray(mjd, np.float64), np.asarray(error, np.float64)
    known = [SHORT_NAMES.get(band, band) for band in bands]
    if unknown := sorted({band for band in known if band not in CODES}):
        raise ConfigurationError(
            f"unknown passbands {', '.join(unknown)}; expected {', '.join(SHORT_NAMES)} or names of "
            f"lowlat_nodes.alerts.passbands: {', '.join(CODES)}"
        )
    band = np.array([CODES[name] for name in known], np.uint8)
    value = np.asarray(magnitude if flux_njy is None else flux_njy, np.float64)
    lengths = {len(days), len(band), len(value), len(sigma)}
    if len(lengths) != 1 or days.ndim != 1:
        raise ConfigurationError(
            f"expected as many times, passbands, values and errors, got {len(days)}, {len(band)}, "
            f"{len(value)} and {len(sigma)}"
        )
    found = None if detected is None else np.asarray(detected, np.bool_)
    if found is not None and found.shape != days.shape:
        raise ConfigurationError(f"detected: expected {len(days)} values, got {found.size}")
    missing = ~(sigma > 0.0) | ~np.isfinite(sigma)
    sigma = np.where(missing, _ASSUMED * (1.0 if flux_njy is None else np.abs(value)), sigma)
    if flux_njy is None:
        shift = np.array([VEGA_TO_AB_MAG.get(name, 0.0) if vega else 0.0 for name in known])
        flux, sigma, found = _from_magnitudes(value + shift, sigma, found)
    else:
        flux = value
        found = np.abs(flux) >= _DETECTION * sigma if found is None else found
    order = np.lexsort((band, days))
    order = order[(np.isfinite(days) & np.isfinite(flux) & (sigma > 0.0))[order]]
    again = (np.diff(days[order]) == 0.0) & (np.diff(band[order].astype(np.int64)) == 0)
    order = np.delete(order, np.flatnonzero(again) + 1)
    return LightCurves(
        np.zeros(1, np.int64),
        [name],
        np.array([0, len(order)]),
        days[order],
        band[order],
        flux[order],
        sigma[order],
        found[order],
    )


def _from_magnitudes(
    magnitude: NDArray[np.float64], error: NDArray[np.float64], detected: NDArray[np.bool_] | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Return fluxes and errors in nJy and what is detected; a limit has flux 0, a fifth of it as error."""
    found = np.ones(len(magnitude), np.bool_) if detected is None else detected
    flux = 10.0 ** (0.4 * (AB_ZERO_POINT - magnitude))
    sigma = np.where(found, _MAG_TO_RELATIVE_FLUX * error * flux, flux / 5.0)
    return np.where(found, flux, 0.0), sigma, found
