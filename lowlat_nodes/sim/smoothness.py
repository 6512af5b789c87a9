# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How smooth a motion is: jerk along a path, and jumps of the commands where one chunk follows another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rms_jerk(path: Floats, step_s: float) -> float:
    """Return the root mean square of the third derivative of a path.

    Args:
        path: float64 [n, dimensions], positions in m at equal steps.
        step_s: Time between them.

    Returns:
        m/s³ by third differences; 0 for fewer than four positions.
    """
    if len(path) < 4:
        return 0.0
    jerk = np.diff(path, n=3, axis=0) / step_s**3
    return float(np.sqrt(np.mean(np.sum(jerk**2, axis=1))))


def boundary_jumps(commands: Floats, swapped: NDArray[np.bool_]) -> Floats:
    """Return by how much the command changes at each tick at which another chunk takes over.

    Args:
        commands: float64 [n, joints], in rad.
        swapped: bool [n], where a chunk took over.

    Returns:
        float64 [swaps], in rad, the Euclidean norm over the joints; a swap at the first tick has none.
    """
    at = np.flatnonzero(swapped[1:]) + 1
    jumps: Floats = np.linalg.norm(commands[at] - commands[at - 1], axis=-1)
    return jumps
