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
    Buffers,
    factorise,
    fill_kernel,
    points_of,
    rows_of,
)
from lowlat_nodes.kernels.gaussian_process.matern import matern, squared_distances
from lowlat_nodes.kernels.gaussian_process.numba_types import (
    ARRAY,
    BUFFER,
    BUFFER_2D,
    BUFFER_3D,
    NUMBER,
    OFFSETS,
    RESULT,
    RESULT_2D,
    VOID,
)
from lowlat_nodes.kernels.gaussian_process.panels import ROWS, WIDTH, eliminate
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
    """Compute the operation `gaussian_process`; other Python threads run meanwhile."""
    steps = steps if query_times is None else query_times.shape[1]
    out = posterior(curves, amplitudes, query_wavelengths, steps, out)
    at = equally_spaced(curves, steps) if query_times is None else query_times
    buffers = Buffers.of(curves)
    queries = at.shape[1] * len(query_wavelengths)
    _interpolate(
        curves.offsets,
        points_of(curves),
        curves.values,
        curves.variances,
        amplitudes,
        time_scales,
        float(wavelength_scale),
        at - origins(curves)[:, None],
        query_wavelengths,
        float(floor),
        *buffers,
        np.empty((len(buffers.noise), WIDTH)),
        np.zeros((2, queries + WIDTH)),
        np.empty((2, WIDTH)),
        out.mean.reshape(-1, queries),
        out.variance.reshape(-1, queries),
        out.log_likelihood,
    )
    return out


@njit(nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def _sum_up(panel: Floats, count: int, whitened: Floats, column: int, sums: Floats) -> None:
    """Write the products of each column with the whitened values, and with itself."""
    means, squares = sums[0], sums[1]
    for i in range(len(means)):
        means[i] = squares[i] = 0.0
    for row in range(count):
        value, numbers = whitened[row, column], panel[row]
        for i in range(len(means)):
            means[i] += value * numbers[i]
            squares[i] += numbers[i] * numbers[i]


@njit(
    VOID(
        OFFSETS, BUFFER_2D, ARRAY, ARRAY, ARRAY, ARRAY, NUMBER, BUFFER_2D, ARRAY, NUMBER,
        BUFFER, BUFFER_3D, BUFFER_3D, BUFFER_2D, BUFFER_2D, BUFFER_2D, RESULT_2D, RESULT_2D, RESULT,
    ),
    nogil=True,
)  # type: ignore[untyped-decorator]  # fmt: skip
def _interpolate(
    offsets: NDArray[np.int64],
    points: Floats,
    values: Floats,
    variances: Floats,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    query_times: Floats,
    query_wavelengths: Floats,
    floor: float,
    noise: Floats,
    factor: Floats,
    corners: Floats,
    panel: Floats,
    queries: Floats,
    sums: Floats,
    mean: Floats,
    variance: Floats,
    log_likelihood: Floats,
) -> None:
    """Fill the rows [n, queries] of curves with epochs; times count from the first of these."""
    colours, number = len(query_wavelengths), mean.shape[1]
    for curve in range(len(mean)):
        start, stop, amplitude = offsets[curve], offsets[curve + 1], amplitudes[curve]
        if start == stop:
            continue
        times, wavelengths = points[0, start:], points[1, start:]
        count, rows = stop - start, rows_of(stop - start)
        per_time, per_wavelength = 3.0 / time_scales[curve] ** 2, 3.0 / wavelength_scale**2
        fill_kernel(times, wavelengths, count, per_time, per_wavelength, factor)
        log_likelihood[curve] = factorise(
            values[start:stop], variances[start:stop], amplitude, floor, noise, factor, corners
        )
        for step in range(query_times.shape[1]):
            for colour in range(colours):
                queries[0, step * colours + colour] = query_times[curve, step]
                queries[1, step * colours + colour] = query_wavelengths[colour]
        for begin in range(0, number, WIDTH):
            squared_distances(
                times[:count],
                wavelengths[:count],
                queries[0, begin : begin + WIDTH],
                queries[1, begin : begin + WIDTH],
                per_time,
                per_wavelength,
                panel,
            )
            matern(panel.reshape(panel.size)[: count * WIDTH])
            for row in range(count, rows):
                for i in range(WIDTH):
                    panel[row, i] = 0.0
            for row in range(0, rows, ROWS):
                eliminate(panel, row, row, factor[row // WIDTH], row % WIDTH, corners[row // ROWS])
            _sum_up(panel, count, factor[rows // WIDTH], rows % WIDTH, sums)
            for i in range(min(WIDTH, number - begin)):
                mean[curve, begin + i] = amplitude * sums[0, i]
                variance[curve, begin + i] = amplitude**2 * max(1.0 - sums[1, i], 0.0)
