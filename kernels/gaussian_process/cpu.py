# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes in float64, compiled by numba: one curve after another, within the caches of one core.

The variance is what is left of the process after U^-T k, k the kernel between epochs and a query. Queries are
taken `WIDTH` at a time: their kernel is made, solved with and summed up where it lies, and never stored.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, STEPS, Curves, Posterior
from lowlat_nodes.kernels.gaussian_process.factorisation import (
    buffers,
    factorise,
    fill_kernel,
    longest,
    matern,
    padded,
    relative_noise,
    take,
)
from lowlat_nodes.kernels.gaussian_process.panels import ROWS, WIDTH, eliminate
from lowlat_nodes.kernels.gaussian_process.results import Floats, posterior


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
    """Compute the operation `gaussian_process`; other Python threads run meanwhile."""
    out = posterior(curves, query_wavelengths, steps, query_times, out)
    _interpolate(
        curves.offsets,
        curves.times,
        curves.wavelengths,
        curves.values,
        curves.variances,
        amplitudes,
        time_scales,
        float(wavelength_scale),
        query_wavelengths,
        np.empty((0, steps)) if query_times is None else query_times,
        float(floor),
        *out,
    )
    return out


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _interpolate(
    offsets: NDArray[np.int64],
    times: Floats,
    wavelengths: Floats,
    values: Floats,
    variances: Floats,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    query_wavelengths: Floats,
    query_times: Floats,
    floor: float,
    mean: Floats,
    variance: Floats,
    log_likelihood: Floats,
) -> None:
    """Fill the result; `query_times` without rows stands for times equally spaced."""
    most = longest(offsets)
    epochs, noise, kernel, corners = buffers(most)
    steps, colours = mean.shape[1:]
    number = steps * colours
    queries, sums = np.zeros((2, number + WIDTH)), np.empty((2, number + WIDTH))
    work = np.empty((padded(most), WIDTH))
    for curve in range(len(mean)):
        start, count, amplitude = offsets[curve], offsets[curve + 1] - offsets[curve], amplitudes[curve]
        if count == 0:
            log_likelihood[curve] = 0.0
            for step in range(steps):
                for colour in range(colours):
                    mean[curve, step, colour], variance[curve, step, colour] = 0.0, amplitude**2
            continue
        take(start, count, times, wavelengths, values, epochs)
        relative_noise(start, count, variances, amplitude, floor, noise)
        per_time, per_wavelength = 3.0 / time_scales[curve] ** 2, 3.0 / wavelength_scale**2
        fill_kernel(epochs, count, per_time, per_wavelength, kernel)
        log_likelihood[curve] = factorise(kernel, noise, epochs[2], count, amplitude, kernel, corners)
        first = last = 0.0
        for i in range(count):
            first, last = min(first, epochs[0, i]), max(last, epochs[0, i])
        for step in range(steps):
            if len(query_times):
                time = query_times[curve, step] - times[start]
            else:
                time = first + (last - first) * (step / max(steps - 1, 1))
            for colour in range(colours):
                queries[0, step * colours + colour] = time
                queries[1, step * colours + colour] = query_wavelengths[colour]
        for begin in range(0, number, WIDTH):
            _project(epochs, count, queries, begin, per_time, per_wavelength, kernel, corners, work, sums)
        for step in range(steps):
            for colour in range(colours):
                i = step * colours + colour
                mean[curve, step, colour] = amplitude * sums[0, i]
                variance[curve, step, colour] = amplitude**2 * max(1.0 - sums[1, i], 0.0)


@njit(nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _project(
    epochs: Floats,
    count: int,
    queries: Floats,
    begin: int,
    per_time: float,
    per_wavelength: float,
    factor: Floats,
    corners: Floats,
    work: Floats,
    sums: Floats,
) -> None:
    """Write mean and explained variance of `WIDTH` queries from `begin` on, in units of the amplitude."""
    rows = padded(count)
    for row in range(count):
        for i in range(WIDTH):
            time, wavelength = epochs[0, row] - queries[0, begin + i], epochs[1, row] - queries[1, begin + i]
            work[row, i] = per_time * time * time + per_wavelength * wavelength * wavelength
    matern(work[:count].reshape(count * WIDTH))
    for row in range(count, rows):
        for i in range(WIDTH):
            work[row, i] = 0.0
    for row in range(0, rows, ROWS):
        eliminate(work, row, row, factor[row // WIDTH], row % WIDTH, corners[row // ROWS])
    for i in range(WIDTH):
        sums[0, begin + i] = sums[1, begin + i] = 0.0
    for row in range(count):
        whitened = factor[rows // WIDTH, row, rows % WIDTH]
        for i in range(WIDTH):
            sums[0, begin + i] += whitened * work[row, i]
            sums[1, begin + i] += work[row, i] * work[row, i]
