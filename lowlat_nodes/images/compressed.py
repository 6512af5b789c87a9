# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""JPEG and PNG images: what a file says of itself, and its pixels.

The head is read before anything is decoded, so that a small file that claims a huge image costs nothing.
JPEG: ITU-T T.81, annex B. PNG: ISO/IEC 15948, sections 5 and 11.2.2.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.images.limits import MAX_PIXELS, check_size
from lowlat_nodes.stream.payload import CompressedImage, Image

_JPEG_START = b"\xff\xd8\xff"
_JPEG_END = b"\xff\xd9"
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # SOF: baseline, extended sequential, progressive; all Huffman coded
_JPEG_OTHER_FRAMES = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
_JPEG_PROGRESSIVE = 0xC2
_JPEG_SCAN = 0xDA
_JPEG_SCAN_MARKER = b"\xff\xda"
_JPEG_SEGMENT_LIMIT = 1000
_JPEG_SCAN_LIMIT = 32  # each is a pass over the whole image, however few its bytes; encoders write about ten
_JPEG_FRAME = struct.Struct(">BHHB")  # bits, height, width, components

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_START = _PNG_SIGNATURE + b"\0\0\0\rIHDR"
_PNG_END = b"IEND"
_PNG_CHUNK = struct.Struct(">I4s")  # length of the contents and name
_PNG_FRAME_SIZE = _PNG_CHUNK.size + 4  # and, behind the contents, a checksum
_PNG_CHUNK_LIMIT = 1 << 15
_PNG_BESIDE = 0x20  # bit of a name's first letter: texts, colour profiles, further frames of an animation
_PNG_BESIDE_LIMIT = 1 << 14  # texts are unpacked too, to a thousand times their size
_PNG_HEAD = struct.Struct(">IIBB")  # width, height, bits, colour type
_PNG_GREY = (0, 4)  # without and with alpha
_PNG_COLOURS = (2, 3, 6)

_REDUCTIONS = (8, 4, 2)
_COLOUR_FLAGS = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}
_GREY_FLAGS = {
    1: cv2.IMREAD_GRAYSCALE,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
}


@dataclass(frozen=True, slots=True)
class Head:
    """What an image file says of itself.

    Attributes:
        kind: jpeg or png.
        width: Of the image, px, before any EXIF rotation, which is ignored: a camera's pixels are as it
            sees them.
        height: As the width.
        encoding: Of the pixels that `decode` gives: bgr8, mono8, or rgb8 where the file was written
            with the colours swapped and its format says so.
    """

    kind: str
    width: int
    height: int
    encoding: str

    def reduction(self, width: int, height: int) -> int:
        """Return how much smaller, 1, 2, 4 or 8 times, it may be decoded and still fill so many px."""
        if self.kind == "jpeg":  # a PNG file is decoded in full anyway
            for reduction in _REDUCTIONS:
                if width * reduction <= self.width and height * reduction <= self.height:
                    return reduction
        return 1


def read_head(image: CompressedImage, max_pixels: int = MAX_PIXELS) -> Head:
    """Read what a file says of itself, without decoding it.

    Raises:
        BadImage: If it is no JPEG or PNG file of 8 bits, not what its format says, cut short, or of more
            than `max_pixels`.
    """
    kind = _kind(image.format)
    data = image.data.tobytes()
    found = "jpeg" if data.startswith(_JPEG_START) else "png" if data.startswith(_PNG_START) else ""
    if found != kind:
        raise BadImage(
            f"compressed image: expected {kind}, as its format {image.format[:64]!r} says, got "
            f"{found or f'{len(data)} bytes that begin with {data[:8]!r}'}"
        )
    width, height, grey = _jpeg_head(data) if kind == "jpeg" else _png_head(data)
    if not width or not height:
        raise BadImage(f"{kind}: expected at least one pixel, got {width}x{height}")
    check_size(width, height, max_pixels)
    # Of image_transport: what the colours were when OpenCV, for which they are bgr, wrote the file.
    swapped = "compressed rgb" in image.format
    return Head(kind, width, height, "mono8" if grey else "rgb8" if swapped else "bgr8")


