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
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.letterbox.conversions import CODES
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS
from lowlat_nodes.kernels.letterbox.images import Placement, size_of
from lowlat_nodes.kernels.letterbox.results import as_numpy, result
from lowlat_nodes.kernels.letterbox.scratch import Scratch
from lowlat_nodes.kernels.letterbox.target import Target

_BITS = {"float32": np.float32, "float16": np.uint16, "int8": np.uint8}


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
    filled: bool = False,
) -> Any:
    """Compute the operation `letterbox`; pixels are rounded to whole values once they are resized."""
    out = result(images, target, out)
    tables, fill = values_of(target)
    bits = bits_of(as_numpy(out))
    for planes, image, encoding, placement in zip(bits, images, encodings, placements, strict=True):
        if not filled:
            _surround(planes, placement, fill)
        left, top, width, height = placement
        regions = planes[:, top : top + height, left : left + width]
        place(as_numpy(image), encoding, regions, tables, target.channels)
    return out


def place(
    image: NDArray[Any],
    encoding: str,
    regions: Iterable[NDArray[Any]],
    tables: Sequence[NDArray[Any]],
    channels: str,
) -> None:
    """Place one image, unchecked.

    Args:
        image: As the operation takes it.
        encoding: Likewise.
        regions: What it covers of the three planes, as `bits_of` gives them.
        tables: What each pixel becomes in each of them, from `values_of`.
        channels: Their order, rgb or bgr.
    """
    regions = list(regions)
    pixels, found = whole_colours(image, encoding, channels)
    height, width = regions[0].shape
    if pixels.shape[:2] != (height, width):
        pixels = resize(pixels, _SCRATCHES.small.array((height, width, *pixels.shape[2:])))
    colours = ENCODINGS[found].colours
    planes = [pixels]
    if colours:
        planes = list(_SCRATCHES.planes.array((len(colours), height, width)))
        cv2.split(pixels, planes)
    # A table is as fast as a multiplication, faster than one and a sum, and exact.
    for region, table, colour in zip(regions, tables, channels, strict=True):
        cv2.LUT(planes[colours.index(colour) if colours else 0], table, dst=region)


def bits_of(values: NDArray[Any]) -> NDArray[Any]:
    """Return values of the network as OpenCV can look them up: it copies bits and need not know them."""
    return values.view(_BITS[str(values.dtype)])


def whole_colours(image: NDArray[Any], encoding: str, channels: str) -> tuple[NDArray[Any], str]:
    """Return an image whose pixels have colours of their own, and the encoding that it has then.

    Mosaics and YUV become `channels`, rgb or bgr, in memory of this thread that the next call uses again;
    others stay as they are.
    """
    if not ENCODINGS[encoding].mixed:
        return image, encoding
    width, height = size_of(image, encoding)
    whole = _SCRATCHES.colours.array((height, width, 3))
    return cv2.cvtColor(image, CODES[encoding][channels], dst=whole), channels


def resize(image: NDArray[Any], out: NDArray[Any]) -> NDArray[Any]:
    """Return `out` with an image in its size, as the operation has it.

    Where each pixel lies on one of the image, as those of 1080 rows do that become 360, that one is taken:
    the same result in less than half the time.
    """
    (height, width), (rows, columns) = out.shape[:2], image.shape[:2]
    exact = not rows % height and not columns % width and rows // height % 2 and columns // width % 2
    how = cv2.INTER_NEAREST_EXACT if exact else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), dst=out, interpolation=how))


def _surround(planes: NDArray[Any], placement: Placement, fill: NDArray[Any]) -> None:
    """Fill what an image leaves of the planes."""
    left, top, width, height = placement
    rows = planes[:, top : top + height]
    for beside in (planes[:, :top], planes[:, top + height :], rows[..., :left], rows[..., left + width :]):
        if beside.size:
            beside[:] = fill


@functools.lru_cache(maxsize=64)
def values_of(target: Target) -> tuple[list[NDArray[Any]], NDArray[Any]]:
    """Return the bits of what each pixel becomes, [256] for each channel, and of the fill, [3, 1, 1]."""
    bits = _BITS[target.dtype]
    every, fill = np.arange(256.0), np.array([target.fill], np.float64)
    return (
        [np.ascontiguousarray(target.values(every, channel)).view(bits) for channel in range(3)],
        np.stack([target.values(fill, channel).view(bits) for channel in range(3)])[..., None],
    )
