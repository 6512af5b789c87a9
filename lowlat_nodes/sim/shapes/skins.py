# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What shapes are painted with: one colour, gradients and textures, apart from what is behind them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Pixels

Colours = NDArray[np.float64]
"""Colours, float64 [n, 3], rgb, 0 to 255."""

_SIDE: Final = 512
_TRIES: Final = 16


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """What a shape is painted with.

    Attributes:
        colour: Its mean, float64 [3], rgb.
        other: The colour that it is mixed with, float64 [3].
        pattern: Which of the textures mixes them; -1: none, -2: a gradient.
        corners: uint8 [2, 2], the gradient.
        offset: Where in the texture it begins, row and column.
        border: Colour of the outline; None without one.
        border_share: Width of the outline as a share of the shape's size.
    """

    colour: NDArray[np.float64]
    other: NDArray[np.float64]
    pattern: int
    corners: Pixels
    offset: tuple[int, int]
    border: tuple[int, int, int] | None
    border_share: float

    @staticmethod
    def draw(rng: np.random.Generator, behind: Colours, contrast: float) -> Skin:
        """Choose one of a colour at least `contrast` from all that is behind, or else as far as can be."""
        colour = _apart(rng, behind, contrast)
        kind = rng.random()
        other = np.clip(colour + rng.uniform(-80.0, 80.0, 3), 0.0, 255.0)
        pattern = -1 if kind < 0.4 else -2 if kind < 0.65 else int(rng.integers(len(textures())))
        border = None
        if rng.random() < 0.35:
            red, green, blue = _apart(rng, np.vstack([behind, colour]), contrast)
            border = (int(red), int(green), int(blue))
        return Skin(
            colour,
            other,
            pattern,
            rng.integers(0, 256, (2, 2), dtype=np.uint8),
            (int(rng.integers(_SIDE)), int(rng.integers(_SIDE))),
            border,
            float(rng.uniform(0.04, 0.1)),
        )

    def paint(self, side: int) -> Pixels:
        """Return a square of it, uint8 [side, side, 3]."""
        if self.pattern == -1:
            return np.full((side, side, 3), np.rint(self.colour), np.uint8)
        mix: Pixels
        if self.pattern == -2:
            mix = cv2.resize(self.corners, (side, side), interpolation=cv2.INTER_LINEAR)
        else:
            rows, columns = ((np.arange(side) + start) % _SIDE for start in self.offset)
            mix = textures()[self.pattern][np.ix_(rows, columns)]
        half = 0.5 * (self.other - self.colour)
        ramp = np.linspace(-1.0, 1.0, 256)[:, None] * half + self.colour
        table = np.rint(ramp).clip(0, 255).astype(np.uint8)
        return table[mix]


def _apart(rng: np.random.Generator, behind: Colours, contrast: float) -> NDArray[np.float64]:
    """Return a colour `contrast` away from all of `behind`, or the one of a few that is furthest."""
    candidates = rng.uniform(0.0, 255.0, (_TRIES, 3))
    distance = np.linalg.norm(candidates[:, None] - behind[None], axis=2).min(axis=1, initial=1e3)
    enough = np.flatnonzero(distance >= contrast)
    chosen = enough[0] if enough.size else distance.argmax()
    colour: NDArray[np.float64] = candidates[chosen]
    return colour


@cache
def textures() -> Pixels:
    """Return textures that repeat, uint8 [8, 512, 512]: stripes, checks, dots and clouds, coarse and fine."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:_SIDE, 0:_SIDE] * (2.0 * np.pi / _SIDE)
    waves = [
        np.sin(32 * rows),
        np.sin(48 * columns + 48 * rows),
        np.sign(np.sin(24 * rows) * np.sin(24 * columns)),
        np.sign(np.sin(64 * columns)),
        (np.sin(40 * rows) + np.sin(40 * columns) > 1.0) * 2.0 - 1.0,
    ]
    for sigma in (1.5, 4.0, 10.0):
        cloud = cv2.GaussianBlur(
            np.tile(rng.standard_normal((_SIDE, _SIDE)).astype(np.float32), (3, 3)), (0, 0), sigma
        )[_SIDE : 2 * _SIDE, _SIDE : 2 * _SIDE]
        waves.append(np.clip(cloud / (2.0 * cloud.std()), -1.0, 1.0))
    return np.rint(127.5 * (np.stack(waves) + 1.0)).astype(np.uint8)
