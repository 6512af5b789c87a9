# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves of many alerts as ragged arrays, in one flux system."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

AB_ZERO_POINT = 31.4
"""Magnitude AB of 1 nJy (Oke and Gunn 1983)."""


@dataclass(slots=True, eq=False)
class LightCurves:
    """The light curves of n alerts, one after another: alert i has the epochs offsets[i] to offsets[i + 1].

    The epochs of an alert rise in time, and no two have the same time and passband. Fluxes are differences
    to a template, so they may be negative. What was not detected has flux and error where they were measured
    (forced photometry), else flux 0 and as error a fifth of the limit of 5 sigma.

    Attributes:
        alert_id: int64 [n], candid or diaSourceId.
        object_id: n names of the objects.
        offsets: int64 [n + 1].
        mjd: float64 [m], days.
        band: uint8 [m], codes of `passbands`.
        flux_njy: float64 [m], nJy (AB).
        error_njy: float64 [m], nJy, above 0.
        detected: bool [m].
    """

    alert_id: NDArray[np.int64]
    object_id: list[str]
    offsets: NDArray[np.int64]
    mjd: NDArray[np.float64]
    band: NDArray[np.uint8]
    flux_njy: NDArray[np.float64]
    error_njy: NDArray[np.float64]
    detected: NDArray[np.bool_]

    def __len__(self) -> int:
        """Return the number of alerts."""
        return len(self.alert_id)
