# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the bytes of an image can mean."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Encoding:
    """How the bytes of an image become colours.

    Attributes:
        channels: Bytes of a pixel; of a plane's pixel where there are planes.
        colours: A letter for each of them, as in bgra; empty for grey, YUV and mosaics.
        mosaic: The colours of the first two rows of a Bayer mosaic.
        luma: With YUV, the byte of a pixel that has its luma; the next pixel's U and V are in the others.
        planes: Whether rows of U and V lie below those of luma, half as many, instead.
    """

    channels: int = 1
    colours: str = ""
    mosaic: str = ""
    luma: int | None = None
    planes: bool = False

    @property
    def mixed(self) -> bool:
        """Whether a pixel's colour lies in its neighbours too."""
        return bool(self.mosaic) or self.luma is not None


ENCODINGS: dict[str, Encoding] = {
    "rgb": Encoding(3, "rgb"),
    "bgr": Encoding(3, "bgr"),
    "rgba": Encoding(4, "rgba"),
    "bgra": Encoding(4, "bgra"),
    "mono": Encoding(),
    "nv12": Encoding(luma=0, planes=True),
    "yuyv": Encoding(2, luma=0),
    "uyvy": Encoding(2, luma=1),
    **{pattern: Encoding(mosaic=pattern) for pattern in ("rggb", "bggr", "grbg", "gbrg")},
}
"""By the names that the operation has for them."""

SMALLEST_MOSAIC = 3
"""Rows and columns: the colours of a pixel come from its neighbours on all sides."""
