# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves of many alerts as ragged arrays, in one flux system."""

from __future__ import annotations

from collections.abc import Sequence
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
    (forced photometry), else flux 0 and as error a fifth of the limit of 5 sigma. Detected is what the survey
    found, and forced photometry of 5 sigma or more, positive or negative.

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

    def take(self, alerts: NDArray[np.int64]) -> LightCurves:
        """Return the light curves of some alerts, by their numbers, in that order."""
        lengths = np.diff(self.offsets)[alerts]
        offsets = _offsets(lengths)
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[alerts] - offsets[:-1], lengths)
        return LightCurves(
            self.alert_id[alerts],
            [self.object_id[alert] for alert in alerts],
            offsets,
            self.mjd[rows],
            self.band[rows],
            self.flux_njy[rows],
            self.error_njy[rows],
            self.detected[rows],
        )

    @staticmethod
    def concatenate(parts: Sequence[LightCurves]) -> LightCurves:
        """Return the light curves of all parts, one part after another."""
        if not parts:
            offsets, nothing = np.zeros(1, np.int64), np.empty(0)
            no_bands, none_detected = np.empty(0, np.uint8), np.empty(0, np.bool_)
            return LightCurves(offsets[:0], [], offsets, nothing, no_bands, nothing, nothing, none_detected)
        return LightCurves(
            np.concatenate([part.alert_id for part in parts]),
            [name for part in parts for name in part.object_id],
            _offsets(np.concatenate([np.diff(part.offsets) for part in parts])),
            np.concatenate([part.mjd for part in parts]),
            np.concatenate([part.band for part in parts]),
            np.concatenate([part.flux_njy for part in parts]),
            np.concatenate([part.error_njy for part in parts]),
            np.concatenate([part.detected for part in parts]),
        )


def _offsets(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
