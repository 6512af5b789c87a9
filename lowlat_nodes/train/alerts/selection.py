# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Parts of ragged light curves: some alerts, some epochs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves


def owners(light_curves: LightCurves) -> NDArray[np.int64]:
    """The number of the alert that each epoch belongs to, int64 [m]."""
    return np.repeat(np.arange(len(light_curves)), np.diff(light_curves.offsets))


def offsets(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Where each of n runs of epochs begins, and where the last ends, int64 [n + 1]."""
    found = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=found[1:])
    return found


def epochs(light_curves: LightCurves, chosen: NDArray[np.bool_]) -> LightCurves:
    """The same alerts with some of their epochs, bool [m]."""
    counts = np.bincount(owners(light_curves)[chosen], minlength=len(light_curves))
    return LightCurves(
        light_curves.alert_id,
        light_curves.object_id,
        offsets(counts),
        light_curves.mjd[chosen],
        light_curves.band[chosen],
        light_curves.flux_njy[chosen],
        light_curves.error_njy[chosen],
        light_curves.detected[chosen],
    )
