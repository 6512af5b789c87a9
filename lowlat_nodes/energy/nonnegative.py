# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Least squares with solutions that are not negative, from sums of products."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_SLACK = 1e-12


def nonnegative(gram: NDArray[np.float64], moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the x >= 0 that minimises `x @ gram @ x / 2 - moment @ x`.

    With `gram = A.T @ A` and `moment = A.T @ b` that is the least-squares solution of `A @ x = b`. The active
    set method of Lawson and Hanson, "Solving Least Squares Problems", 1974, chapter 23, which begins with all
    unknowns free: where no constraint binds, it is one solution of the equations.

    Args:
        gram: float64 [n, n], symmetric, positive definite, its diagonal about 1.
        moment: float64 [n].

    Returns:
        float64 [n].

    Raises:
        numpy.linalg.LinAlgError: If the matrix is singular.
    """
    count = len(moment)
    found = np.zeros(count)
    free = np.ones(count, bool)
    tolerance = _SLACK * max(1.0, float(np.abs(moment).max(initial=0.0)))
    for _ in range(3 * count + 1):  # each turn lowers the objective; more turns than that are rounding
        found = _descend(gram, moment, found, free)
        slope = moment - gram @ found
        slope[free] = 0.0
        steepest = int(np.argmax(slope)) if count else 0
        if not count or slope[steepest] <= tolerance:
            break
        free[steepest] = True
    return found


def _descend(
    gram: NDArray[np.float64],
    moment: NDArray[np.float64],
    found: NDArray[np.float64],
    free: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Go to the minimum over the free unknowns, and bind those that would turn negative on the way."""
    while free.any():
        index = np.flatnonzero(free)
        aim = np.zeros_like(found)
        aim[index] = np.linalg.solve(gram[np.ix_(index, index)], moment[index])
        falling = index[aim[index] <= 0.0]
        if not len(falling):
            return aim
        drop = found[falling] - aim[falling]
        steps = np.divide(found[falling], drop, out=np.zeros(len(falling)), where=drop > 0.0)
        step = float(steps.min())
        found = np.maximum(found + step * (aim - found), 0.0)
        bound = falling[steps <= step]
        found[bound] = 0.0
        free[bound] = False
    return np.zeros_like(found)
