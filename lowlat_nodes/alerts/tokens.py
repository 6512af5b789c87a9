# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves as the tokens that a classifier reads, at most `MOST` of them for an alert.

What has more epochs is condensed. Of the non-detections those nearest to the first detection stay, whose
times say most, and of the others ever fewer, evenly in the logarithm of their rank: `MOST_LIMITS` at most.
Detections become fewer in rounds: of the neighbours in one passband, those nearest in time become one, until
the number fits. Two that agree within 3 sigma become their average, weighted by inverse variance; of two that
do not, the later one stays, so that what varies goes on to vary. The newest detection, the brightest and the
most negative stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM

FIELDS: Final = ("days", "wavelength_um", "flux_njy", "error_njy", "detected")
MOST: Final = 64
MOST_LIMITS: Final = 12
_AGREEMENT: Final = 3.0  # sigma
_BAND_CODES: Final = 256
_LEAST_ERROR_NJY: Final = 1e-6  # far below any survey's: what float32 holds, squared too
_MOST_FLUX_NJY: Final = 1e15  # -6 mag AB


@dataclass(slots=True, eq=False)
class Tokens:
    """The tokens of n alerts, one after another: alert i has the rows offsets[i] to offsets[i + 1].

    Attributes:
        offsets: int64 [n + 1].
        values: float32 [m, 5], of `FIELDS`: days since the last epoch (0 or less), effective wavelength in
            um, flux and its error in nJy, and 1 where it was detected, else 0.
    """

    offsets: NDArray[np.int64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of alerts."""
        return len(self.offsets) - 1

    def padded(self, alerts: NDArray[np.int64], length: int) -> NDArray[np.float32]:
        """Return the tokens of some alerts as float32 [B, length, 5]; padding is 0, so its error is.

        Args:
            alerts: int64 [B], numbers of alerts.
            length: At least the number of tokens of each.
        """
        place = np.arange(length)
        rows = self.offsets[alerts, None] + place
        inside = rows < self.offsets[alerts + 1, None]
        padded = np.zeros((len(alerts), length, len(FIELDS)), np.float32)
        padded[inside] = self.values[rows[inside]]
        return padded

    def batches(self, size: int, step: int = 8) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Yield all alerts in batches of similar length, with their numbers, int64 [B].

        Args:
            size: Alerts of a batch, at most.
            step: Lengths are multiples of it, at least one.
        """
        lengths = np.diff(self.offsets)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), size):
            alerts = order[start : start + size]
            longest = max(1, int(lengths[alerts[-1]]))
            yield alerts, self.padded(alerts, -(-longest // step) * step)


@dataclass(slots=True, eq=False)
class _Epochs:
    """Epochs of several alerts."""

    alert: NDArray[np.int64]
    band: NDArray[np.int64]
    days: NDArray[np.float64]
    flux: NDArray[np.float64]
    error: NDArray[np.float64]
    detected: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.alert)

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> _Epochs:
        return _Epochs(
            self.alert[chosen],
            self.band[chosen],
            self.days[chosen],
            self.flux[chosen],
            self.error[chosen],
            self.detected[chosen],
        )

    @classmethod
    def join(cls, parts: list[_Epochs]) -> _Epochs:
        return cls(
            np.concatenate([part.alert for part in parts]),
            np.concatenate([part.band for part in parts]),
            np.concatenate([part.days for part in parts]),
            np.concatenate([part.flux for part in parts]),
            np.concatenate([part.error for part in parts]),
            np.concatenate([part.detected for part in parts]),
        )


def tokenise(light_curves: LightCurves) -> Tokens:
    """Return the tokens of light curves, in time order; epochs that are no numbers have none."""
    n = len(light_curves)
    epochs = _sound(light_curves)
    counts = np.bincount(epochs.alert, minlength=n)
    newest = np.zeros(n)
    newest[epochs.alert] = epochs.days  # the last one stays
    epochs.days -= newest[epochs.alert]
    limits = np.bincount(epochs.alert[~epochs.detected], minlength=n)
    long = (limits > MOST_LIMITS) | (counts > MOST)
    if long.any():
        chosen = long[epochs.alert]
        epochs = _Epochs.join([epochs.take(~chosen), _condensed(epochs.take(chosen), n)])
        epochs = epochs.take(np.lexsort((epochs.days, epochs.alert)))
        counts = np.bincount(epochs.alert, minlength=n)
    offsets = np.zeros(n + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    values = np.empty((len(epochs), len(FIELDS)), np.float32)
    values[:, 0] = epochs.days
    values[:, 1] = WAVELENGTHS_UM[epochs.band]
    values[:, 2] = epochs.flux
    values[:, 3] = epochs.error
    values[:, 4] = epochs.detected
    return Tokens(offsets, values)


def _sound(light_curves: LightCurves) -> _Epochs:
    """Return the epochs whose values are numbers and fit in float32; days are still MJD."""
    epochs = _Epochs(
        np.repeat(np.arange(len(light_curves)), np.diff(light_curves.offsets)),
        light_curves.band.astype(np.int64),
        light_curves.mjd.copy(),
        light_curves.flux_njy,
        light_curves.error_njy,
        light_curves.detected,
    )
    error = epochs.error
    # Not a number compares as false.
    sound = (np.abs(epochs.flux) < _MOST_FLUX_NJY) & (error > _LEAST_ERROR_NJY) & (error < _MOST_FLUX_NJY)
    sound &= np.isfinite(epochs.days)
    return epochs if sound.all() else epochs.take(sound)


def _condensed(epochs: _Epochs, n: int) -> _Epochs:
    """Return at most `MOST` epochs of each of some long light curves, in time order, of n."""
    seen, unseen = epochs.take(epochs.detected), epochs.take(~epochs.detected)
    first = np.zeros(n)  # where nothing is detected, the last epoch
    first[seen.alert[::-1]] = seen.days[::-1]
    unseen = _thinned(unseen, first)
    room = MOST - np.bincount(unseen.alert, minlength=n)
    long = (np.bincount(seen.alert, minlength=n) > room)[seen.alert]
    if not long.any():
        return _Epochs.join([seen, unseen])
    whole = seen.take(long)
    kept = np.zeros(len(whole), np.bool_)
    kept[_ends(whole.alert)] = True
    for value in (whole.flux, -whole.flux):
        kept[_ends(whole.alert, np.lexsort((value, whole.alert)))] = True
    few = whole.take(kept)
    room -= np.bincount(few.alert, minlength=n)
    return _Epochs.join([seen.take(~long), few, _merged(whole.take(~kept), room), unseen])


def _thinned(unseen: _Epochs, first: NDArray[np.float64]) -> _Epochs:
    """Return at most `MOST_LIMITS` non-detections of each alert, given when it was first detected."""
    order = np.lexsort((np.abs(unseen.days - first[unseen.alert]), unseen.alert))
    alert = unseen.alert[order]
    rank = _ranks(alert)
    near = MOST_LIMITS // 2
    count = np.bincount(alert, minlength=len(first))[alert]
    # Ranks from `near` on fall into as many bins as there is room for; the first of each bin stays.
    share = np.log(np.maximum(rank, near) / near) / np.log(np.maximum(count, near + 1) / near)
    place = np.where(count > MOST_LIMITS, near + (MOST_LIMITS - near) * share, rank).astype(np.int64)
    stays = np.append(True, (place[1:] != place[:-1]) | (alert[1:] != alert[:-1]))[: len(rank)]
    stays |= rank < near
    return unseen.take(order[stays])


def _ends(alert: NDArray[np.int64], order: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
    """Return where each alert's last epoch is, in an order that is sorted by alert."""
    ordered = alert if order is None else alert[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))
    return ends if order is None else order[ends]


def _merged(epochs: _Epochs, room: NDArray[np.int64]) -> _Epochs:
    """Return epochs of which no alert has more than `room`, int64 [n]: more than it has passbands."""
    epochs = epochs.take(np.lexsort((epochs.days, epochs.alert * _BAND_CODES + epochs.band)))
    done = []
    while True:
        excess = np.bincount(epochs.alert, minlength=len(room)) - room
        over = (excess > 0)[epochs.alert]
        done.append(epochs.take(~over))
        if not over.any():
            return _Epochs.join(done)
        epochs = epochs.take(over)
        pairs = _pairs(epochs)
        gap = epochs.days[pairs + 1] - epochs.days[pairs]
        alert = epochs.alert[pairs]
        pairs = pairs[np.lexsort((gap, alert))]
        epochs = _join_pairs(epochs, pairs[_ranks(alert) < excess[alert]])


def _ranks(groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return 0, 1, 2... within each run of equal values."""
    place = np.arange(len(groups))
    begins = np.append(len(groups) > 0, groups[1:] != groups[:-1])
    return place - np.maximum.accumulate(np.where(begins, place, 0))


def _pairs(epochs: _Epochs) -> NDArray[np.int64]:
    """Return the first of every two neighbours of one alert and passband."""
    group = epochs.alert * _BAND_CODES + epochs.band
    even = _ranks(group)[:-1] % 2 == 0
    return np.flatnonzero(even & (group[1:] == group[:-1]))


def _join_pairs(epochs: _Epochs, one: NDArray[np.int64]) -> _Epochs:
    """Put one epoch in the place of each pair."""
    other = one + 1
    flux, error = epochs.flux, epochs.error
    weight, weight_other = error[one] ** -2.0, error[other] ** -2.0
    total = weight + weight_other
    share = weight_other / total
    agree = np.abs(flux[one] - flux[other]) <= _AGREEMENT * np.hypot(error[one], error[other])
    days = epochs.days[one] + share * (epochs.days[other] - epochs.days[one])
    mean = flux[one] + share * (flux[other] - flux[one])
    epochs.days[other] = np.where(agree, days, epochs.days[other])
    epochs.flux[other] = np.where(agree, mean, flux[other])
    epochs.error[other] = np.where(agree, total**-0.5, error[other])
    stays = np.ones(len(epochs), np.bool_)
    stays[one] = False
    return epochs.take(stays)
