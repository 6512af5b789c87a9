# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The eight classes of shapes, as polygons."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

Polygon = NDArray[np.float64]
"""Corners, float64 [n, 2]."""

Contours = tuple[Polygon, ...]
"""The border of a shape, then those of its holes."""

_BLUNT: Final = 0.15  # rad


def _polar(radius: float | NDArray[np.float64], corners: int) -> Polygon:
    """Return corners at equal angles and at a radius, or one each."""
    angle = np.arange(corners) * (2.0 * math.pi / corners)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _circle(radius: float = 1.0) -> Polygon:
    return _polar(radius, 72)


def _star(points: int, inner: float) -> Polygon:
    return _polar(np.tile([1.0, inner], points), 2 * points)


def _crescent(offset: float, radius: float) -> Polygon:
    """Return a unit disc without a smaller disc, `offset` to the right, its horns cut off.

    The tip of a horn is too thin to be seen, and a box that reaches to it would be too large.
    """
    x = (1.0 - radius**2 + offset**2) / (2.0 * offset)
    outer, inner = math.acos(x), math.atan2(math.sqrt(1.0 - x**2), x - offset)
    rim = np.linspace(outer + _BLUNT, 2.0 * math.pi - outer - _BLUNT, 48)
    bite = np.linspace(2.0 * math.pi - inner - _BLUNT, inner + _BLUNT, 32)
    return np.concatenate(
        [
            np.stack([np.cos(rim), np.sin(rim)], axis=1),
            np.stack([offset + radius * np.cos(bite), radius * np.sin(bite)], axis=1),
        ]
    )


def _corners(*corners: tuple[float, float]) -> Polygon:
    return np.array(corners, dtype=np.float64)


def _cross(arm: float) -> Polygon:
    quarter = np.array([(arm, -1.0), (arm, -arm), (1.0, -arm)])
    turn = np.array([(0.0, 1.0), (-1.0, 0.0)])
    return np.concatenate([quarter @ np.linalg.matrix_power(turn, n) for n in range(4)])


OUTLINES: Final[dict[str, Contours]] = {
    "disc": (_circle(),),
    "ring": (_circle(), _circle(0.52)),
    "square": (_corners((-1, -1), (1, -1), (1, 1), (-1, 1)),),
    "triangle": (_star(3, 0.5),),
    "cross": (_cross(0.33),),
    "star": (_star(5, 0.4),),
    "crescent": (_crescent(0.5, 0.75),),
    "bar": (_corners((-1, -0.33), (1, -0.33), (1, 0.33), (-1, 0.33)),),
}
"""Name of a class: its polygons, about 2 wide; y points down.

Chosen to be told apart at 8 px, where a hexagon is a disc and an arrow is a triangle.
"""

NAMES: Final = tuple(OUTLINES)


def area(polygon: Polygon) -> float:
    """Return the area within a polygon that does not cross itself."""
    x, y = polygon.T
    return 0.5 * abs(float(x[:-1] @ y[1:] - x[1:] @ y[:-1] + x[-1] * y[0] - x[0] * y[-1]))


def blob(rng: np.random.Generator) -> Polygon:
    """Return a smooth irregular outline, about 2 wide: no class of ours."""
    angle = np.arange(48) * (2.0 * math.pi / 48)
    radius = np.ones(48)
    for waves in (2, 3, 5):
        radius += rng.uniform(0.05, 0.5 / waves) * np.cos(waves * angle + rng.uniform(0.0, 2.0 * math.pi))
    return _polar(radius, 48)
