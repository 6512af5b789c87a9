# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The letterbox with OpenCV, into memory that is there already.

The image is resized in bytes, where OpenCV has the widest vectors; a table of 256 values per channel then
normalises, casts and places in one step, exactly. A loop of numba from the source's bytes to `out` takes
nearly twice as long, and one after OpenCV's resize as long as this.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.letterbox.images import COLOURS, Placement
from lowlat_nodes.kernels.letterbox.results import as_numpy, result
from lowlat_nodes.kernels.letterbox.scratch import Scratch
from lowlat_nodes.kernels.letterbox.target import Target

_BITS = {"float32": np.float32, "float16": np.uint16, "int8": np.uint8}
"""What OpenCV looks up for each dtype: it copies the bits and need not know them."""

# OpenCV's older names of mosaics (BayerBG for rggb) begin one row and one column further on; these do not.
_TO_RGB = {
    "nv12": cv2.COLOR_YUV2RGB_NV12,
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
}


class _Scratches(threading.local):
    """The memory between the steps, for each thread."""

    def __init__(self) -> None:
        self.colours, self.small, self.planes = Scratch(), Scratch(), Scratch()


_SCRATCHES = _Scratches()


def run(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    *,
    out: Any = None,
) -> Any:
    """Compute the operation `letterbox`; pixels are rounded to whole values once they are resized."""
    out = result(images, target, out)
    tables, fill = _tables(target)
    bits = as_numpy(out).view(_BITS[target.dtype])
    for planes, image, encoding, placement in zip(bits, images, encodings, placements, strict=True):
        left, top, width, height = placement
        small, order = _resized(as_numpy(image), encoding, width, height)
        split = list(_SCRATCHES.planes.array((3, height, width)))
        cv2.split(small, split)
        for channel, colour in enumerate(target.channels):
            _surround(planes[channel], placement, fill[channel])
            region = planes[channel, top : top + height, left : left + width]
            cv2.LUT(split[order.index(colour)], tables[channel], dst=region)
    return out


def _resized(image: NDArray[Any], encoding: str, width: int, height: int) -> tuple[NDArray[Any], str]:
    """Return an image in its colours and the size of its place, and the order of the colours."""
    order = encoding
    if encoding not in COLOURS:
        rows = image.shape[0] * 2 // 3 if encoding == "nv12" else image.shape[0]
        whole = _SCRATCHES.colours.array((rows, image.shape[1], 3))
        image = cv2.cvtColor(image, _TO_RGB[encoding], dst=whole)
        order = "rgb"
    if image.shape[:2] == (height, width):
        return image, order
    small = _SCRATCHES.small.array((height, width, 3))
    return cv2.resize(image, (width, height), dst=small, interpolation=cv2.INTER_LINEAR), order


def _surround(plane: NDArray[Any], placement: Placement, fill: Any) -> None:
    """Fill what an image leaves of a plane."""
    left, top, width, height = placement
    plane[:top] = fill
    plane[top + height :] = fill
    rows = plane[top : top + height]
    rows[:, :left] = fill
    rows[:, left + width :] = fill


@functools.lru_cache(maxsize=64)
def _tables(target: Target) -> tuple[list[NDArray[Any]], list[Any]]:
    """Return the bits of what each pixel value becomes, [256] for each channel, and of what the fill does."""
    bits = _BITS[target.dtype]
    every, fill = np.arange(256.0), np.array([target.fill], np.float64)
    return (
        [np.ascontiguousarray(target.values(every, channel)).view(bits) for channel in range(3)],
        [target.values(fill, channel).view(bits)[0] for channel in range(3)],
    )
