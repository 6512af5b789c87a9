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

_COARSE: Final = 8  # px of a photograph per px of the copy that colours are looked up in


class Photograph:
    """A photograph and smaller copies of it.

    Args:
        pixels: uint8 [height, width, 3], rgb, at least 16 px a side.

    Raises ConfigurationError for anything else.
    """

    def __init__(self, pixels: Pixels) -> None:
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or min(pixels.shape[:2]) < 16:
            raise ConfigurationError(
                f"expected a photograph as uint8 [height, width, 3], at least 16 px a side, "
                f"got {pixels.dtype} {list(pixels.shape)}"
            )
        self.levels: list[Pixels] = [np.ascontiguousarray(pixels)]
        while len(self.levels) < 4 and min(self.levels[-1].shape[:2]) >= 64:
            height, width = self.levels[-1].shape[:2]
            half = cv2.resize(self.levels[-1], (width // 2, height // 2), interpolation=cv2.INTER_AREA)
            self.levels.append(half)
        self.height, self.width = pixels.shape[:2]
        size = (max(1, self.width // _COARSE), max(1, self.height // _COARSE))
        self.coarse: Pixels = cv2.resize(self.levels[0], size, interpolation=cv2.INTER_AREA)

    def level(self, zoom: float) -> int:
        """Return which of the copies to show at `zoom` px of the photograph per px of the frame."""
        return min(max(0, int(math.log2(max(zoom, 1.0)) + 0.4)), len(self.levels) - 1)


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What of a photograph the camera sees, over time.

    Attributes:
        photograph: The photograph; beyond its edges it is mirrored.
        zoom: Px of the photograph per px of the frame.
        mirrored: Whether left and right are swapped.
        centre_px: Where in the photograph the middle of the frame is on average, x and y.
        sway_px: How far the pan goes to either side, x and y, px of the photograph.
        phase: Of the pan, x and y, rad.
        rate_rad_s: Of the pan, x and y.
        colours_by: float32 [3, 3], the rgb of the photograph times this are the rgb of the frame; None to
            leave it as it is.
    """

    photograph: Photograph
    zoom: float
    mirrored: bool
    centre_px: tuple[float, float]
    sway_px: tuple[float, float]
    phase: tuple[float, float]
    rate_rad_s: tuple[float, float]
    colours_by: NDArray[np.float32] | None

    @staticmethod
    def draw(photographs: Sequence[Photograph], config: ShapesConfig, rng: np.random.Generator) -> View:
        """Choose a photograph, a part of it and a pan."""
        photograph = photographs[int(rng.integers(len(photographs)))]
        zoom = float(np.exp(rng.uniform(*np.log(config.zoom)))) / config.scale
        mirrored = bool(rng.random() < 0.5)
        centre, sway, phase, rate = [], [], [], []
        frame = (config.width_px, config.height_px)
        for length, side in zip((photograph.width, photograph.height), frame, strict=True):
            free = max(0.0, length - side * zoom)
            centre.append(0.5 * length + rng.uniform(-0.5, 0.5) * free)
            sway.append(rng.uniform(0.05, 0.25) * side * zoom)
            phase.append(rng.uniform(0.0, 2.0 * math.pi))
            rate.append(rng.uniform(0.1, 1.0) * config.pan_px_s * config.scale * zoom / sway[-1])
        return View(
            photograph,
            zoom,
            mirrored,
            (centre[0], centre[1]),
            (sway[0], sway[1]),
            (phase[0], phase[1]),
            (rate[0], rate[1]),
            _recolouring(rng) if config.recolour else None,
        )

    def _matrix(self, time_s: float, config: ShapesConfig) -> NDArray[np.float64]:
        """Return the affine map [2, 3] from px of the frame to px of the photograph, pixel centres at .5."""
        x, y = (
            self.centre_px[i] + self.sway_px[i] * math.sin(self.phase[i] + self.rate_rad_s[i] * time_s)
            for i in range(2)
        )
        across = -self.zoom if self.mirrored else self.zoom
        return np.array(
            [
                [across, 0.0, x - across * config.width_px / 2],
                [0.0, self.zoom, y - self.zoom * config.height_px / 2],
            ]
        )

    def render(self, time_s: float, config: ShapesConfig) -> Pixels:
        """Return the background of a frame, uint8 [height, width, 3]."""
        level = self.photograph.level(self.zoom)
        source = self.photograph.levels[level]
        matrix = self._matrix(time_s, config)
        # OpenCV counts from the centre of the first pixel, and each level has half as many.
        matrix[:, 2] += 0.5 * (matrix[:, 0] + matrix[:, 1])
        matrix /= 1 << level
        matrix[:, 2] -= 0.5
        image: Pixels = cv2.warpAffine(
            source,
            matrix,
            (config.width_px, config.height_px),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REFLECT_101,
        )
        return self.coloured(image)

    def coloured(self, pixels: Pixels) -> Pixels:
        """Return pixels of a photograph, uint8 [height, width, 3], in the colours of this view."""
        return pixels if self.colours_by is None else cv2.transform(pixels, self.colours_by)

    def colours(self, points: ArrayLike, time_s: float, config: ShapesConfig) -> NDArray[np.float64]:
        """Return the colour around points [n, 2] in px of the frame: [n, 3], 0 to 255."""
        matrix = self._matrix(time_s, config)
        places = (np.asarray(points, dtype=np.float64) @ matrix[:, :2].T + matrix[:, 2]) / _COARSE
        coarse = self.photograph.coarse
        height, width = coarse.shape[:2]
        columns, rows = np.floor(places).astype(np.int64).T
        found = coarse[mirrored(rows, height), mirrored(columns, width)].astype(np.float64)
        return found if self.colours_by is None else (found @ self.colours_by.T).clip(0.0, 255.0)


def mirrored(index: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Return the index of a pixel for places of which some are beyond the edges."""
    folded = index % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)


def _recolouring(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a matrix [3, 3] that swaps the channels and takes some of the colour away."""
    colour = rng.uniform(0.2, 1.0)
    return (colour * rng.permutation(np.eye(3)) + (1.0 - colour) / 3.0).astype(np.float32)
