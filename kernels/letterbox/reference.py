# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox in float64 and NumPy, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS
from lowlat_nodes.kernels.letterbox.images import Placement
from lowlat_nodes.kernels.letterbox.results import as_numpy, result
from lowlat_nodes.kernels.letterbox.target import Target


def run(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    *,
    out: Any = None,
    filled: bool = False,
) -> Any:
    """Compute the operation `letterbox`."""
    out = result(images, target, out)
    every = zip(as_numpy(out), images, encodings, placements, strict=True)
    for planes, image, encoding, (left, top, width, height) in every:
        rgb = resized(whole_colours(as_numpy(image), encoding), width, height)
        for channel, colour in enumerate(target.channels):
            if not filled:
                planes[channel] = target.values(np.array(target.fill), channel)
            values = target.values(rgb[..., "rgb".index(colour)], channel)
            planes[channel, top : top + height, left : left + width] = values
    return out


def whole_colours(image: NDArray[np.uint8], encoding: str) -> NDArray[np.int64]:
    """Return an image in rgb and full size, whole numbers of 0 to 255 [height, width, 3]."""
    values = image.astype(np.int64)
    known = ENCODINGS[encoding]
    if known.mosaic:
        return _from_mosaic(values, known.mosaic)
    if known.planes:
        height = len(values) * 2 // 3
        u, v = values[height:, 0::2], values[height:, 1::2]
        return _from_yuv(values[:height], u.repeat(2, axis=0), v.repeat(2, axis=0))
    if known.luma is not None:
        chroma = values[..., 1 - known.luma]
        return _from_yuv(values[..., known.luma], chroma[:, 0::2], chroma[:, 1::2])
    if not known.colours:
        return np.stack([values] * 3, axis=-1)
    return values[..., [known.colours.index(colour) for colour in "rgb"]]


def resized(rgb: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """Return an image in another size, each pixel a weighted mean of the four around its place."""
    upper, lower, down = _around(rgb.shape[0], height)
    before, after, right = _around(rgb.shape[1], width)
    down, right = down[:, None, None], right[None, :, None]
    columns = rgb[:, before] * (1 - right) + rgb[:, after] * right
    return np.asarray(columns[upper] * (1 - down) + columns[lower] * down, np.float64)


def _around(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the source pixels before and after the place of each target one, and the latter's weight."""
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    before = np.floor(place).astype(np.int64)
    return before, np.minimum(before + 1, source - 1), place - before


def _from_yuv(luma: NDArray[np.int64], u: NDArray[np.int64], v: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the colours of luma in full size, and of chroma of half the width."""
    u, v = (chroma.repeat(2, axis=1) - 128 for chroma in (u, v))
    y = 1220542 * np.maximum(luma - 16, 0) + 2**19
    rgb = np.stack([y + 1673527 * v, y - 852492 * v - 409993 * u, y + 2116026 * u], axis=-1) >> 20
    return np.asarray(np.clip(rgb, 0, 255), np.int64)


def _from_mosaic(values: NDArray[np.int64], pattern: str) -> NDArray[np.int64]:
    height, width = values.shape
    padded = np.pad(values, 1)  # seen by the pixels of the edge alone, which are replaced below

    def shifted(down: int, right: int) -> NDArray[np.int64]:
        return np.asarray(padded[1 + down : 1 + down + height, 1 + right : 1 + right + width])

    beside = (shifted(0, -1) + shifted(0, 1) + 1) >> 1
    above_and_below = (shifted(-1, 0) + shifted(1, 0) + 1) >> 1
    across = (shifted(-1, 0) + shifted(1, 0) + shifted(0, -1) + shifted(0, 1) + 2) >> 2
    diagonal = (shifted(-1, -1) + shifted(-1, 1) + shifted(1, -1) + shifted(1, 1) + 2) >> 2
    rgb = np.empty((height, width, 3), np.int64)
    for row in (0, 1):
        for column in (0, 1):
            sites = np.s_[row::2, column::2]
            own = pattern[2 * row + column]
            in_row = pattern[2 * row + 1 - column]
            if own == "g":
                means = {"g": values, in_row: beside, _other(in_row): above_and_below}
            else:
                means = {own: values, "g": across, _other(own): diagonal}
            rgb[sites] = np.stack([means[colour][sites] for colour in "rgb"], axis=-1)
    rows, columns = np.clip(np.arange(height), 1, height - 2), np.clip(np.arange(width), 1, width - 2)
    return rgb[rows[:, None], columns]


def _other(colour: str) -> str:
    return "b" if colour == "r" else "r"
