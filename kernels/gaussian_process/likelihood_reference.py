# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood of light curves by the book, one covariance at a time."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, Curves
from lowlat_nodes.kernels.gaussian_process.reference import covariance, log_likelihood
from lowlat_nodes.kernels.gaussian_process.results import Floats, likelihood, origins


def run(
    curves: Curves,
    amplitudes: Floats,
    time_scales: Floats,
    wavelength_scale: float,
    *,
    floor: float = FLOOR,
    out: Floats | None = None,
) -> Floats:
    """Compute the operation `gaussian_process_likelihood`."""
    out = likelihood(curves, amplitudes, time_scales, out)
    for curve, at_time_scale, at_amplitude in np.ndindex(out.shape):
        rows = slice(curves.offsets[curve], curves.offsets[curve + 1])
        epochs = np.stack(
            [
                (curves.times[rows] - origins(curves)[curve]) / time_scales[curve, at_time_scale],
                curves.wavelengths[rows] / wavelength_scale,
            ],
            axis=1,
        )
        amplitude = amplitudes[curve, at_amplitude]
        factor = np.linalg.cholesky(covariance(epochs, curves.variances[rows], amplitude, floor))
        out[curve, at_time_scale, at_amplitude] = log_likelihood(factor, curves.values[rows])
    return out
