# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Epochs as surveys tell them, in several tables and any order, and light curves of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# What an epoch is; of one visit the one with the least number counts.
OWN, DETECTION, FORCED, LIMIT = range(4)

DETECTION_SIGMA = 5.0
"""From where on both surveys speak of a detection; forced photometry is compared with it."""

FIRST_MJD, LAST_MJD = 40_000.0, 100_000.0
"""Times before 1968 and after 2132 are errors."""

MOST_NJY = 1e15
"""What is brighter than magnitude -6 is an error; the squares of these fit into float32."""

LEAST_ERROR_NJY = 1e-3
"""No survey measures as well as that."""

SAME_VISIT_DAYS = 1.0 / 86_400
"""Epochs of one passband that are no further apart are one visit; exposures take 15 s and more."""

UNKNOWN_BAND = 255

# One integer that sorts like (alert, time, kind), for so many alerts; float64 resolves no finer times.
_KIND_BITS, _FRACTION_BITS, _DAY_BITS = 2, 37, 16
_TIME_BITS = _FRACTION_BITS + _DAY_BITS
_MOST_ALERTS = 1 << (63 - _KIND_BITS - _TIME_BITS)


@dataclass(slots=True, eq=False)
class Epochs:
    """Epochs of n alerts; the first n are those that raised the alerts, in their order.

    Attributes:
        alert: int64 [m], number of the alert.
        mjd: float64 [m].
        band: uint8 [m], codes of `passbands`, or `UNKNOWN_BAND`.
        flux_njy: float64 [m].
        error_njy: float64 [m].
        kind: uint8 [m]: `OWN`, `DETECTION`, `FORCED` or `LIMIT`.
    """

    alert: NDArray[np.int64]
    mjd: NDArray[np.float64]
    band: NDArray[np.uint8]
    flux_njy: NDArray[np.float64]
    error_njy: NDArray[np.float64]
    kind: NDArray[np.uint8]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> Epochs:
        """Return some of the epochs."""
        return Epochs(
            self.alert[rows],
            self.mjd[rows],
            self.band[rows],
            self.flux_njy[rows],
            self.error_njy[rows],
            self.kind[rows],
        )


def usable(epochs: Epochs) -> NDArray[np.bool_]:
    """Return which epochs are sound: bool [m].

    They have a time, a known passband, and flux and error within the bounds above.
    """
    # No comparison holds for NaN.
    good = epochs.error_njy > LEAST_ERROR_NJY
    good &= epochs.error_njy < MOST_NJY
    good &= np.abs(epochs.flux_njy) < MOST_NJY
    good &= epochs.mjd > FIRST_MJD
    good &= epochs.mjd < LAST_MJD
    good &= epochs.band != UNKNOWN_BAND
    return good


def in_order(epochs: Epochs) -> Epochs:
    """Return usable epochs sorted by alert and time, and just one for each visit and passband.

    Of several, the alert's own counts before other detections, these before forced photometry, that before
    limits, and of equals the one with the smallest error. The order of what came does not matter.
    """
    epochs = epochs.take(_order(epochs))
    close = epochs.alert[1:] == epochs.alert[:-1]
    close &= np.diff(epochs.mjd) <= SAME_VISIT_DAYS
    pairs = np.flatnonzero(close)
    if not len(pairs):
        return epochs
    one_band = epochs.band[pairs] == epochs.band[pairs + 1]
    if not one_band.all():  # times may be equal, and then passbands decide
        epochs = epochs.take(np.lexsort((epochs.band, epochs.mjd, epochs.alert)))
    keep = np.empty(len(epochs.mjd), np.bool_)
    keep[0] = True
    np.logical_not(close, out=keep[1:])
    # As kinds rise, the first of a visit is the best one, unless passbands or kinds repeat.
    doubtful = ~one_band | (epochs.kind[pairs] >= epochs.kind[pairs + 1])
    if doubtful.any():
        _choose(epochs, close, pairs[doubtful], keep)
    return epochs.take(keep)


def _order(epochs: Epochs) -> NDArray[np.int64]:
    """Return how to sort by alert, time and kind."""
    alert, kind = epochs.alert, epochs.kind
    if len(alert) and alert.max() < _MOST_ALERTS:  # sorting by one key is ten times faster than by three
        key = ((epochs.mjd - FIRST_MJD) * float(1 << _FRACTION_BITS)).astype(np.int64)
        key += alert << _TIME_BITS
        key <<= _KIND_BITS
        key += kind
        return np.argsort(key)
    return np.lexsort((kind, epochs.mjd, alert))


def _choose(
    epochs: Epochs, close: NDArray[np.bool_], doubtful: NDArray[np.int64], keep: NDArray[np.bool_]
) -> None:
    """Decide which epochs to keep in the visits that some doubtful pairs belong to."""
    visit = np.zeros(len(epochs.mjd), np.int64)
    np.cumsum(~close, out=visit[1:])
    concerned = np.zeros(visit[-1] + 1, np.bool_)
    concerned[visit[doubtful]] = True
    rows = np.flatnonzero(concerned[visit])
    some = epochs.take(rows)
    visit = visit[rows]
    best = np.lexsort((some.mjd, some.flux_njy, some.error_njy, some.kind, some.band, visit))
    visit, band = visit[best], some.band[best]
    first = np.ones(len(best), np.bool_)
    first[1:] = (visit[1:] != visit[:-1]) | (band[1:] != band[:-1])
    keep[rows] = False
    keep[rows[best[first]]] = True
