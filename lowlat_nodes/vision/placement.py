# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where an image lies within the input of a network, and the way back."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ZERO = np.float32(0.0)

Rows = NDArray[np.float32]
"""Detections as float32 [n, 6]: x1, y1, x2, y2, score, class."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the pixels of a source image ended up, in px of the network's input.

    Attributes:
        width: Of the source image, px.
        height: Of the source image, px.
        left: Column at which the scaled image begins.
        top: Row at which it begins.
        scaled_width: Columns that it covers.
        scaled_height: Rows that it covers.
    """

    width: int
    height: int
    left: int
    top: int
    scaled_width: int
    scaled_height: int

    @staticmethod
    def letterbox(width: int, height: int, target_width: int, target_height: int) -> Placement:
        """Keep the aspect ratio and centre the image, rounding as the tools that train such models do."""
        ratio = min(target_width / width, target_height / height)
        scaled_width, scaled_height = max(1, round(width * ratio)), max(1, round(height * ratio))
        left = round((target_width - scaled_width) / 2 - 0.1)
        top = round((target_height - scaled_height) / 2 - 0.1)
        return Placement(width, height, left, top, scaled_width, scaled_height)

    @staticmethod
    def stretch(width: int, height: int, target_width: int, target_height: int) -> Placement:
        """Fill the input, whatever becomes of the aspect ratio."""
        return Placement(width, height, 0, 0, target_width, target_height)

    def to_source(self, boxes: Rows) -> None:
        """Turn boxes from px of the network's input into px of the source image, in place, and clip them.

        Args:
            boxes: float32 [n, 4 or more]: x1, y1, x2, y2, ...; further columns stay as they are.
        """
        origin, scale, end = _way_back(self)
        corners = boxes[:, :4]
        corners -= origin
        corners *= scale
        np.maximum(corners, _ZERO, out=corners)
        np.minimum(corners, end, out=corners)


@functools.lru_cache(maxsize=64)
def _way_back(placement: Placement) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return what to take off corners, to multiply them by, and the largest that they may be."""
    scale = placement.width / placement.scaled_width, placement.height / placement.scaled_height
    corners = ((placement.left, placement.top), scale, (placement.width, placement.height))
    origin, factor, end = (np.array(each * 2, np.float32) for each in corners)
    return origin, factor, end


RESIZES: Mapping[str, Callable[[int, int, int, int], Placement]] = {
    "letterbox": Placement.letterbox,
    "stretch": Placement.stretch,
}
"""The ways to fit an image into an input, by the name that settings have for it."""