def decode(image: CompressedImage, head: Head, reduction: int = 1) -> Image:
    """Return the pixels of a file, in the encoding of its head.

    Damage within the compressed data of a JPEG file cannot be told from a picture and passes.

    Args:
        image: The file.
        head: What `read_head` says of it.
        reduction: 1, 2, 4 or 8: how much smaller than the file's the image is, rounded to the nearest pixel.

    Raises:
        BadImage: If it cannot be decoded, or is of another size than the head says.
    """
    flags = (_GREY_FLAGS if head.encoding == "mono8" else _COLOUR_FLAGS)[reduction]
    try:
        pixels: Any = cv2.imdecode(image.data, flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:  # some kinds of bad bytes raise, the others give None
        pixels = None
    if pixels is None:
        raise BadImage(f"{head.kind}: {image.data.size} bytes cannot be decoded")
    expected = (-(-head.height // reduction), -(-head.width // reduction))
    if pixels.shape[:2] != expected or pixels.dtype != np.uint8:
        raise BadImage(f"{head.kind}: expected {expected} pixels, as the file says, got {pixels.shape}")
    # The last row and column may stand for less than the others; keep them if they are at least half.
    rows, columns = max(1, round(head.height / reduction)), max(1, round(head.width / reduction))
    return Image(pixels[:rows, :columns], head.encoding)


def _kind(image_format: str) -> str:
    """Return jpeg or png of a format such as `jpeg` or `rgb8; png compressed bgr8`."""
    words = image_format.rpartition(";")[2].lower()
    if "compresseddepth" in words:
        raise BadImage(
            f"compressed image: expected colours or grey, got distances ({image_format[:64]!r}); subscribe "
            f"to the topic of the camera's colours"
        )
    if "jpeg" in words or "jpg" in words:
        return "jpeg"
    if "png" in words:
        return "png"
    raise BadImage(f"compressed image: expected the format jpeg or png, got {image_format[:64]!r}")


def _jpeg_head(data: bytes) -> tuple[int, int, bool]:
    """Return width, height and whether it is grey."""
    frame = None
    for marker, position in _jpeg_segments(data):
        if marker in _JPEG_OTHER_FRAMES:
            raise BadImage(f"jpeg: expected baseline or progressive coding, got SOF{marker - 0xC0}")
        if marker in _JPEG_FRAMES:
            if frame is not None or position + _JPEG_FRAME.size > len(data):
                raise BadImage(f"jpeg: expected one whole frame header, got another at byte {position}")
            frame = _JPEG_FRAME.unpack_from(data, position)
            progressive = marker == _JPEG_PROGRESSIVE
    # From here on `position` is where the first scan begins, with the number of its components.
    if frame is None:
        raise BadImage("jpeg: expected a frame header before the first scan, got none")
    bits, height, width, components = frame
    if bits != 8:
        raise BadImage(f"jpeg: expected 8 bits per value, got {bits}")
    if data.rfind(_JPEG_END, position) < 0:
        raise BadImage(f"jpeg: cut short, expected an end of image (FFD9), got {len(data)} bytes without one")
    several = progressive or data[position] < components
    if several and data.count(_JPEG_SCAN_MARKER, position) >= _JPEG_SCAN_LIMIT:
        raise BadImage(f"jpeg: expected at most {_JPEG_SCAN_LIMIT} scans, got more")
    return width, height, components == 1


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield marker and begin of the contents of each segment up to the first scan."""
    position = 2
    for _ in range(_JPEG_SEGMENT_LIMIT):
        if data[position : position + 2] == b"\xff\xff":  # a marker may be padded
            position += 1
            continue
        if position + 4 > len(data):
            raise BadImage(f"jpeg: cut short, expected a scan, got {len(data)} bytes without one")
        prefix, marker, length = struct.unpack_from(">BBH", data, position)
        if prefix != 0xFF or marker < 0xC0 or 0xD0 <= marker <= 0xD9 or length < 2:
            got = data[position : position + 4].hex()
            raise BadImage(f"jpeg: expected a segment at byte {position}, got {got}")
        yield marker, position + 4
        if marker == _JPEG_SCAN:
            return
        position += 2 + length
    raise BadImage(f"jpeg: expected at most {_JPEG_SEGMENT_LIMIT} segments before the first scan, got more")


def _png_head(data: bytes) -> tuple[int, int, bool]:
    """Return width, height and whether it is grey."""
    position, beside = len(_PNG_SIGNATURE), 0
    for _ in range(_PNG_CHUNK_LIMIT):
        # OpenCV makes room, gigabytes, for what a chunk claims before it misses the bytes.
        if position + _PNG_FRAME_SIZE > len(data):
            raise BadImage(f"png: cut short, expected an end (IEND), got {len(data)} bytes without one")
        length, name = _PNG_CHUNK.unpack_from(data, position)
        if name == _PNG_END:
            break
        if name[0] & _PNG_BESIDE:
            beside += length
        position += _PNG_FRAME_SIZE + length
    else:
        raise BadImage(f"png: expected at most {_PNG_CHUNK_LIMIT} chunks, got more")
    if beside > _PNG_BESIDE_LIMIT:
        raise BadImage(f"png: expected at most {_PNG_BESIDE_LIMIT} bytes beside the pixels, got {beside}")
    width, height, bits, colours = _PNG_HEAD.unpack_from(data, len(_PNG_START))
    if bits == 16:
        raise BadImage("png: expected 8 bits per value, got 16, which is what depth images have")
    if bits not in (1, 2, 4, 8) or colours not in (*_PNG_GREY, *_PNG_COLOURS):
        raise BadImage(f"png: expected 8 bits of a known kind of colour, got {bits} bits of kind {colours}")
    return width, height, colours in _PNG_GREY
