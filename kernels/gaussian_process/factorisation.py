# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Kernel matrices and their Cholesky factors U^T U, compiled by numba, in the panels of `panels`.

Matrices are in units of the squared amplitude.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.panels import ROWS, WIDTH, eliminate
from lowlat_nodes.kernels.gaussian_process.results import Floats

_INVERSE_LN_2 = 1.0 / math.log(2.0)
_LN_2 = math.log(2.0)
_HALF_LN_2_PI = 0.5 * math.log(2.0 * math.pi)
_UNITY = np.eye(ROWS)


@njit(nogil=True, inline="always")  # type: ignore[untyped-decorator]
def padded(epochs: int) -> int:
    """Return how many rows the factor of a curve has: whole groups of `ROWS`."""
    return epochs + -epochs % ROWS


@njit(nogil=True)  # type: ignore[untyped-decorator]
def longest(offsets: NDArray[np.int64]) -> int:
    """Return the most epochs of a curve."""
    most = 0
    for i in range(1, len(offsets)):
        most = max(most, offsets[i] - offsets[i - 1])
    return most


@njit(nogil=True)  # type: ignore[untyped-decorator]
def buffers(most: int) -> tuple[Floats, Floats, Floats, Floats]:
    """Return what curves of at most so many epochs are worked on in: epochs, noise, kernel and corners.

    The epochs are [3, ...]: times, wavelengths and values. The kernel is [panels, rows, WIDTH], with the
    values as the column after its rows.
    """
    rows = padded(most)
    panels = rows // WIDTH + 1
    return (
        np.zeros((3, panels * WIDTH)),
        np.empty(rows),
        np.zeros((panels, rows, WIDTH)),
        np.zeros((rows // ROWS, ROWS, ROWS)),
    )


@njit(nogil=True)  # type: ignore[untyped-decorator]
def take(start: int, count: int, times: Floats, wavelengths: Floats, values: Floats, epochs: Floats) -> None:
    """Write the epochs of one curve to a buffer, times counted from the first of them."""
    for i in range(count):
        epochs[0, i] = times[start + i] - times[start]
        epochs[1, i] = wavelengths[start + i]
        epochs[2, i] = values[start + i]


@njit(nogil=True)  # type: ignore[untyped-decorator]
def relative_noise(
    start: int, count: int, variances: Floats, amplitude: float, floor: float, noise: Floats
) -> None:
    """Write the noise of one curve in units of the squared amplitude, at least the floor."""
    for i in range(count):
        noise[i] = max(variances[start + i] / amplitude / amplitude, floor)


@njit(nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def matern(squares: Floats) -> None:
    """Replace squared distances, one after another, by the Matern 3/2 function, right to some 1e-15.

    The exponential is 2 to a whole number, made from its bits, times a Taylor polynomial of the rest: unlike
    a call of the mathematical library that is a loop for vector registers.
    """
    for i in range(squares.size):
        distance = math.sqrt(squares[i])
        power = max(-distance * _INVERSE_LN_2, -1000.0)
        whole = math.floor(power + 0.5)
        x = (power - whole) * _LN_2
        # Written out, as numba keeps no tuple in registers; 1 / n! with n from 12 down.
        y = x * 2.08767569878681e-09 + 2.505210838544172e-08
        y = y * x + 2.755731922398589e-07
        y = y * x + 2.7557319223985893e-06
        y = y * x + 2.48015873015873e-05
        y = y * x + 0.0001984126984126984
        y = y * x + 0.001388888888888889
        y = y * x + 0.008333333333333333
        y = y * x + 0.041666666666666664
        y = y * x + 0.16666666666666666
        y = y * x + 0.5
        y = y * x + 1.0
        y = y * x + 1.0
        two_to_whole = np.int64((np.int64(whole) + np.int64(1023)) << np.int64(52)).view(np.float64)
        squares[i] = (1.0 + distance) * y * two_to_whole


@njit(nogil=True, fastmath=True)  # type: ignore[untyped-decorator]
def fill_kernel(epochs: Floats, count: int, per_time: float, per_wavelength: float, kernel: Floats) -> None:
    """Write the upper triangle of the kernel matrix; that of rows that pad is one of unity.

    Args:
        epochs: A buffer of `buffers`, with the epochs of a curve.
        count: How many they are, at least 1.
        per_time: 3 over the square of the time scale.
        per_wavelength: Likewise.
        kernel: A buffer. What lies below the diagonal is any finite number.
    """
    rows = padded(count)
    for panel in range(rows // WIDTH + 1):
        block, start = kernel[panel], panel * WIDTH
        above = min(count, start + WIDTH)
        for row in range(above):
            for column in range(WIDTH):
                time = epochs[0, row] - epochs[0, start + column]
                wavelength = epochs[1, row] - epochs[1, start + column]
                block[row, column] = per_time * time * time + per_wavelength * wavelength * wavelength
        matern(block[:above].reshape(above * WIDTH))
        if start + WIDTH > count:
            for row in range(rows):
                for column in range(WIDTH):
                    if max(row, start + column) >= count:
                        block[row, column] = 1.0 if row == start + column else 0.0


@njit(nogil=True)  # type: ignore[untyped-decorator]
def _factorise_corner(panel: Floats, row: int, column: int, noise: Floats, corner: Floats) -> float:
    """Factorise the square on the diagonal from which all rows above were eliminated.

    Args:
        panel: That with the square.
        row: Its first.
        column: Its first in the panel.
        noise: [rows].
        corner: Becomes its factor, with the diagonal inverted.

    Returns:
        The logarithm of the determinant of the factor.
    """
    determinant = 0.0
    for i in range(ROWS):
        pivot = panel[row + i, column + i]
        for k in range(i):
            pivot -= corner[k, i] ** 2
        # In exact arithmetic no pivot is less than the noise: it is what an epoch varies by, given those
        # before it, and its noise.
        corner[i, i] = 1.0 / math.sqrt(max(pivot, noise[row + i]))
        determinant -= math.log(corner[i, i])
        for j in range(i + 1, ROWS):
            rest = panel[row + i, column + j]
            for k in range(i):
                rest -= corner[k, i] * corner[k, j]
            corner[i, j] = rest * corner[i, i]
    return determinant


@njit(nogil=True)  # type: ignore[untyped-decorator]
def factorise(
    kernel: Floats,
    noise: Floats,
    values: Floats,
    count: int,
    amplitude: float,
    factor: Floats,
    corners: Floats,
) -> float:
    """Factorise the kernel matrix with noise, and solve for the values with it: U^T z = values / amplitude.

    Args:
        kernel: That of `fill_kernel`; may be `factor`.
        noise: A buffer with variances [count], in units of the squared amplitude.
        values: [count].
        count: The epochs of the curve, at least 1.
        amplitude: The unit of z.
        factor: U, a buffer like `kernel`; z becomes the column after its rows.
        corners: A buffer; becomes the triangles on the diagonal of U as `eliminate` takes them.

    Returns:
        The logarithm of the likelihood.
    """
    rows = padded(count)
    for row in range(count, rows):
        noise[row] = 1.0  # of what pads, and all that it varies by
    last, after = rows // WIDTH, rows % WIDTH
    for panel in range(last + 1):
        for row in range(min(rows, panel * WIDTH + WIDTH)):
            for column in range(WIDTH):
                factor[panel, row, column] = kernel[panel, row, column]
    for row in range(count):
        factor[row // WIDTH, row, row % WIDTH] += noise[row]
        factor[last, row, after] = values[row] / amplitude
    determinant = 0.0  # the logarithm of that of U
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
