# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox in float64 and NumPy, rule by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.letterbox.images import COLOURS, NV12, Placement
from lowlat_nodes.kernels.letterbox.results import as_numpy, result
from lowlat_nodes.kernels.letterbox.target import Target


def run(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    *,
    out: Any = None,
) -> Any:
    """Compute the operation `letterbox`."""
    out = result(images, target, out)
    every = zip(as_numpy(out), images, encodings, placements, strict=True)
    for planes, image, encoding, (left, top, width, height) in every:
        rgb = resized(whole_colours(as_numpy(image), encoding), width, height)
        for channel, colour in enumerate(target.channels):
            pixels = np.full((target.height, target.width), target.fill, np.float64)
            pixels[top : top + height, left : left + width] = rgb[..., "rgb".index(colour)]
            planes[channel] = target.values(pixels, channel)
    return out


def whole_colours(image: NDArray[np.uint8], encoding: str) -> NDArray[np.int64]:
    """Return an image in rgb and full size, whole numbers of 0 to 255 [height, width, 3]."""
    values = image.astype(np.int64)
    if encoding in COLOURS:
        return values if encoding == "rgb" else values[..., ::-1]
    return _from_nv12(values) if encoding == NV12 else _from_mosaic(values, encoding)


def resized(rgb: NDArray[np.int64], width: int, height: int) -> NDArray[np.float64]:
    """Return an image in another size, each pixel a weighted mean of the four around its place."""
    upper, lower, down = _around(rgb.shape[0], height)
    before, after, right = _around(rgb.shape[1], width)
    down, right = down[:, None, None], right[None, :, None]
    columns = rgb[:, before] * (1 - right) + rgb[:, after] * right
    return np.asarray(columns[upper] * (1 - down) + columns[lower] * down, np.float64)


def _around(source: int, target: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return the source pixels before and after the place of each target one, and the weight of the latter."""
    place = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, source - 1)
    before = np.floor(place).astype(np.int64)
    return before, np.minimum(before + 1, source - 1), place - before


def _from_nv12(values: NDArray[np.int64]) -> NDArray[np.int64]:
    rows, width = values.shape
    height = rows * 2 // 3
    chroma = values[height:].reshape(height // 2, width // 2, 2) - 128
    u, v = np.moveaxis(chroma.repeat(2, axis=0).repeat(2, axis=1), 2, 0)
    y = 1220542 * np.maximum(values[:height] - 16, 0) + 2**19
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
