# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of cameras as JPEG files that are no larger than the page shows them, made when somebody asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from lowlat_nodes.images import compressed
from lowlat_nodes.images.encodings import encoding_of, native, to_rgb
from lowlat_nodes.images.jpeg import to_jpeg
from lowlat_nodes.nodes.watch.seen import Frame
from lowlat_nodes.stream.payload import CompressedImage, Image

WIDEST = 640
_QUALITY = 80
_EXIF = b"Exif\0\0"
_LARGEST_FILE = 300_000  # bytes of a JPEG file that is passed on as it came


class Picture(NamedTuple):
    """A JPEG file, and the number of its frame."""

    sequence: int
    data: bytes


class Pictures:
    """Keeps the newest picture of each camera; thread-safe.

    Args:
        newest: Returns the newest frame of a camera by its index, None without one.
    """

    def __init__(self, newest: Callable[[int], Frame | None]) -> None:
        self._newest = newest
        self._lock = threading.Lock()  # several browsers ask for the same
        self._made: dict[int, tuple[Frame, Picture]] = {}

    def get(self, index: int) -> Picture | None:
        """Return the newest picture of a camera, None without one.

        Raises:
            BadImage: If the frame cannot be read.
        """
        with self._lock:
            frame = self._newest(index)
            if frame is None:
                self._made.pop(index, None)
                return None
            known = self._made.get(index)
            if known is None or (known[0].image is not frame.image):
                known = frame, Picture(frame.sequence, picture(frame.image))
                self._made[index] = known
            return known[1]


def size(image: Image | CompressedImage) -> tuple[int, int]:
    """Return width and height of an image in px, before it is made smaller.

    Raises:
        BadImage: If it cannot be read.
    """
    if isinstance(image, Image):
        encoding_of(image)
        return image.width, image.height
    head = compressed.read_head(image)
    return head.width, head.height


def picture(image: Image | CompressedImage) -> bytes:
    """Return an image as a JPEG file of at most `WIDEST` px, as cheaply as it can be had.

    Raises:
        BadImage: If it cannot be read.
    """
    if isinstance(image, CompressedImage):
        head = compressed.read_head(image)
        if _is_for_browsers(image, head):
            return image.data.tobytes()
        reduction = next((by for by in (8, 4, 2) if head.kind == "jpeg" and head.width >= by * WIDEST), 1)
        image = compressed.decode(image, head, reduction)
    encoding = encoding_of(image)
    if image.width > WIDEST:
        # Of a mosaic a pixel is no colour, so that it cannot be made smaller before it has become one.
        plain = not encoding.mixed and encoding.scalar == "u1"
        pixels, name = (native(image.data), image.encoding) if plain else (to_rgb(image), "rgb8")
        height = max(1, round(image.height * WIDEST / image.width))
        smaller = cv2.resize(pixels, (WIDEST, height), interpolation=cv2.INTER_AREA)
        image = Image(np.asarray(smaller, np.uint8), name)
    return to_jpeg(image, _QUALITY).data.tobytes()


def _is_for_browsers(image: CompressedImage, head: compressed.Head) -> bool:
    """Return whether a file may be passed on; one with EXIF a browser might turn, and detections not."""
    small = head.width <= WIDEST and image.data.size <= _LARGEST_FILE
    return small and head.kind == "jpeg" and head.encoding != "rgb8" and _EXIF not in image.data.tobytes()
