# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the images may be, and where in the target each of them goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array, device_of
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox.encodings import ENCODINGS, SMALLEST_MOSAIC
from lowlat_nodes.kernels.letterbox.target import Target

Placement = tuple[int, int, int, int]
"""Left, top, width, height, in px of the target: the pixels that the image covers."""

_MOST_LAYOUTS = 1024
_layouts: set[tuple[Any, ...]] = set()  # that were found good: cameras send the same ones again and again


def size_of(image: Any, encoding: str) -> tuple[int, int]:
    """Return the width and height of what an image shows, px."""
    rows, columns = image.shape[:2]
    return int(columns), int(rows) * 2 // 3 if ENCODINGS[encoding].planes else int(rows)


def strides_of(image: Any) -> tuple[int, ...]:
    """Return how many bytes lie between neighbours of an array of bytes, for each dimension."""
    return tuple(image.strides if isinstance(image, np.ndarray) else image.stride())


def _whole_rows(image: Any) -> bool:
    """Return whether the bytes of each row lie one after another, and rows from the top to the bottom."""
    strides = strides_of(image)
    expected = 1
    for size, stride in zip(reversed(image.shape[1:]), reversed(strides[1:]), strict=True):
        if size > 1 and stride != expected:
            return False
        expected *= int(size)
    return strides[0] >= 0


def check_image(name: str, image: Any, encoding: str) -> str:
    """Check one image and return its device.

    Raises:
        BadArgument: If it is not as the operation takes it.
    """
    device = device_of(name, image)
    layout = encoding, image.dtype, tuple(image.shape), strides_of(image)
    if layout not in _layouts:
        _check_layout(name, image, encoding)
        if len(_layouts) >= _MOST_LAYOUTS:
            _layouts.clear()
        _layouts.add(layout)
    return device


def check_placement(name: str, placement: Sequence[Any], target: Target) -> None:
    """Check that an image lies within the target.

    Raises:
        BadArgument: If it does not.
    """
    if len(placement) != 4 or not all(isinstance(number, int | np.integer) for number in placement):
        raise BadArgument(f"{name}: expected left, top, width and height as whole px, got {placement}")
    left, top, width, height = placement
    if not (0 <= left < left + width <= target.width and 0 <= top < top + height <= target.height):
        raise BadArgument(
            f"{name}: expected left, top, width and height within {target.width} x {target.height} px, "
            f"got {tuple(placement)}"
        )


def check_lengths(images: Sequence[Any], encodings: Sequence[str], placements: Sequence[Placement]) -> None:
    """Check that there is an encoding and a placement for each image, and at least one.

    Raises:
        BadArgument: If there is not.
    """
    if not len(images):
        raise BadArgument("images: expected at least one, got an empty list")
    if not len(images) == len(encodings) == len(placements):
        raise BadArgument(
            f"expected an encoding and a placement for each of {len(images)} images, got {len(encodings)} "
            f"encodings and {len(placements)} placements"
        )


def _check_layout(name: str, image: Any, encoding: str) -> None:
    known = ENCODINGS.get(encoding)
    if known is None:
        raise BadArgument(
            f"{name}: expected the encoding to be one of {', '.join(ENCODINGS)}; got {encoding!r}"
        )
    shape = (None, None) if known.channels == 1 else (None, None, known.channels)
    check_array(name, image, dtypes=("uint8",), shape=shape, contiguous=False)
    rows, columns = (int(size) for size in image.shape[:2])
    if known.planes and (rows % 3 or columns % 2):
        raise BadArgument(
            f"{name}: expected a multiple of 3 rows and of 2 columns for {encoding}, "
            f"[height * 3 / 2, width], got {[rows, columns]}"
        )
    if known.luma is not None and columns % 2:
        raise BadArgument(f"{name}: expected an even width for {encoding}, got {columns} px")
    if known.mosaic and min(rows, columns) < SMALLEST_MOSAIC:
        raise BadArgument(
            f"{name}: expected at least {SMALLEST_MOSAIC} rows and columns for {encoding}, got "
            f"{[rows, columns]}"
        )
    if not _whole_rows(image):
        raise BadArgument(
            f"{name}: expected the bytes of a row one after another and rows from the top to the bottom, got "
            f"the strides {strides_of(image)}; copy it"
        )
    extent = (rows - 1) * strides_of(image)[0] + columns * known.channels
    if extent > MOST_ELEMENTS:
        raise BadArgument(
            f"{name}: expected at most {MOST_ELEMENTS} bytes from its first to its last, got {extent}"
        )
