# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What t2 sees of a light curve: its Gaussian process in g and r, at a hundred times, oldest first."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.gaussian_process import interpolate
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import PASSBANDS as WAVELENGTHS_UM

PASSBANDS: Final = ("ztf_g", "ztf_r")
"""Where the light curves are interpolated to, in this order, whatever passbands they were measured in."""

MARGIN_DAYS: Final = 50.0
"""Epochs this long before the first detection and after the last are of use, as in t2."""

MOST_EPOCHS: Final = 64
"""The newest that are taken; the work grows with the third power."""

BRIGHTEST_NJY: Final = 1e12
"""No alert is of anything as bright (magnitude 1.4); beyond, single precision would soon overflow."""

LEAST_ERROR_NJY: Final = 1e-3
"""No survey measures as precisely; squares of smaller numbers would vanish."""

LATEST_MJD: Final = 1e6
"""In the year 4596."""


def around_detections(
    curves: LightCurves, *, margin_days: float = MARGIN_DAYS, most: int = MOST_EPOCHS
) -> LightCurves:
    """Return the epochs near detections, at most the newest `most` of each light curve.

    Epochs without a possible time, flux and error are left out. A light curve without detections keeps all
    others.
    """
    n = len(curves)
    owner = np.repeat(np.arange(n), np.diff(curves.offsets))
    # Comparisons with NaN are false.
    kept = (np.abs(curves.mjd) < LATEST_MJD) & (np.abs(curves.flux_njy) < BRIGHTEST_NJY)
    kept &= (curves.error_njy >= LEAST_ERROR_NJY) & (curves.error_njy < BRIGHTEST_NJY)
    first, last = np.full(n, np.inf), np.full(n, -np.inf)
    detected = curves.detected & kept
    np.minimum.at(first, owner[detected], curves.mjd[detected])
    np.maximum.at(last, owner[detected], curves.mjd[detected])
    never = first > last
    first[never], last[never] = -np.inf, np.inf
    kept &= (curves.mjd >= first[owner] - margin_days) & (curves.mjd <= last[owner] + margin_days)
    through = np.cumsum(kept)
    ends = np.concatenate([[0], through])[curves.offsets[1:]]
    kept &= ends[owner] - through < most
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner[kept], minlength=n))])
    return LightCurves(
        curves.alert_id,
        curves.object_id,
        offsets,
        curves.mjd[kept],
        curves.band[kept],
        curves.flux_njy[kept],
        curves.error_njy[kept],
        curves.detected[kept],
    )


def t2_inputs(curves: LightCurves, *, fitted: bool = True) -> dict[str, NDArray[np.float32]]:
    """Return what t2's graph takes of n light curves of `around_detections`.

    Nothing is scaled by a light curve's own fluxes: the graph applies one rule to all.

    Args:
        curves: In any passbands.
        fitted: Whether the Gaussian process is fitted to each, see `interpolate`.

    Returns:
        `flux_njy` and `error_njy`, float32 [n, 100, 2], and `span_days`, float32 [n].
    """
    made = interpolate(around_detections(curves), [WAVELENGTHS_UM[name] for name in PASSBANDS], fitted=fitted)
    return {
        "flux_njy": made.flux_njy.astype(np.float32),
        "error_njy": made.error_njy.astype(np.float32),
        "span_days": made.span_days.astype(np.float32),
    }
