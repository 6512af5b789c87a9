# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Geometry of the planar three-joint arm: forward kinematics and one canonical inverse."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

JOINT_NAMES: Final = ("shoulder", "elbow", "wrist")
LINK_LENGTHS_M: Final = (0.28, 0.24, 0.14)
# The arm has one joint more than a point on a table needs. The wrist follows the elbow at this ratio, as in a
# finger, so that every reachable point has exactly one posture and a demonstrator never has to choose.
WRIST_PER_ELBOW: Final = 0.5
ELBOW_RANGE_RAD: Final = (0.15, 2.2)


def forward(q: ArrayLike) -> NDArray[np.float64]:
    """Positions of base, elbow, wrist and fingertip in the table frame.

    `q` is [..., 3] in rad; the result is [..., 4, 2] in m, x to the right and y away from the base.
    """
    angles = np.cumsum(np.asarray(q, dtype=np.float64), axis=-1)
    links = np.stack([np.cos(angles), np.sin(angles)], axis=-1) * np.asarray(LINK_LENGTHS_M)[:, None]
    base = np.zeros((*links.shape[:-2], 1, 2))
    return np.concatenate([base, np.cumsum(links, axis=-2)], axis=-2)


def fingertip(q: NDArray[np.float64]) -> tuple[float, float]:
    """Position of the fingertip in m for one posture [3] in rad, by `forward` up to rounding, and faster."""
    angle = x = y = 0.0
    for joint, length in zip(q.tolist(), LINK_LENGTHS_M, strict=True):
        angle += joint
        x += length * math.cos(angle)
        y += length * math.sin(angle)
    return x, y


def _bend_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    elbow = np.linspace(*ELBOW_RANGE_RAD, 2048)
    posture = np.stack([np.zeros_like(elbow), elbow, WRIST_PER_ELBOW * elbow], axis=-1)
    radius = np.linalg.norm(forward(posture)[..., -1, :], axis=-1)
    return radius[::-1].copy(), elbow[::-1].copy()


_RADIUS_M, _ELBOW_RAD = _bend_table()
REACH_M: Final = (float(_RADIUS_M[0]), float(_RADIUS_M[-1]))


def inverse(point: ArrayLike) -> NDArray[np.float64]:
    """Joint angles of the canonical posture that puts the fingertip on a point.

    `point` is [..., 2] in m in the table frame; the result is [..., 3] in rad.  Raises ValueError for a point
    outside the annulus `REACH_M`.
    """
    xy = np.asarray(point, dtype=np.float64)
    radius = np.linalg.norm(xy, axis=-1)
    if np.any(radius < REACH_M[0]) or np.any(radius > REACH_M[1]):
        raise ValueError(
            f"expected points {REACH_M[0]:.3f} to {REACH_M[1]:.3f} m from the base, got {radius} m"
        )
    elbow = np.interp(radius, _RADIUS_M, _ELBOW_RAD)
    posture = np.stack([np.zeros_like(elbow), elbow, WRIST_PER_ELBOW * elbow], axis=-1)
    tip = forward(posture)[..., -1, :]
    posture[..., 0] = np.arctan2(xy[..., 1], xy[..., 0]) - np.arctan2(tip[..., 1], tip[..., 0])
    return posture
