# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A photograph behind the shapes, seen by a camera that pans over it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lowlat_nodes.sim.shapes.config import ShapesConfig
from lowlat_nodes.stream.errors import ConfigurationError

Pixels = NDArray[Any]
"""An image, uint8 [height, width, 3], rgb."""

_COARSE: Final = 8  # px of a view per px of the copy that colours are looked up in
_LEVELS: Final = 4
_SAME: Final = 0.6  # share of the patches that are of the photograph behind them

Pair = tuple[float, ...]
"""x and y."""


class Photograph:
    """A photograph and smaller copies of it.

    Args:
        pixels: uint8 [height, width, 3], rgb, at least 16 px a side.

    Attributes:
        levels: The photograph, and copies of which each is half as wide and high as the one before.

    Raises ConfigurationError for anything else.
    """

    def __init__(self, pixels: Pixels) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < 16:
            raise ConfigurationError(
                f"expected a photograph as uint8 [height, width, 3], at least 16 px a side, "
                f"got {pixels.dtype} {list(pixels.shape)}"
            )
        self.levels: list[Pixels] = [np.ascontiguousarray(pixels)]
        while len(self.levels) < _LEVELS and min(self.levels[-1].shape[:2]) >= 64:
            height, width = self.levels[-1].shape[:2]
            half = cv2.resize(self.levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self.levels.append(half)

    def level(self, zoom: float) -> int:
        """Return which of the copies to show at `zoom` px of the photograph per px of the frame."""
        return min(max(0, int(math.log2(max(zoom, 1.0)) + 0.4)), len(self.levels) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What of a photograph the camera sees, over time.

    Attributes:
        photograph: The photograph.
        zoom: Px of the photograph per px of the frame.
        colours_by: float32 [3, 3], the rgb of the photograph times this are the rgb of the frame; None to
            leave it as it is.
        width_px: Of the frame.
        height_px: Of the frame.
        canvas: uint8 [rows, columns, 3], all that comes into view, in px of the frame.
        coarse: A small copy of it.
        sway_px: How far the pan goes to either side, x and y; nothing if the camera stands still.
        phase: Of the pan, x and y, rad.
        rate_rad_s: Of the pan, x and y.
    """

    photograph: Photograph
    zoom: float
    colours_by: NDArray[np.float32] | None
    width_px: int
    height_px: int
    canvas: Pixels
    coarse: Pixels
    sway_px: Pair
    phase: Pair
    rate_rad_s: Pair

    @staticmethod
    def draw(
        photographs: Sequence[Photograph], config: ShapesConfig, rng: np.random.Generator, *, moving: bool
    ) -> View:
        """Choose a photograph, a part of it and a pan."""
        photograph = photographs[int(rng.integers(len(photographs)))]
        zoom = math.exp(rng.uniform(*np.log(config.zoom))) / config.scale
        colours_by = _recolouring(rng) if config.recolour else None
        sides = (config.width_px, config.height_px)
        sway = tuple(rng.uniform(0.05, 0.25) * side if moving else 0.0 for side in sides)
        rate = tuple(
            rng.uniform(0.1, 1.0) * config.pan_px_s * config.scale / way if way else 0.0 for way in sway
        )
        canvas = _part(
            photograph,
            zoom,
            tuple(side + 2 * math.ceil(way) for side, way in zip(sides, sway, strict=True)),
            rng,
        )
        if colours_by is not None:
            canvas = cv2.transform(canvas, colours_by)
        size = tuple(math.ceil(side / _COARSE) for side in canvas.shape[1::-1])
        return View(
            photograph,
            zoom,
            colours_by,
            config.width_px,
            config.height_px,
            canvas,
            cv2.resize(canvas, size, interpolation=cv2.INTER_AREA),
            sway,
            tuple(rng.uniform(0.0, 2.0 * math.pi, 2).tolist()),
            rate,
        )

    def _corner(self, time_s: float) -> Pair:
        """Return where on the canvas the upper left corner of the frame is, x and y."""
        x, y = (
            0.5 * (whole - side) + way * math.sin(phase + rate * time_s)
            for whole, side, way, phase, rate in zip(
                self.canvas.shape[1::-1],
                (self.width_px, self.height_px),
                self.sway_px,
                self.phase,
                self.rate_rad_s,
                strict=True,
            )
        )
        return x, y

    def render(self, time_s: float) -> Pixels:
        """Return the background of a frame, uint8 [height, width, 3]."""
        if self.sway_px == (0.0, 0.0):
            still: Pixels = self.canvas.copy()
            return still
        x, y = self._corner(time_s)
        middle = (x + 0.5 * (self.width_px - 1), y + 0.5 * (self.height_px - 1))
        return cv2.getRectSubPix(self.canvas, (self.width_px, self.height_px), middle)

    def colours(self, points: ArrayLike, time_s: float) -> NDArray[np.float64]:
        """Return the colour around points [n, 2] in px of the frame: [n, 3], 0 to 255."""
        places = (np.asarray(points, dtype=np.float64) + self._corner(time_s)) / _COARSE
        height, width = self.coarse.shape[:2]
        columns, rows = places.astype(np.int64).T
        found = self.coarse[rows.clip(0, height - 1), columns.clip(0, width - 1)]
        return np.asarray(found, dtype=np.float64)

    def piece(self, photographs: Sequence[Photograph], side: int, rng: np.random.Generator) -> Pixels:
        """Return a square of the same photograph or of another, uint8 [side, side, 3], as large as life."""
        other = photographs[int(rng.integers(len(photographs)))]
        source = self.photograph if rng.random() < _SAME else other
        pixels = _part(source, self.zoom, (side, side), rng)
        return pixels if self.colours_by is None else cv2.transform(pixels, self.colours_by)


def _part(photograph: Photograph, zoom: float, size: tuple[int, ...], rng: np.random.Generator) -> Pixels:
    """Return some part of a photograph, of a size (width, height) in px of the frame, or its mirror image.

    Where the photograph ends before the frame does it is mirrored.
    """
    level = photograph.level(zoom)
    pixels = photograph.levels[level]
    bounds, beyond = [], []
    for length, side in zip(pixels.shape[1::-1], size, strict=True):
        span = max(2, round(side * zoom / (1 << level)))
        start = int(rng.integers(max(0, length - span) + 1))
        bounds.append(slice(start, start + span))
        short = max(0, span - length)
        beyond.append((short // 2, short - short // 2))
    part = pixels[bounds[1], bounds[0]]
    if beyond != [(0, 0), (0, 0)]:
        part = cv2.copyMakeBorder(part, *beyond[1], *beyond[0], cv2.BORDER_REFLECT)
    part = cv2.resize(part, size, interpolation=cv2.INTER_LINEAR)
    return cv2.flip(part, 1) if rng.random() < 0.5 else part


def _recolouring(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a matrix [3, 3] that swaps the channels and takes some of the colour away."""
    colour = rng.uniform(0.2, 1.0)
    return (colour * rng.permutation(np.eye(3)) + (1.0 - colour) / 3.0).astype(np.float32)
