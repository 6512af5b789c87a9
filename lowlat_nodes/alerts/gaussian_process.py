# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes over time and wavelength that turn irregular light curves into regular ones.

The kernel is that of t2 (Allam Jr. and McEwen, arXiv 2105.06178, after Boone 2019, arXiv 1907.04690): Matern
3/2 of the distance in time and wavelength, each in units of its own length scale, times an amplitude. All
light curves of a batch are worked on together: their covariance matrices are padded to a common size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM

Floats = NDArray[np.float64]

TIME_SCALE_DAYS: Final = 20.0
WAVELENGTH_SCALE_UM: Final = 0.6
STEPS: Final = 100

_LOG_AMPLITUDE: Final = 10.0  # how far the fit may go from the first guess, in e-folds
_LOG_TIME_SCALE: Final = (0.0, np.log(1000.0))  # the fit stays within 1 and 1000 days
_COARSE_AMPLITUDES: Final = np.linspace(-5.0, 5.0, 6)
_COARSE_TIME_SCALES: Final = np.linspace(*_LOG_TIME_SCALE, 7)
_REFINEMENTS: Final = 3
_FLOOR: Final = 1e-4  # of the scale of the flux: below that rounding would break the factorisation
_WORK_VALUES: Final = 100_000  # of the largest array, to stay within the cache


@dataclass(slots=True, eq=False)
class Interpolation:
    """n light curves at equally spaced times, from the first epoch of each to its last.

    Attributes:
        flux_njy: float64 [n, steps, wavelengths], the mean of the process.
        error_njy: float64 [n, steps, wavelengths], its standard deviation.
        span_days: float64 [n], from the first time to the last.
        amplitude_njy: float64 [n], the standard deviation far from all epochs.
        time_scale_days: float64 [n].
        log_likelihood: float64 [n], of the fluxes, with the factors of 2 pi.
    """

    flux_njy: Floats
    error_njy: Floats
    span_days: Floats
    amplitude_njy: Floats
    time_scale_days: Floats
    log_likelihood: Floats


def interpolate(
    curves: LightCurves,
    wavelengths_um: Sequence[float],
    *,
    steps: int = STEPS,
    fitted: bool = True,
) -> Interpolation:
    """Interpolate light curves in time and wavelength; one without epochs is 0 everywhere.

    Args:
        curves: With finite fluxes and errors above 0. The work grows with the third power of the epochs.
        wavelengths_um: Where to evaluate, for each of the times.
        steps: How many times.
        fitted: Whether amplitude and time scale are those of the greatest likelihood, within t2's bounds,
            found on a grid that is refined around its best point; else they are t2's first guess, half the
            flux of the most significant epoch and 20 days.
    """
    n, shape = len(curves), (len(curves), steps, len(wavelengths_um))
    made = Interpolation(
        np.zeros(shape), np.zeros(shape), np.zeros(n), np.zeros(n), np.full(n, TIME_SCALE_DAYS), np.zeros(n)
    )
    for rows in _batches(curves.offsets, steps * len(wavelengths_um)):
        _interpolate(_Padded.of(curves, rows), np.asarray(wavelengths_um, float), rows, fitted, made)
    return made


