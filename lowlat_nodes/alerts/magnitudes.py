# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves as they are drawn: magnitudes of the detections in each passband."""

from __future__ import annotations

import math

import numpy as np

from lowlat_nodes.alerts.lightcurve import AB_ZERO_POINT, LightCurves
from lowlat_nodes.alerts.passbands import NAMES

_PER_ERROR = 2.5 / math.log(10.0)


def magnitudes(curves: LightCurves, alert: int, most: int = 300) -> dict[str, list[list[float]]]:
    """Return the light curve of one alert: MJD, AB magnitude and its error of each detection, by passband.

    What is fainter than its template has no magnitude and is left out.

    Args:
        curves: Of several alerts.
        alert: Which one.
        most: So many of its newest epochs at most.
    """
    start, end = curves.offsets[alert : alert + 2].tolist()
    rows = np.arange(max(start, end - most), end)
    rows = rows[curves.detected[rows] & (curves.flux_njy[rows] > 0.0)]
    flux, error = curves.flux_njy[rows], curves.error_njy[rows]
    columns = (curves.mjd[rows], AB_ZERO_POINT - 2.5 * np.log10(flux), _PER_ERROR * error / flux)
    points = np.round(np.stack(columns, axis=1), 5).tolist()
    found: dict[str, list[list[float]]] = {}
    for code, point in zip(curves.band[rows].tolist(), points, strict=True):
        found.setdefault(NAMES[code], []).append(point)
    return found
