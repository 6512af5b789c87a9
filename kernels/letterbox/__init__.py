# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images of several cameras into one batch of a network's input, in one launch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lowlat_nodes.kernels.arguments import MOST_ELEMENTS, check_array, same_device
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.letterbox.images import (
    Placement,
    check_image,
    check_lengths,
    check_placement,
)
from lowlat_nodes.kernels.letterbox.target import Target
from lowlat_nodes.kernels.registry import of, op

__all__ = ["Placement", "Target", "letterbox"]


@op(
    "letterbox",
    ref=of("reference"),
    cpu=[of("cpu", needs="cv2"), of("reference")],
    cuda=of("cuda", needs="torch triton"),
)
def letterbox(
    images: Sequence[Any],
    encodings: Sequence[str],
    placements: Sequence[Placement],
    target: Target,
    *,
    out: Any = None,
    filled: bool = False,
) -> str:
    """Place images into a network's input: demosaic or decode, resize, fill, normalise, transpose and cast.

    Each image becomes whole colours of 8 bits first:

    - `rgb`, `bgr`: uint8 [H, W, 3], as they are; `rgba`, `bgra`: uint8 [H, W, 4], without their alpha;
      `mono`: uint8 [H, W], each of the three colours.
    - `nv12`: uint8 [H * 3 / 2, W], H and W even: H rows of luma Y, then rows of pairs U V that four pixels
      share. `yuyv`, `uyvy`: uint8 [H, W, 2], W even: two pixels Y U Y V, or U Y V Y, share U and V. Chroma is
      not interpolated. ITU-R BT.601 of limited range in the integers that OpenCV has, with
      y = 1220542 * max(Y - 16, 0) + 2 ** 19, u = U - 128, v = V - 128: r = (y + 1673527 v) >> 20,
      g = (y - 852492 v - 409993 u) >> 20, b = (y + 2116026 u) >> 20, each kept within 0 to 255.
    - `rggb`, `bggr`, `grbg`, `gbrg`: uint8 [H, W], Bayer mosaics named after their first two rows, at least
      3 x 3. A colour that a pixel lacks is the mean of those among its eight neighbours that have it, two or
      four, halves rounded up; a pixel on the edge has the colours of the nearest pixel that is not.

    They are then resized bilinearly between half-pixel centres, as by `cv2.INTER_LINEAR`: pixel i of a row of
    n that becomes m lies at (i + 1/2) n / m - 1/2, kept within 0 and n - 1. The result is exact in `ref`;
    others may round it to whole values of a pixel or come to 1 of 255 of it. `Target` says what becomes of a
    pixel then.

    Args:
        images: Of each camera, any sizes. Rows may be any distance apart; the bytes of a row are contiguous.
            NumPy arrays, or tensors of one CUDA device.
        encodings: Of each image: one of those above.
        placements: Where each image goes: left, top, width and height in whole px of the target, such as
            those of `lowlat_nodes.vision.placement`. What an image does not cover is filled.
        target: What the network wants.
        out: [number of images, 3, height, width], contiguous, of the target's dtype, beside the images; a
            new array if None. All of it is written.
        filled: Whether `out` has its fill already, of a call with the same placements and target: then only
            what images cover is written.

    Returns:
        `out`.

    Raises:
        BadArgument: If one of these is not as described, or int32 cannot count its bytes or elements; nothing
            is written then.
    """
    check_lengths(images, encodings, placements)
    devices = {}
    for number, (image, encoding, placement) in enumerate(zip(images, encodings, placements, strict=True)):
        devices[f"images[{number}]"] = check_image(f"images[{number}]", image, encoding)
        check_placement(f"placements[{number}]", placement, target)
    shape = (len(images), 3, target.height, target.width)
    if out is None and filled:
        raise BadArgument("filled: expected `out` with it, which has the fill already")
    if out is not None:
        devices["out"] = check_array("out", out, dtypes=(target.dtype,), shape=shape)
    elif shape[0] * 3 * target.height * target.width > MOST_ELEMENTS:
        raise BadArgument(f"images: expected at most {MOST_ELEMENTS} elements of {list(shape)} in all")
    return same_device(devices)
