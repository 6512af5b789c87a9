# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images as the files that a dataset holds: PNG, without loss."""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.dataset.errors import DatasetError

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SIZE = struct.Struct(">II")  # width and height, behind signature, length and name of the first block
_SIZE_AT = 16


def encode(image: NDArray[np.uint8]) -> bytes:
    """Return the PNG file of an image, uint8 [height, width, 3], rgb."""
    import cv2

    _, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return data.tobytes()


def check(data: bytes, height: int, width: int) -> None:
    """Check by the head of a file that it is a PNG file of this size.

    Raises:
        DatasetError: If it is not.
    """
    if not data.startswith(_SIGNATURE) or len(data) < _SIZE_AT + _SIZE.size:
        raise DatasetError(f"expected a PNG file, got {len(data)} bytes that begin with {data[:8]!r}")
    size = _SIZE.unpack_from(data, _SIZE_AT)
    if size != (width, height):
        raise DatasetError(f"expected an image of {width}x{height} px, got {size[0]}x{size[1]}")


def decode(data: bytes, height: int, width: int) -> NDArray[np.uint8]:
    """Return the image of a PNG file, uint8 [height, width, 3], rgb.

    Raises:
        DatasetError: If it is no PNG file, or of another size: that is told before it is unpacked.
    """
    import cv2

    check(data, height, width)
    try:
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:  # some kinds of bad bytes raise, the others give None
        decoded = None
    if decoded is None:
        raise DatasetError(f"expected a PNG file, got {len(data)} bytes that cannot be decoded")
    return np.asarray(cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB), np.uint8)
