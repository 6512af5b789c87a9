# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The arrays of NumPy that the operations return."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import Curves, Posterior

Floats = NDArray[np.float64]


def posterior(
    curves: Curves, query_wavelengths: Floats, steps: int, query_times: Floats | None, out: Posterior | None
) -> Posterior:
    """Return `out`, or new arrays where that is None."""
    if out is not None:
        return out
    shape = (len(curves), steps if query_times is None else query_times.shape[1], len(query_wavelengths))
    return Posterior(np.empty(shape), np.empty(shape), np.empty(len(curves)))


def likelihood(curves: Curves, amplitudes: Floats, time_scales: Floats, out: Floats | None) -> Floats:
    """Return `out`, or a new array where that is None."""
    if out is not None:
        return out
    return np.empty((len(curves), time_scales.shape[1], amplitudes.shape[1]))
