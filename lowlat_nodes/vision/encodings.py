# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the pixels of each ROS encoding are, and how they become colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.vision import compressed
from lowlat_nodes.vision.errors import BadImage
from lowlat_nodes.vision.limits import MAX_PIXELS, check_size

_MOSAIC_SIDE = 3  # px; OpenCV leaves the colours of smaller mosaics black
_TO_8_BITS = 255 / 65535


@dataclass(frozen=True, slots=True)
class Encoding:
    """One of `sensor_msgs/image_encodings`.

    Attributes:
        colours: A letter per channel, as in rgba; empty where the channels are not colours.
        codes: OpenCV's code of the conversion to `rgb` and to `bgr`, without what it is already.
        channels: Values per pixel.
        scalar: What a value is: u1, or u2 where all 16 bits count.
        mixed: Whether a pixel's colour lies in its neighbours too, as with Bayer mosaics and halved chroma:
            then it must be converted before it is resized.
    """

    colours: str
    codes: dict[str, int]
    channels: int
    scalar: str = "u1"
    mixed: bool = False

    def channel(self, colour: str) -> int:
        """Return the channel that holds r, g or b: the only one where all are grey."""
        return self.colours.index(colour) if self.colours else 0


_GREY = {"rgb": cv2.COLOR_GRAY2RGB, "bgr": cv2.COLOR_GRAY2BGR}
_UYVY = {"rgb": cv2.COLOR_YUV2RGB_UYVY, "bgr": cv2.COLOR_YUV2BGR_UYVY}
_YUYV = {"rgb": cv2.COLOR_YUV2RGB_YUY2, "bgr": cv2.COLOR_YUV2BGR_YUY2}
# ROS names a mosaic after its first two rows, as these codes of OpenCV do. Its older ones (BayerBG for rggb)
# begin one row and one column further on.
_RGGB = {"rgb": cv2.COLOR_BayerRGGB2RGB, "bgr": cv2.COLOR_BayerRGGB2BGR}
_BGGR = {"rgb": cv2.COLOR_BayerBGGR2RGB, "bgr": cv2.COLOR_BayerBGGR2BGR}
_GBRG = {"rgb": cv2.COLOR_BayerGBRG2RGB, "bgr": cv2.COLOR_BayerGBRG2BGR}
_GRBG = {"rgb": cv2.COLOR_BayerGRBG2RGB, "bgr": cv2.COLOR_BayerGRBG2BGR}

ENCODINGS: dict[str, Encoding] = {
    "rgb8": Encoding("rgb", {"bgr": cv2.COLOR_RGB2BGR}, 3),
    "bgr8": Encoding("bgr", {"rgb": cv2.COLOR_BGR2RGB}, 3),
    "rgba8": Encoding("rgba", {"rgb": cv2.COLOR_RGBA2RGB, "bgr": cv2.COLOR_RGBA2BGR}, 4),
    "bgra8": Encoding("bgra", {"rgb": cv2.COLOR_BGRA2RGB, "bgr": cv2.COLOR_BGRA2BGR}, 4),
    "mono8": Encoding("", _GREY, 1),
    "mono16": Encoding("", _GREY, 1, scalar="u2"),
    "bayer_rggb8": Encoding("", _RGGB, 1, mixed=True),
    "bayer_bggr8": Encoding("", _BGGR, 1, mixed=True),
    "bayer_gbrg8": Encoding("", _GBRG, 1, mixed=True),
    "bayer_grbg8": Encoding("", _GRBG, 1, mixed=True),
    "yuv422": Encoding("", _UYVY, 2, mixed=True),
    "uyvy": Encoding("", _UYVY, 2, mixed=True),
    "yuv422_yuy2": Encoding("", _YUYV, 2, mixed=True),
    "yuyv": Encoding("", _YUYV, 2, mixed=True),
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
    if encoding.mixed and encoding.channels == 1 and min(data.shape) < _MOSAIC_SIDE:
        raise BadImage(
            f"image: expected a mosaic of at least {_MOSAIC_SIDE}x{_MOSAIC_SIDE} px for {image.encoding}, "
            f"got {image.width}x{image.height}"
        )
    if encoding.mixed and encoding.channels == 2 and image.width % 2:
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
