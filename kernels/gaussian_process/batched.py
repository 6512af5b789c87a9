# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Gaussian processes in float64 by NumPy alone, many light curves at once."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.kernels.gaussian_process.batches import Batch, batches, matern
from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, STEPS, Curves, Posterior
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
    """Compute the operation `gaussian_process`."""
    out = posterior(curves, query_wavelengths, steps, query_times, out)
    shape = out.mean.shape[1:]
    empty = np.diff(curves.offsets) == 0
    out.mean[empty] = out.log_likelihood[empty] = 0.0
    out.variance[empty] = amplitudes[empty, None, None] ** 2
    for rows in batches(curves.offsets, queries=shape[0] * shape[1]):
        batch = Batch.of(curves, rows)
        amplitude, time_scale = amplitudes[rows, None], time_scales[rows]
        if query_times is not None:
            at = query_times[rows] - curves.times[curves.offsets[rows]][:, None]
        else:
            # Padding repeats an epoch, so that it is never the first or the last.
            first, last = batch.times.min(1, keepdims=True), batch.times.max(1, keepdims=True)
            at = first + (last - first) * np.linspace(0.0, 1.0, steps)
        factor, whitened, out.log_likelihood[rows] = batch.factorise(
            batch.kernel(time_scale, wavelength_scale), amplitude[:, 0], floor
        )
        across = matern(
            (at[:, None, :, None] - batch.times[:, :, None, None]) / time_scale[:, None, None, None],
            (query_wavelengths - batch.wavelengths[:, :, None, None]) / wavelength_scale,
        )
        across *= batch.real[:, :, None, None]
        projected = np.linalg.inv(factor) @ across.reshape(*batch.real.shape, -1)
        mean = np.einsum("bm,bmq->bq", whitened, projected)
        explained = np.einsum("bmq,bmq->bq", projected, projected)
        out.mean[rows] = (amplitude * mean).reshape(-1, *shape)
        out.variance[rows] = (amplitude**2 * np.maximum(1.0 - explained, 0.0)).reshape(-1, *shape)
    return out
