# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as JPEG files (ITU-T T.81)."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from lowlat_nodes.images.encodings import encoding_of, native, to_8_bits
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.stream.payload import CompressedImage, Image

_MAX_SIDE = 65_500  # px, of libjpeg


def to_jpeg(image: Image, quality: int) -> CompressedImage:
    """Return an image as a JPEG file, its format as image_transport writes it: `rgb8; jpeg compressed bgr8`.

    Args:
        image: In any encoding that is a picture; one of a single grey channel stays that.
        quality: From 1 to 100.

    Raises:
        BadImage: If it is no picture, contradicts its encoding, or is too large.
    """
    encoding = encoding_of(image)
    if max(image.width, image.height) > _MAX_SIDE:
        raise BadImage(f"jpeg: expected at most {_MAX_SIDE} px a side, got {image.width}x{image.height}")
    pixels: Any = native(image.data)
    if encoding.scalar == "u2":
        pixels = to_8_bits(pixels)
    grey = encoding.channels == 1 and not encoding.mixed
    if not grey and "bgr" in encoding.codes:
        pixels = cv2.cvtColor(pixels, encoding.codes["bgr"])
    done, file = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise BadImage(f"jpeg: OpenCV cannot write {image.width}x{image.height} {image.encoding}")
    kind = "mono8" if grey else "bgr8"
    return CompressedImage(
        np.asarray(file, np.uint8).reshape(-1), f"{image.encoding}; jpeg compressed {kind}"
    )
