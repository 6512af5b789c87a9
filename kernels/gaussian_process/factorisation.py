# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernel matrices K of one light curve and their Cholesky factors, K = U^T U, compiled by numba.

Matrices are in units of the squared amplitude and lie in the panels of `panels`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit

from lowlat_nodes.kernels.gaussian_process.curves import Curves
from lowlat_nodes.kernels.gaussian_process.matern import matern, squared_distances
from lowlat_nodes.kernels.gaussian_process.panels import ROWS, WIDTH, eliminate
from lowlat_nodes.kernels.gaussian_process.results import Floats, origins

_HALF_LN_2_PI = 0.5 * math.log(2.0 * math.pi)
_UNITY = np.eye(ROWS)


class Buffers(NamedTuple):
    """What one curve after another is worked on in.

    Attributes:
        noise: [rows], variances in units of the squared amplitude.
        factor: [panels, rows, WIDTH], K or U and, as the column after its rows, values.
        corners: [rows / ROWS, ROWS, ROWS], the triangles on the diagonal of U as `eliminate` takes them.
    """

    noise: Floats
    factor: Floats
    corners: Floats

    @classmethod
    def of(cls, curves: Curves) -> Buffers:
        """Make those that suffice for each curve."""
        most = int(curves.counts.max())
        rows = most + -most % ROWS
        factor = np.zeros((rows // WIDTH + 1, rows, WIDTH))
        return cls(np.empty(rows), factor, np.empty((rows // ROWS, ROWS, ROWS)))


def points_of(curves: Curves) -> Floats:
    """Return times and wavelengths [2, m + some] of all epochs, times counted from the first of each curve.

    From the start of each curve on, whole panels of them are read, beyond its epochs.
    """
    m = len(curves.times)
    made = np.zeros((2, m + ROWS + WIDTH))
    made[0, :m] = curves.times - np.repeat(origins(curves), curves.counts)
    made[1, :m] = curves.wavelengths
    return made


@njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def rows_of(epochs: int) -> int:
    """Return how many rows the factor of a curve has: whole groups of `ROWS`."""
    return epochs + -epochs % ROWS


@njit(nogil=True)  # type: ignore[untyped-decorator]
def fill_kernel(
    times: Floats, wavelengths: Floats, count: int, per_time: float, per_wavelength: float, kernel: Floats
) -> None:
    """Write the upper triangle of K without noise; that of rows that pad is one of unity.

    Args:
        times: Those of `points_of` from the first epoch of a curve on.
        wavelengths: Likewise.
        count: How many epochs it has, at least 1.
        per_time: 3 over the square of the time scale.
        per_wavelength: Likewise.
        kernel: Such as `Buffers.factor`. What lies below the diagonal is any finite number.
    """
    rows = rows_of(count)
    for panel in range(rows // WIDTH + 1):
        start, block = panel * WIDTH, kernel[panel]
        above = min(count, start + WIDTH)
        squared_distances(
            times[:above],
            wavelengths[:above],
            times[start : start + WIDTH],
            wavelengths[start : start + WIDTH],
            per_time,
            per_wavelength,
            block,
        )
        matern(block.reshape(block.size)[: above * WIDTH])
        if start + WIDTH > count:
            for row in range(rows):
                for column in range(WIDTH):
                    if max(row, start + column) >= count:
                        block[row, column] = 1.0 if row == start + column else 0.0


@njit(nogil=True)  # type: ignore[untyped-decorator]
def copy_kernel(kernel: Floats, count: int, target: Floats) -> None:
    """Copy K of a curve of so many epochs, down to the diagonal."""
    rows = rows_of(count)
    for panel in range(rows // WIDTH + 1):
        for row in range(min(rows, panel * WIDTH + WIDTH)):
            for column in range(WIDTH):
                target[panel, row, column] = kernel[panel, row, column]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def factorise(
    values: Floats,
    variances: Floats,
    amplitude: float,
    floor: float,
    noise: Floats,
    factor: Floats,
    corners: Floats,
) -> float:
    """Add noise to K, factorise it, and solve for the values with it: U^T z = values / amplitude.

    Args:
        values: Of the epochs [m], at least one.
        variances: Of their noise [m].
        amplitude: The unit of z.
        floor: Of the noise, in units of the squared amplitude.
        noise: As in `Buffers`.
        factor: K without noise, as in `Buffers`; becomes U and z.
        corners: As in `Buffers`.

    Returns:
        The logarithm of the likelihood.
    """
    count = len(values)
    rows = rows_of(count)
    last, after = rows // WIDTH, rows % WIDTH
    for row in range(rows):
        if row < count:
            noise[row] = max(variances[row] / amplitude / amplitude, floor)
            factor[row // WIDTH, row, row % WIDTH] += noise[row]
            factor[last, row, after] = values[row] / amplitude
        else:
            noise[row] = 1.0  # all that padding varies by
    determinant = 0.0  # its logarithm, of U
    for row in range(0, rows, ROWS):
        own, column, corner = factor[row // WIDTH], row % WIDTH, corners[row // ROWS]
        eliminate(own, row, row, own, column, _UNITY)
        determinant += _factorise_corner(own, row, column, noise, corner)
        eliminate(own, row, 0, own, column, corner)
        for panel in range(row // WIDTH + 1, last + 1):
            eliminate(factor[panel], row, row, own, column, corner)
    squares = 0.0
    for row in range(count):
        squares += factor[last, row, after] ** 2
    return -0.5 * squares - determinant - count * (math.log(amplitude) + _HALF_LN_2_PI)


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _factorise_corner(panel: Floats, row: int, column: int, noise: Floats, corner: Floats) -> float:
    """Factorise the square on the diagonal from which all rows above were eliminated.

    Args:
        panel: That with the square.
        row: Its first.
        column: Its first in the panel.
        noise: As in `Buffers`.
        corner: Becomes its factor, with the diagonal inverted.

    Returns:
        The logarithm of the determinant of the factor.
    """
    determinant = 1.0
    for i in range(ROWS):
        pivot = panel[row + i, column + i]
        for k in range(i):
            pivot -= corner[k, i] ** 2
        # In exact arithmetic no pivot is less than the noise: it is what an epoch varies by, given those
        # before it, and its noise.
        corner[i, i] = 1.0 / math.sqrt(max(pivot, noise[row + i]))
        determinant *= corner[i, i]
        for j in range(i + 1, ROWS):
            rest = panel[row + i, column + j]
            for k in range(i):
                rest -= corner[k, i] * corner[k, j]
            corner[i, j] = rest * corner[i, i]
    return -math.log(determinant)
