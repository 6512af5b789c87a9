# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How large an image may be."""

from __future__ import annotations

from lowlat_nodes.images.errors import BadImage

MAX_PIXELS = 50_000_000
"""The most pixels of an image unless told otherwise: 8000 x 6000 and some."""


def check_size(width: int, height: int, max_pixels: int) -> None:
    """Refuse an image of more than `max_pixels`.

    Raises:
        BadImage: If it is one.
    """
    if width * height > max_pixels:
        raise BadImage(
            f"image: expected at most {max_pixels} px, got {width}x{height}; if that is right, allow it by a "
            f"higher max_pixels"
        )
