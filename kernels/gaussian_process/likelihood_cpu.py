# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood of light curves in float64, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, Curves
from lowlat_nodes.kernels.gaussian_process.factorisation import (
    buffers,
    factorise,
    fill_kernel,
    longest,
    relative_noise,
    take,
)
from lowlat_nodes.kernels.gaussian_process.results import Floats, likelihood


def run(
    curves: Curves,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    *,
    floor: float = FLOOR,
    out: Floats | None = None,
) -> Floats:
    """Compute the operation `gaussian_process_likelihood`; other Python threads run meanwhile."""
    out = likelihood(curves, amplitudes, time_scales, out)
    _likelihood(
        curves.offsets,
        curves.times,
        curves.wavelengths,
        curves.values,
        curves.variances,
        amplitudes,
        time_scales,
        float(wavelength_scale),
        float(floor),
        out,
    )
    return out


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _likelihood(
    offsets: NDArray[np.int64],
    times: Floats,
    wavelengths: Floats,
    values: Floats,
    variances: Floats,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    floor: float,
    out: Floats,
) -> None:
    """Fill the result [n, t, a]."""
    epochs, noise, kernel, corners = buffers(longest(offsets))
    factor = np.zeros_like(kernel)
    for curve in range(len(out)):
        start, count = offsets[curve], offsets[curve + 1] - offsets[curve]
        if count == 0:
            for i in range(out.shape[1]):
                for j in range(out.shape[2]):
                    out[curve, i, j] = 0.0
            continue
        take(start, count, times, wavelengths, values, epochs)
        for i in range(out.shape[1]):
            fill_kernel(epochs, count, 3.0 / time_scales[curve, i] ** 2, 3.0 / wavelength_scale**2, kernel)
            for j in range(out.shape[2]):
                amplitude = amplitudes[curve, j]
                relative_noise(start, count, variances, amplitude, floor, noise)
                out[curve, i, j] = factorise(kernel, noise, epochs[2], count, amplitude, factor, corners)
