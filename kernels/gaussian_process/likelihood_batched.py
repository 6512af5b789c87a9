# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The likelihood of light curves by NumPy alone, many at once."""

from __future__ import annotations

from lowlat_nodes.kernels.gaussian_process.batches import Batch, batches
from lowlat_nodes.kernels.gaussian_process.curves import FLOOR, Curves
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
    """Compute the operation `gaussian_process_likelihood`."""
    out = likelihood(curves, amplitudes, time_scales, out)
    for rows in batches(curves, matrices=amplitudes.shape[1]):
        batch = Batch.of(curves, rows)
        for number, time_scale in enumerate(time_scales[rows].T):
            kernel = batch.kernel(time_scale, wavelength_scale)
            out[rows, number] = batch.factorise(kernel, amplitudes[rows].T, floor)[2].T
    return out