def _batches(offsets: NDArray[np.int64], values: int) -> Iterator[NDArray[np.int64]]:
    """Yield numbers of light curves with about as many epochs, few enough for the cache."""
    epochs = np.diff(offsets)
    order = np.argsort(epochs, kind="stable")
    start = int(np.searchsorted(epochs[order], 1))
    while start < len(order):
        width = int(epochs[order[start]])
        width += -width % 8 if width <= 64 else -width % 32
        most = max(1, _WORK_VALUES // (width * max(len(_COARSE_AMPLITUDES) * width, values)))
        stop = min(start + most, int(np.searchsorted(epochs[order], width, side="right")))
        yield order[start:stop]
        start = stop


@dataclass(slots=True, eq=False)
class _Padded:
    """Light curves [b, m], padded at the end; fluxes and variances in units of `scale` [b]."""

    real: NDArray[np.bool_]
    days: Floats
    wavelength_um: Floats
    flux: Floats
    variance: Floats
    scale: Floats
    span_days: Floats

    @classmethod
    def of(cls, curves: LightCurves, rows: NDArray[np.int64]) -> _Padded:
        starts, counts = curves.offsets[rows], np.diff(curves.offsets)[rows]
        column = np.arange(counts.max())
        real = column < counts[:, None]
        epoch = starts[:, None] + np.minimum(column, counts[:, None] - 1)
        flux, error = np.where(real, curves.flux_njy[epoch], 0.0), curves.error_njy[epoch]
        # t2's guess: the flux of the most significant epoch, errors taken as at least 1 % of the peak.
        peak = np.max(np.where(real, flux, -np.inf), axis=1, keepdims=True)
        significance = np.abs(flux) / np.sqrt(error**2 + (0.01 * peak) ** 2)
        scale = np.abs(np.take_along_axis(flux, significance.argmax(1)[:, None], 1))
        # Where that is next to nothing the errors set the scale, or their squares would overflow.
        scale = np.maximum(scale, 1e-3 * error.min(1, keepdims=True))
        days = curves.mjd[epoch] - curves.mjd[starts][:, None]
        return cls(
            real,
            days,
            WAVELENGTHS_UM[curves.band[epoch]],
            flux / scale,
            np.maximum(error / scale, _FLOOR) ** 2,
            scale[:, 0],
            np.where(real, days, 0.0).max(1),
        )


def _interpolate(
    padded: _Padded, wavelengths_um: Floats, rows: NDArray[np.int64], fitted: bool, made: Interpolation
) -> None:
    """Fill the rows of a batch."""
    log_amplitude = np.full(len(rows), 2.0 * np.log(0.5))  # of the variance, as all amplitudes below
    log_time_scale = np.full(len(rows), np.log(TIME_SCALE_DAYS))
    covariance = _Covariance(padded)
    if fitted:
        log_amplitude, log_time_scale = _fit(covariance, log_amplitude)
    amplitude, time_scale = np.exp(log_amplitude), np.exp(log_time_scale)
    factor, whitened = covariance.factorise(amplitude, time_scale)

    steps = made.flux_njy.shape[1]
    times = padded.span_days[:, None] * np.linspace(0.0, 1.0, steps)
    to_epochs = amplitude[:, None, None, None] * _matern(
        (times[:, None, :, None] - padded.days[:, :, None, None]) / time_scale[:, None, None, None],
        (wavelengths_um - padded.wavelength_um[:, :, None, None]) / WAVELENGTH_SCALE_UM,
    )
    to_epochs *= padded.real[:, :, None, None]
    projected = np.linalg.inv(factor) @ to_epochs.reshape(*padded.real.shape, -1)
    mean = np.einsum("bm,bmq->bq", whitened, projected)
    variance = amplitude[:, None] - np.einsum("bmq,bmq->bq", projected, projected)
    shape = (len(rows), *made.flux_njy.shape[1:])
    made.flux_njy[rows] = (padded.scale[:, None] * mean).reshape(shape)
    made.error_njy[rows] = (padded.scale[:, None] * np.sqrt(np.maximum(variance, 0.0))).reshape(shape)
    made.span_days[rows] = padded.span_days
    made.amplitude_njy[rows] = padded.scale * np.sqrt(amplitude)
    made.time_scale_days[rows] = time_scale
    epochs = padded.real.sum(1)
    made.log_likelihood[rows] = _log_likelihood(factor, whitened) - epochs * (
        np.log(padded.scale) + 0.5 * np.log(2.0 * np.pi)
    )


def _matern(days: Floats, wavelength: Floats) -> Floats:
    """Matern 3/2 of distances along both axes, each in units of its length scale."""
    distance: Floats = np.sqrt(3.0 * (days**2 + wavelength**2))
    return (1.0 + distance) * np.exp(-distance)


class _Covariance:
    """The covariances of fluxes of padded light curves; padding is independent of all, with variance 1."""

    def __init__(self, padded: _Padded) -> None:
        self._days = padded.days[:, :, None] - padded.days[:, None, :]
        self._wavelength = padded.wavelength_um[:, :, None] - padded.wavelength_um[:, None, :]
        self._wavelength /= WAVELENGTH_SCALE_UM
        self._both_real = (padded.real[:, :, None] & padded.real[:, None, :]).astype(float)
        self._noise = np.where(padded.real, padded.variance, 1.0)
        self._flux = padded.flux
        # Anything above the weighted sum of squares keeps the bordered matrix positive.
        self._corner = 1.0 + 2.0 * (padded.flux**2 / padded.variance).sum(1)

    def factorise(self, amplitude: Floats, time_scale: Floats) -> tuple[Floats, Floats]:
        """Return the Cholesky factor L [..., b, m, m] and L^-1 flux [..., b, m].

        The flux borders the matrix as one more row, so that one factorisation solves for it as well.

        Args:
            amplitude: Variances [..., b].
            time_scale: Days [b].
        """
        m = self._flux.shape[1]
        kernel = _matern(self._days / time_scale[:, None, None], self._wavelength)
        kernel *= self._both_real
        bordered = np.zeros((*amplitude.shape, m + 1, m + 1))
        np.multiply(amplitude[..., None, None], kernel, out=bordered[..., :m, :m])
        diagonal = np.arange(m)
        bordered[..., diagonal, diagonal] += self._noise
        bordered[..., m, :m] = self._flux
        bordered[..., m, m] = self._corner
        factor = np.linalg.cholesky(bordered)
        return factor[..., :m, :m], factor[..., m, :m]


def _log_likelihood(factor: Floats, whitened: Floats) -> Floats:
    """Return the logarithm of the likelihood, without the factors of 2 pi."""
    diagonal = np.diagonal(factor, axis1=-2, axis2=-1)
    likelihood: Floats = -0.5 * (whitened**2).sum(-1) - np.log(diagonal).sum(-1)
    return likelihood


def _fit(covariance: _Covariance, guess: Floats) -> tuple[Floats, Floats]:
    """Return the logarithms of amplitude and time scale [b] of the greatest likelihood."""
    best = np.full(len(guess), -np.inf)
    amplitude, time_scale = guess.copy(), np.full(len(guess), np.log(TIME_SCALE_DAYS))
    row = np.arange(len(guess))

    def look(amplitudes: Floats, at_time_scale: Floats) -> None:
        found = _log_likelihood(*covariance.factorise(np.exp(amplitudes), np.exp(at_time_scale)))
        place = found.argmax(0)
        better = found[place, row] > best
        best[better] = found[place, row][better]
        amplitude[better] = amplitudes[place, row][better]
        time_scale[better] = at_time_scale[better]

    for value in _COARSE_TIME_SCALES:
        look(guess + _COARSE_AMPLITUDES[:, None], np.full(len(guess), value))
    by_amplitude, by_time_scale = np.diff(_COARSE_AMPLITUDES)[0], np.diff(_COARSE_TIME_SCALES)[0]
    sides = np.array([-1.0, 0.0, 1.0])
    for _ in range(_REFINEMENTS):
        by_amplitude, by_time_scale = by_amplitude / 2.0, by_time_scale / 2.0
        around = np.clip(
            amplitude + by_amplitude * sides[:, None], guess - _LOG_AMPLITUDE, guess + _LOG_AMPLITUDE
        )
        for at_time_scale in np.clip(time_scale + by_time_scale * sides[:, None], *_LOG_TIME_SCALE):
            look(around, at_time_scale)
    return amplitude, time_scale
