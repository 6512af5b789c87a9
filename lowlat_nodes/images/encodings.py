# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pixels of each ROS encoding are, and how they become colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.images import compressed
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.images.limits import MAX_PIXELS, check_size
from lowlat_nodes.kernels.letterbox import encodings as letterbox
from lowlat_nodes.kernels.letterbox.conversions import CODES
from lowlat_nodes.stream.payload import CompressedImage, Image

_TO_8_BITS = 255 / 65535


@dataclass(frozen=True, slots=True)
class Encoding:
    """One of `sensor_msgs/image_encodings`.

    Attributes:
        letterbox: The name that the operation `letterbox` has for it, once it is 8 bits.
        scalar: What a value is: u1, or u2 where all 16 bits count.
    """

    letterbox: str
    scalar: str = "u1"

    @property
    def channels(self) -> int:
        """Return how many values a pixel has."""
        return letterbox.ENCODINGS[self.letterbox].channels

    @property
    def mosaic(self) -> bool:
        """Return whether it is a Bayer mosaic."""
        return bool(letterbox.ENCODINGS[self.letterbox].mosaic)

    @property
    def mixed(self) -> bool:
        """Return whether a pixel's colour lies in its neighbours too, as with mosaics and halved chroma."""
        return letterbox.ENCODINGS[self.letterbox].mixed

    @property
    def codes(self) -> dict[str, int]:
        """Return OpenCV's code of the conversion to `rgb` and to `bgr`, without what it is already."""
        return CODES[self.letterbox]


ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding("rgb"),
    "bgr8": Encoding("bgr"),
    "rgba8": Encoding("rgba"),
    "bgra8": Encoding("bgra"),
    "mono8": Encoding("mono"),
    "mono16": Encoding("mono", "u2"),
    "bayer_rggb8": Encoding("rggb"),
    "bayer_bggr8": Encoding("bggr"),
    "bayer_gbrg8": Encoding("gbrg"),
    "bayer_grbg8": Encoding("grbg"),
    "yuv422": Encoding("uyvy"),
    "uyvy": Encoding("uyvy"),
    "yuv422_yuy2": Encoding("yuyv"),
    "yuyv": Encoding("yuyv"),
}
"""The encodings that can be read, by name; the colours of the YUV kinds are those of ITU-R BT.601."""


def encoding_of(image: Image, max_pixels: int = MAX_PIXELS) -> Encoding:
    """Return what the pixels of an image are.

    Raises:
        BadImage: If it is in no encoding that can be read, contradicts it, or has more than `max_pixels`.
    """
    encoding = ENCODINGS.get(image.encoding)
    if encoding is None:
        raise BadImage(f"encoding: expected one of {', '.join(ENCODINGS)}; got {image.encoding!r}")
    data = image.data
    if data.ndim not in (2, 3) or not data.size or (*data.shape, 1)[2] != encoding.channels:
        raise BadImage(
            f"image: expected at least one pixel, [height, width, {encoding.channels}] for {image.encoding}, "
            f"got {data.shape}"
        )
    if f"{data.dtype.kind}{data.dtype.itemsize}" != encoding.scalar:
        raise BadImage(f"image: expected dtype {encoding.scalar} for {image.encoding}, got {data.dtype}")
    check_size(image.width, image.height, max_pixels)
    side = letterbox.SMALLEST_MOSAIC
    if encoding.mosaic and min(data.shape) < side:
        raise BadImage(
            f"image: expected a mosaic of at least {side}x{side} px for {image.encoding}, "
            f"got {image.width}x{image.height}"
        )
    if encoding.channels == 2 and image.width % 2:
        raise BadImage(f"image: expected an even width for {image.encoding}, got {image.width} px")
    return encoding


def native(pixels: NDArray[Any]) -> NDArray[Any]:
    """Return pixels in the byte order and alignment of this machine, which OpenCV takes for granted."""
    return np.require(pixels, pixels.dtype.newbyteorder("="), "A")


def to_8_bits(pixels: NDArray[Any], out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
    """Return uint16 pixels scaled to uint8, into `out` where given."""
    return np.asarray(cv2.convertScaleAbs(pixels, dst=out, alpha=_TO_8_BITS), np.uint8)


def to_rgb(image: Image | CompressedImage, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Return a copy of an image in rgb and in full size, uint8 [height, width, 3].

    Raises:
        BadImage: If it cannot be read, contradicts itself, or has more than `max_pixels`.
    """
    if isinstance(image, CompressedImage):
        image = compressed.decode(image, compressed.read_head(image, max_pixels))
    encoding = encoding_of(image, max_pixels)
    pixels = native(image.data)
    if encoding.scalar == "u2":
        pixels = to_8_bits(pixels)
    if "rgb" in encoding.codes:
        return np.asarray(cv2.cvtColor(pixels, encoding.codes["rgb"]), np.uint8)
    return np.array(pixels)
