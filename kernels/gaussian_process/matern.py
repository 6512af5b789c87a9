# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The kernel between points of light curves, compiled by numba to loops that fill vector registers."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from lowlat_nodes.kernels.gaussian_process.results import Floats

_INVERSE_LN_2 = 1.0 / math.log(2.0)
_LN_2 = math.log(2.0)
_FARTHEST = 690.0  # exp(-690) is nearly the smallest number
_ROUNDING = 1.5 * 2.0**52  # what is added to this is rounded to a whole number
_EXPONENT, _BIAS = np.int64(52), np.int64(1023)  # of float64: where it lies, and what stands for 0

# All numbers are finite, but a sum may not be taken in another order: that would undo the rounding.
_FAST = {"contract", "nnan", "ninf", "nsz", "arcp"}


@njit(nogil=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def squared_distances(
    times: Floats,
    wavelengths: Floats,
    query_times: Floats,
    query_wavelengths: Floats,
    per_time: float,
    per_wavelength: float,
    panel: Floats,
) -> None:
    """Write the squares of distances between m points and q queries.

    Args:
        times: [m].
        wavelengths: [m].
        query_times: [q].
        query_wavelengths: [q].
        per_time: What the square of a difference in time is multiplied by.
        per_wavelength: Likewise.
        panel: The result, [at least m, q].
    """
    for row in range(len(times)):
        time, wavelength, squares = times[row], wavelengths[row], panel[row]
        for i in range(len(query_times)):
            apart, across = time - query_times[i], wavelength - query_wavelengths[i]
            squares[i] = per_time * apart * apart + per_wavelength * across * across


@njit(nogil=True, fastmath=_FAST)  # type: ignore[untyped-decorator]
def matern(squares: Floats) -> None:
    """Replace squared distances d^2, one after another, by (1 + d) exp(-d), right to some 1e-14.

    The exponential is 2 to a whole number, made from its bits, times a Taylor polynomial of the rest: unlike
    a call of the mathematical library, a loop of that fills vector registers.
    """
    for i in range(squares.size):
        distance = min(math.sqrt(squares[i]), _FARTHEST)
        power = -distance * _INVERSE_LN_2
        rounded = np.float64(power + _ROUNDING)
        x = (power - (rounded - _ROUNDING)) * _LN_2
        x2 = x * x
        # 1 / n! for n up to 11, in pairs, so that products need not wait for each other.
        y = (1.0 + x) + (0.5 + 0.16666666666666666 * x) * x2
        y4 = (0.041666666666666664 + 0.008333333333333333 * x) + (
            0.001388888888888889 + 0.0001984126984126984 * x
        ) * x2
        y8 = (2.48015873015873e-05 + 2.7557319223985893e-06 * x) + (
            2.755731922398589e-07 + 2.505210838544172e-08 * x
        ) * x2
        x4 = x2 * x2
        power_of_2 = np.int64((rounded.view(np.int64) + _BIAS) << _EXPONENT).view(np.float64)
        squares[i] = (1.0 + distance) * (y + x4 * (y4 + x4 * y8)) * power_of_2
