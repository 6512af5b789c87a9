# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Irregular light curves in nJy become regular ones by Gaussian processes, with parameters as t2 has them.

The kernel is that of t2 (Allam Jr. and McEwen, arXiv 2105.06178, after Boone 2019, arXiv 1907.04690), and
`kernels.gaussian_process` computes all that is made of it. Here are the units, t2's first guess of amplitude
and time scale, and the search for better ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import WAVELENGTHS_UM
from lowlat_nodes.kernels.gaussian_process import (
    STEPS,
    Curves,
    Posterior,
    gaussian_process,
    gaussian_process_likelihood,
)

__all__ = ["STEPS", "TIME_SCALE_DAYS", "WAVELENGTH_SCALE_UM", "Interpolation", "interpolate"]

Floats = NDArray[np.float64]

TIME_SCALE_DAYS: Final = 20.0
WAVELENGTH_SCALE_UM: Final = 0.6

_GUESS: Final = 2.0 * np.log(0.5)  # the logarithm of a squared amplitude, as all below, in units of the scale
_LOG_AMPLITUDE: Final = 10.0  # how far the fit may go from the guess, in e-folds
_LOG_TIME_SCALE: Final = (0.0, np.log(1000.0))  # the fit stays within 1 and 1000 days
_COARSE_AMPLITUDES: Final = np.linspace(-5.0, 5.0, 6)
_COARSE_TIME_SCALES: Final = np.linspace(*_LOG_TIME_SCALE, 7)
_REFINEMENTS: Final = 3
_LEAST_ERROR: Final = 1e-4  # of the scale of the flux: below that rounding would break the factorisation


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
        curves: With finite fluxes, errors above 0 and at most 4096 epochs each. The work grows with the third
            power of these.
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
    rows = np.flatnonzero(np.diff(curves.offsets))
    if not len(rows):
        return made
    scaled, scale = _scaled(curves, rows)
    log_amplitude, log_time_scale = np.full(len(rows), _GUESS), np.full(len(rows), np.log(TIME_SCALE_DAYS))
    if fitted:
        log_amplitude, log_time_scale = _fit(scaled)
    amplitude, time_scale = np.exp(0.5 * log_amplitude), np.exp(log_time_scale)
    found: Posterior = gaussian_process(
        scaled,
        amplitude,
        time_scale,
        WAVELENGTH_SCALE_UM,
        np.asarray(wavelengths_um, np.float64),
        steps=steps,
        floor=0.0,
    )
    made.flux_njy[rows] = scale[:, None, None] * found.mean
    made.error_njy[rows] = scale[:, None, None] * np.sqrt(found.variance)
    made.span_days[rows] = scaled.times[scaled.offsets[1:] - 1] - scaled.times[scaled.offsets[:-1]]
    made.amplitude_njy[rows] = scale * amplitude
    made.time_scale_days[rows] = time_scale
    made.log_likelihood[rows] = found.log_likelihood - scaled.counts * np.log(scale)
    return made


def _scaled(curves: LightCurves, rows: NDArray[np.int64]) -> tuple[Curves, Floats]:
    """Return the light curves that have epochs, each in units of its scale, and the scales in nJy."""
    offsets = np.append(curves.offsets[rows], curves.offsets[-1])
    starts, counts = offsets[:-1], np.diff(offsets)
    flux, error = curves.flux_njy, curves.error_njy
    # t2's guess: the flux of the most significant epoch, errors taken as at least 1 % of the peak.
    peak = np.repeat(np.maximum.reduceat(flux, starts), counts)
    significance = np.abs(flux) / np.sqrt(error**2 + (0.01 * peak) ** 2)
    most = np.flatnonzero(significance == np.repeat(np.maximum.reduceat(significance, starts), counts))
    scale = np.abs(flux[most[np.searchsorted(most, starts)]])
    # Where that is next to nothing the errors set the scale, or their squares would overflow.
    scale = np.maximum(scale, 1e-3 * np.minimum.reduceat(error, starts))
    by_epoch = np.repeat(scale, counts)
    scaled = Curves(
        offsets.astype(np.int64),
        np.ascontiguousarray(curves.mjd),
        WAVELENGTHS_UM[curves.band],
        flux / by_epoch,
        np.maximum(error / by_epoch, _LEAST_ERROR) ** 2,
    )
    return scaled, scale


def _fit(scaled: Curves) -> tuple[Floats, Floats]:
    """Return the logarithms of squared amplitude and time scale [n] of the greatest likelihood."""
    n = len(scaled)
    best = np.full(n, -np.inf)
    amplitude, time_scale = np.full(n, _GUESS), np.full(n, np.log(TIME_SCALE_DAYS))

    def look(amplitudes: Floats, time_scales: Floats) -> None:
        """Take the best pair of amplitudes [n, a] and time scales [n, t] where that is better than so far."""
        found: Floats = gaussian_process_likelihood(
            scaled, np.exp(0.5 * amplitudes), np.exp(time_scales), WAVELENGTH_SCALE_UM, floor=0.0
        )
        place = found.reshape(n, -1).argmax(1)
        likelihood = np.take_along_axis(found.reshape(n, -1), place[:, None], 1)[:, 0]
        better = np.flatnonzero(likelihood > best)
        by_time_scale, by_amplitude = np.divmod(place[better], amplitudes.shape[1])
        best[better] = likelihood[better]
        amplitude[better] = amplitudes[better, by_amplitude]
        time_scale[better] = time_scales[better, by_time_scale]

    look(
        np.tile(_GUESS + _COARSE_AMPLITUDES, (n, 1)),
        np.tile(_COARSE_TIME_SCALES, (n, 1)),
    )
    by_amplitude, by_time_scale = np.diff(_COARSE_AMPLITUDES)[0], np.diff(_COARSE_TIME_SCALES)[0]
    sides = np.array([-1.0, 0.0, 1.0])
    for _ in range(_REFINEMENTS):
        by_amplitude, by_time_scale = by_amplitude / 2.0, by_time_scale / 2.0
        amplitudes = np.clip(
            amplitude[:, None] + by_amplitude * sides, _GUESS - _LOG_AMPLITUDE, _GUESS + _LOG_AMPLITUDE
        )
        look(amplitudes, np.clip(time_scale[:, None] + by_time_scale * sides, *_LOG_TIME_SCALE))
    return amplitude, time_scale
