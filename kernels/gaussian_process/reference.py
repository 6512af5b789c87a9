# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes by the book (Rasmussen and Williams 2006, algorithm 2.1), one light curve at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, STEPS, Curves, Posterior
from lowlat_nodes.kernels.gaussian_process.results import Floats, equally_spaced, origins, posterior


def run(
    curves: Curves,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    query_wavelengths: Floats,
    *,
    steps: int = STEPS,
    query_times: Floats | None = None,
    floor: float = FLOOR,
    out: Posterior | None = None,
) -> Posterior:
    """Compute the operation `gaussian_process`."""
    steps = steps if query_times is None else query_times.shape[1]
    out = posterior(curves, amplitudes, query_wavelengths, steps, out)
    at = equally_spaced(curves, steps) if query_times is None else query_times
    for curve, origin in enumerate(origins(curves)):
        if curves.counts[curve] == 0:
            continue
        amplitude, time_scale = amplitudes[curve], time_scales[curve]
        rows = slice(curves.offsets[curve], curves.offsets[curve + 1])
        values = curves.values[rows]
        # Counted from an epoch, as what is scaled first has lost digits to the years before.
        epochs = np.stack(
            [(curves.times[rows] - origin) / time_scale, curves.wavelengths[rows] / wavelength_scale], axis=1
        )
        queries = np.stack(
            [
                np.repeat((at[curve] - origin) / time_scale, len(query_wavelengths)),
                np.tile(query_wavelengths / wavelength_scale, at.shape[1]),
            ],
            axis=1,
        )
        factor = np.linalg.cholesky(covariance(epochs, curves.variances[rows], amplitude, floor))
        weights = np.linalg.solve(factor.T, np.linalg.solve(factor, values))
        across = amplitude**2 * matern(epochs, queries)
        explained = np.sum(np.linalg.solve(factor, across) ** 2, axis=0)
        shape = out.mean.shape[1:]
        out.mean[curve] = (weights @ across).reshape(shape)
        out.variance[curve] = np.maximum(amplitude**2 - explained, 0.0).reshape(shape)
        out.log_likelihood[curve] = log_likelihood(factor, values)
    return out


def matern(first: Floats, second: Floats) -> Floats:
    """Return the Matern 3/2 function [a, b] between points [a, 2] and [b, 2] in units of its scales."""
    distance = np.sqrt(3.0 * np.sum((first[:, None] - second[None]) ** 2, axis=-1))
    return np.asarray((1.0 + distance) * np.exp(-distance))


def covariance(epochs: Floats, variances: Floats, amplitude: float, floor: float) -> Floats:
    """Return the covariance of noisy values [m, m] at points [m, 2]."""
    noise = np.maximum(variances, floor * amplitude**2)
    return np.asarray(amplitude**2 * matern(epochs, epochs) + np.diag(noise))


def log_likelihood(factor: NDArray[np.floating[Any]], values: Floats) -> float:
    """Return the logarithm of a Gaussian density, by the Cholesky factor of its covariance."""
    whitened = np.linalg.solve(factor, values)
    log_determinant = 2.0 * np.log(np.diagonal(factor)).sum()
    return float(-0.5 * (whitened @ whitened + log_determinant + len(values) * np.log(2.0 * np.pi)))
