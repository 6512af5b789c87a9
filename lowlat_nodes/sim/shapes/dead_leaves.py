# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images with the edges of natural scenes and no shape that has a name, to put behind those that have one.

The dead leaves model (Lee, Mumford and Huang, Occlusion models for natural images, IJCV 2001): things of all
sizes, their number falling with the cube of the size, that hide each other.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.outlines import blob

Pixels = NDArray[np.uint8]
"""An image, uint8 [height, width, 3], rgb."""

_SMALLEST_PX: Final = 40.0  # still not a disc when it is shown at half the size
_LARGEST_PX: Final = 400.0
_LEAVES: Final = 600
_OCTAVES: Final = 6


def dead_leaves(count: int, seed: int, side_px: int = 512) -> list[Pixels]:
    """Return `count` square images, uint8 [side, side, 3], each in colours of its own."""
    return [_image(np.random.default_rng([seed, number]), side_px) for number in range(count)]


def _image(rng: np.random.Generator, side_px: int) -> Pixels:
    palette = rng.uniform(50.0, 200.0) + rng.normal(0.0, 30.0, (5, 3))
    image = np.empty((side_px, side_px, 3), np.uint8)
    image[:] = palette[0].clip(0, 255)
    for _ in range(_LEAVES):
        # Of a density of 1 / size^3 between the smallest and the largest.
        low, high = _LARGEST_PX**-2, _SMALLEST_PX**-2
        size = (low + rng.random() * (high - low)) ** -0.5
        leaf = blob(rng) * (0.5 * size * rng.uniform(0.4, 1.0, 2))
        angle = rng.uniform(0.0, 2.0 * math.pi)
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        corners = np.rint((leaf @ turn + rng.uniform(0.0, side_px, 2)) * 16.0).astype(np.int32)
        colour = palette[rng.integers(len(palette))] + rng.normal(0.0, 18.0, 3)
        cv2.fillPoly(image, [corners], colour.clip(0, 255).tolist(), cv2.LINE_AA, 4)
    light = 1.0 + 0.12 * _clouds(rng, side_px)
    return np.rint(image * light[:, :, None]).clip(0, 255).astype(np.uint8)


def _clouds(rng: np.random.Generator, side_px: int) -> NDArray[np.float64]:
    """Return noise as strong in each octave of size, [side, side], of unit variance."""
    clouds = np.zeros((side_px, side_px))
    for octave in range(1, _OCTAVES + 1):
        coarse = rng.standard_normal((2 << octave, 2 << octave))
        clouds += cv2.resize(coarse, (side_px, side_px), interpolation=cv2.INTER_CUBIC)
    scaled: NDArray[np.float64] = clouds / clouds.std()
    return scaled
