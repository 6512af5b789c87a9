# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes in float64 by NumPy alone, many light curves at once."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.kernels.gaussian_process.batches import Batch, batches, matern
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
    at, shape = at - origins(curves)[:, None], out.mean.shape[1:]
    for rows in batches(curves, queries=shape[0] * shape[1]):
        batch = Batch.of(curves, rows)
        amplitude, time_scale = amplitudes[rows, None], time_scales[rows]
        factor, whitened, out.log_likelihood[rows] = batch.factorise(
            batch.kernel(time_scale, wavelength_scale), amplitude[:, 0], floor
        )
        across = matern(
            (at[rows][:, None, :, None] - batch.times[:, :, None, None]) / time_scale[:, None, None, None],
            (query_wavelengths - batch.wavelengths[:, :, None, None]) / wavelength_scale,
        )
        across *= batch.real[:, :, None, None]
        projected = np.linalg.inv(factor) @ across.reshape(*batch.real.shape, -1)
        mean = np.einsum("bm,bmq->bq", whitened, projected)
        explained = np.einsum("bmq,bmq->bq", projected, projected)
        out.mean[rows] = (amplitude * mean).reshape(-1, *shape)
        out.variance[rows] = (amplitude**2 * np.maximum(1.0 - explained, 0.0)).reshape(-1, *shape)
    return out
