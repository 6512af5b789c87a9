# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the implementations in NumPy and numba begin with: their results, and the times of the queries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.arguments import is_tensor
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.gaussian_process.curves import Curves, Posterior

Floats = NDArray[np.float64]


def posterior(
    curves: Curves, amplitudes: Floats, query_wavelengths: Floats, steps: int, out: Posterior | None
) -> Posterior:
    """Return `out`, or new arrays where that is None; curves without epochs are done already.

    Raises:
        BadArgument: If the curves are tensors.
    """
    _check_numpy(curves)
    if out is None:
        shape = (len(curves), steps, len(query_wavelengths))
        out = Posterior(np.empty(shape), np.empty(shape), np.empty(len(curves)))
    empty = np.flatnonzero(curves.counts == 0)
    out.mean[empty] = 0.0
    out.variance[empty] = amplitudes[empty, None, None] ** 2
    out.log_likelihood[empty] = 0.0
    return out


def likelihood(curves: Curves, amplitudes: Floats, time_scales: Floats, out: Floats | None) -> Floats:
    """Return `out`, or a new array where that is None; curves without epochs are done already.

    Raises:
        BadArgument: If the curves are tensors.
    """
    _check_numpy(curves)
    if out is None:
        out = np.empty((len(curves), time_scales.shape[1], amplitudes.shape[1]))
    out[curves.counts == 0] = 0.0
    return out


def _check_numpy(curves: Curves) -> None:
    if is_tensor(curves.offsets):
        raise BadArgument("expected arrays of NumPy on the CPU, got tensors of torch; give tensor.numpy()")


def origins(curves: Curves) -> Floats:
    """Return the times [n] of the first epoch of each curve, from which others are counted; 0 without any."""
    made = np.zeros(len(curves))
    rows = np.flatnonzero(curves.counts)
    made[rows] = curves.times[curves.offsets[rows]]
    return made


def equally_spaced(curves: Curves, steps: int) -> Floats:
    """Return times [n, steps] from the first epoch of each curve to its last; 0 where there is none."""
    first, last = np.zeros(len(curves)), np.zeros(len(curves))
    rows = np.flatnonzero(curves.counts)
    if len(rows):
        starts = curves.offsets[rows]
        first[rows] = np.minimum.reduceat(curves.times, starts)
        last[rows] = np.maximum.reduceat(curves.times, starts)
    return np.asarray(first[:, None] + (last - first)[:, None] * np.linspace(0.0, 1.0, steps))
