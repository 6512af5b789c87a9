# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What things are painted with: one colour, gradients, textures, or a piece of a photograph."""

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

_TEXTURE_PX: Final = 512
_CANDIDATES: Final = 16
_PLAIN: Final = 0.4  # share of shapes in one colour
_GRADIENT: Final = 0.25
_BORDERED: Final = 0.35
_SPREAD: Final = 40.0  # by how much a channel of a gradient or texture may differ from its mean


@dataclass(frozen=True, slots=True, eq=False)
class Skin:
    """What a thing is painted with.

    Attributes:
        pixels: uint8 [side, side, 3], around its centre.
        colour: Their mean, float64 [3].
        border: Colour of the outline; None without one.
        border_px: Width of the line, of which half lies within the shape.
    """

    pixels: Pixels
    colour: NDArray[np.float64]
    border: tuple[float, float, float] | None = None
    border_px: int = 1

    @staticmethod
    def draw(rng: np.random.Generator, side: int, size_px: float, behind: Colours, contrast: float) -> Skin:
        """Make one up whose colour is at least `contrast` from all that is behind, or as far as can be."""
        colour = _apart(rng, behind, contrast)
        border = None
        if rng.random() < _BORDERED:
            red, green, blue = _apart(rng, np.vstack([behind, colour]), contrast).tolist()
            border = (red, green, blue)
        border_px = max(1, round(rng.uniform(0.08, 0.2) * size_px))
        return Skin(_paint(rng, side, colour), colour, border, border_px)

    @staticmethod
    def of(pixels: Pixels) -> Skin:
        """Paint with an image, uint8 [side, side, 3]."""
        return Skin(pixels, np.array(cv2.mean(pixels)[:3]))


def _paint(rng: np.random.Generator, side: int, colour: NDArray[np.float64]) -> Pixels:
    """Return a square around a colour, uint8 [side, side, 3]."""
    kind = rng.random()
    if kind < _PLAIN:
        return np.full((side, side, 3), np.rint(colour), np.uint8)
    if kind < _PLAIN + _GRADIENT:
        corners = rng.integers(0, 256, (2, 2), dtype=np.uint8)
        mix = cv2.resize(corners, (side, side), interpolation=cv2.INTER_LINEAR)
    else:
        texture = textures()[int(rng.integers(len(textures())))]
        rows, columns = (np.arange(side) + start for start in rng.integers(_TEXTURE_PX, size=2))
        mix = texture[np.ix_(rows % _TEXTURE_PX, columns % _TEXTURE_PX)]
    ramp = colour + np.linspace(-1.0, 1.0, 256)[:, None] * rng.uniform(-_SPREAD, _SPREAD, 3)
    table = np.rint(ramp).clip(0, 255).astype(np.uint8)
    return cv2.LUT(cv2.merge((mix, mix, mix)), table[:, None])


def _apart(rng: np.random.Generator, behind: Colours, contrast: float) -> NDArray[np.float64]:
    """Return a colour `contrast` away from all of `behind`, or the one of a few that is furthest."""
    candidates = rng.uniform(0.0, 255.0, (_CANDIDATES, 3))
    difference = candidates[:, None] - behind
    distance = np.einsum("nkc,nkc->nk", difference, difference).min(axis=1)
    enough = distance >= contrast**2
    colour: NDArray[np.float64] = candidates[enough.argmax() if enough.any() else distance.argmax()]
    return colour


@cache
def textures() -> Pixels:
    """Return textures that repeat, uint8 [8, 512, 512]: stripes, checks, dots and clouds, coarse and fine."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[0:_TEXTURE_PX, 0:_TEXTURE_PX] * (2.0 * np.pi / _TEXTURE_PX)
    waves = [
        np.sin(32 * rows),
        np.sin(48 * columns + 48 * rows),
        np.sign(np.sin(24 * rows) * np.sin(24 * columns)),
        np.sign(np.sin(64 * columns)),
        np.where(np.sin(40 * rows) + np.sin(40 * columns) > 1.0, 1.0, -1.0),
    ]
    for sigma_px in (1.5, 4.0, 10.0):
        seeds = rng.standard_normal((_TEXTURE_PX, _TEXTURE_PX))
        edge = int(4 * sigma_px)
        padded = cv2.copyMakeBorder(seeds, edge, edge, edge, edge, cv2.BORDER_WRAP)
        cloud = cv2.GaussianBlur(padded, (0, 0), sigma_px)[edge:-edge, edge:-edge]
        waves.append(np.clip(cloud / (2.0 * cloud.std()), -1.0, 1.0))
    return np.rint(127.5 * (np.stack(waves) + 1.0)).astype(np.uint8)
