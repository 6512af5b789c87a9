# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood of light curves in float64, compiled by numba."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, Curves
from lowlat_nodes.kernels.gaussian_process.factorisation import (
    Buffers,
    copy_kernel,
    factorise,
    fill_kernel,
    points_of,
)
from lowlat_nodes.kernels.gaussian_process.numba_types import (
    ARRAY,
    ARRAY_2D,
    BUFFER,
    BUFFER_2D,
    BUFFER_3D,
    NUMBER,
    OFFSETS,
    RESULT_3D,
    VOID,
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
    buffers = Buffers.of(curves)
    _likelihood(
        curves.offsets,
        points_of(curves),
        curves.values,
        curves.variances,
        amplitudes,
        time_scales,
        float(wavelength_scale),
        float(floor),
        np.zeros_like(buffers.factor),
        *buffers,
        out,
    )
    return out


@njit(
    VOID(
        OFFSETS, BUFFER_2D, ARRAY, ARRAY, ARRAY_2D, ARRAY_2D, NUMBER, NUMBER,
        BUFFER_3D, BUFFER, BUFFER_3D, BUFFER_3D, RESULT_3D,
    ),
    nogil=True,
)  # type: ignore[untyped-decorator]  # fmt: skip
def _likelihood(
    offsets: NDArray[np.int64],
    points: Floats,
    values: Floats,
    variances: Floats,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    floor: float,
    kernel: Floats,
    noise: Floats,
    factor: Floats,
    corners: Floats,
    out: Floats,
) -> None:
    """Fill the rows [n, t, a] of curves with epochs; times count from the first of these."""
    per_wavelength = 3.0 / wavelength_scale**2
    for curve in range(len(out)):
        start, stop = offsets[curve], offsets[curve + 1]
        if start == stop:
            continue
        for i in range(out.shape[1]):
            fill_kernel(
                points[0, start:],
                points[1, start:],
                stop - start,
                3.0 / time_scales[curve, i] ** 2,
                per_wavelength,
                kernel,
            )
            for j in range(out.shape[2]):
                copy_kernel(kernel, stop - start, factor)
                out[curve, i, j] = factorise(
                    values[start:stop],
                    variances[start:stop],
                    amplitudes[curve, j],
                    floor,
                    noise,
                    factor,
                    corners,
                )
