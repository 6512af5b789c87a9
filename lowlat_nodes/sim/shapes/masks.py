# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which pixels a thing covers, and the boxes of what is to be seen of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.shapes.background import Pixels
from lowlat_nodes.sim.shapes.outlines import Contours, Polygon

Box = NDArray[np.float64]
"""Left, top, right and bottom edge, float64 [4], px."""

_FRACTION_BITS: Final = 4  # sub-pixel bits of OpenCV's drawing
_FINE_PX: Final = 80  # things up to this size are drawn with 4 x 4 samples per pixel, larger ones with 2 x 2


@dataclass(frozen=True, slots=True, eq=False)
class Mask:
    """The part of the frame that a thing covers.

    Attributes:
        left: Column of the frame at which `cover` begins.
        top: Row at which it begins.
        cover: uint8 [rows, columns], 255 where a pixel is covered.
        box: Of the part of its polygon that lies within the frame.
    """

    left: int
    top: int
    cover: Pixels
    box: Box

    def within(self, other: Mask) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
        """Return the rows and columns that both cover, in this mask and in the other; None if none."""
        height, width = self.cover.shape
        other_height, other_width = other.cover.shape
        left, right = max(self.left, other.left), min(self.left + width, other.left + other_width)
        top, bottom = max(self.top, other.top), min(self.top + height, other.top + other_height)
        if left >= right or top >= bottom:
            return None
        return (
            (slice(top - self.top, bottom - self.top), slice(left - self.left, right - self.left)),
            (slice(top - other.top, bottom - other.top), slice(left - other.left, right - other.left)),
        )


def rasterise(contours: Contours, width: int, height: int, margin: int) -> Mask | None:
    """Draw a polygon with holes, smooth edges and `margin` px around it; None outside the frame."""
    outer = _within(contours[0], width, height)
    if len(outer) < 3:
        return None
    box = np.concatenate([outer.min(axis=0), outer.max(axis=0)])
    left, top = max(0, math.floor(box[0]) - margin), max(0, math.floor(box[1]) - margin)
    right, bottom = min(width, math.ceil(box[2]) + margin), min(height, math.ceil(box[3]) + margin)
    if left >= right or top >= bottom:
        return None
    shift = 2 if max(box[2] - box[0], box[3] - box[1]) <= _FINE_PX else 1
    fine = np.zeros(((bottom - top) << shift, (right - left) << shift), np.uint8)
    # OpenCV counts from the centre of the first pixel.
    unit = 1 << _FRACTION_BITS
    corners = [
        np.rint(((polygon - (left, top)) * (1 << shift) - 0.5) * unit).astype(np.int32)
        for polygon in contours
    ]
    cv2.fillPoly(fine, corners, 255, cv2.LINE_8, _FRACTION_BITS)
    cover: Pixels = fine
    for _ in range(shift):
        size = (cover.shape[1] // 2, cover.shape[0] // 2)
        cover = cv2.resize(cover, size, interpolation=cv2.INTER_AREA)
    return Mask(left, top, cover, box)


def _within(polygon: Polygon, width: int, height: int) -> Polygon:
    """Return the part of a polygon within the frame (Sutherland and Hodgman, CACM 1974)."""
    for axis, limit, sign in ((0, 0, -1.0), (0, width, 1.0), (1, 0, -1.0), (1, height, 1.0)):
        beyond = sign * (polygon[:, axis] - limit)
        outside = beyond > 0.0
        if not outside.any():
            continue
        after, beyond_after = np.roll(polygon, -1, axis=0), np.roll(beyond, -1)
        crosses = outside != (beyond_after > 0.0)
        share = np.divide(beyond, beyond - beyond_after, out=np.zeros_like(beyond), where=crosses)
        crossing = polygon + share[:, None] * (after - polygon)
        crossing[:, axis] = limit
        kept = np.stack([~outside, crosses], axis=1)
        polygon = np.stack([polygon, crossing], axis=1)[kept]
    return polygon


def visible_extent(mask: Mask, area_px: float, nearer: Sequence[Mask]) -> tuple[Box, float]:
    """Return the box of what is to be seen of a thing of an area, and which share of it that is.

    An edge of the box that nothing hides is that of the polygon, exact; one that is hidden is the edge of the
    outermost pixels that can be seen.
    """
    seen = mask.cover
    hidden = False
    for other in nearer:
        common = mask.within(other)
        if common is not None:
            if not hidden:
                seen, hidden = seen.copy(), True
            mine, theirs = common
            seen[mine] = cv2.min(seen[mine], cv2.bitwise_not(other.cover[theirs]))
    share = min(1.0, float(cv2.sumElems(seen)[0]) / (255.0 * area_px))
    if not hidden:
        return mask.box, share
    whole, rest = _extent(mask.cover), _extent(seen)
    if rest is None or whole is None:
        return mask.box, 0.0
    origin = np.array([mask.left, mask.top, mask.left, mask.top], dtype=np.float64)
    return np.where(rest == whole, mask.box, rest + origin), share


def _extent(cover: Pixels) -> Box | None:
    """Return the box around what is at least half covered, in px of the mask."""
    solid = cover >= 128
    columns, rows = np.flatnonzero(solid.any(axis=0)), np.flatnonzero(solid.any(axis=1))
    if not columns.size:
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1], dtype=np.float64)
