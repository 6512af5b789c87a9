# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the images may be, and where in the target each of them goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox.target import Target

COLOURS = ("rgb", "bgr")
NV12 = "nv12"
MOSAICS = ("rggb", "bggr", "grbg", "gbrg")
ENCODINGS = (*COLOURS, NV12, *MOSAICS)

SMALLEST_MOSAIC = 3
"""Rows and columns: the colours of a pixel come from its neighbours on all sides."""

Placement = tuple[int, int, int, int]
"""Left, top, width, height, in px of the target: the pixels that the image covers."""


def size_of(image: Any, encoding: str) -> tuple[int, int]:
    """Return the width and height of what an image shows, px."""
    rows, columns = image.shape[:2]
    return int(columns), int(rows) * 2 // 3 if encoding == NV12 else int(rows)


def row_stride(image: Any) -> int:
    """Return how many bytes lie between the beginnings of two rows."""
    strides = image.strides if hasattr(image, "strides") else image.stride()
    return int(strides[0])


def check_image(name: str, image: Any, encoding: str) -> str:
    """Check one image and return its device.

    Raises:
        BadArgument: If it is not as the operation takes it.
    """
    if encoding not in ENCODINGS:
        raise BadArgument(
            f"{name}: expected the encoding to be one of {', '.join(ENCODINGS)}; got {encoding!r}"
        )
    shape = (None, None, 3) if encoding in COLOURS else (None, None)
    device = check_array(name, image, dtypes=("uint8",), shape=shape, contiguous=False)
    rows, columns = (int(size) for size in image.shape[:2])
    if encoding == NV12 and (rows % 3 or columns % 2):
        raise BadArgument(
            f"{name}: expected a multiple of 3 rows and of 2 columns for nv12, [height * 3 / 2, width], "
            f"got {[rows, columns]}"
        )
    if encoding in MOSAICS and min(rows, columns) < SMALLEST_MOSAIC:
        raise BadArgument(
            f"{name}: expected at least {SMALLEST_MOSAIC} rows and columns for {encoding}, got "
            f"{[rows, columns]}"
        )
    _check_strides(name, image)
    return device


def check_placement(name: str, placement: Placement, target: Target) -> None:
    """Check that an image lies within the target.

    Raises:
        BadArgument: If it does not.
    """
    if len(placement) != 4:
        raise BadArgument(f"{name}: expected left, top, width and height, got {placement}")
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


def _check_strides(name: str, image: Any) -> None:
    """Check that the bytes of a row lie one after another, and what int32 counts."""
    strides = tuple(image.strides if hasattr(image, "strides") else image.stride())
    expected = 1
    for size, stride in zip(reversed(image.shape[1:]), reversed(strides[1:]), strict=True):
        if size > 1 and stride != expected:
            raise BadArgument(
                f"{name}: expected the bytes of a row one after another, got the strides {strides}; copy it"
            )
        expected *= int(size)
    if strides[0] < 0:
        raise BadArgument(
            f"{name}: expected rows from the top to the bottom, got the strides {strides}; copy it"
        )
    extent = (int(image.shape[0]) - 1) * strides[0] + expected
    if extent > MOST_ELEMENTS:
        raise BadArgument(
            f"{name}: expected at most {MOST_ELEMENTS} bytes from its first to its last, got {extent}"
        )
