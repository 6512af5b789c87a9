# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `image` and `compressed_image`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import CompressedImage, Image
from lowlat_nodes.transport.arrays import DTYPES, NAMES, WireError, shown
from lowlat_nodes.transport.cdr.messages import PIXELS
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_text,
    expect_arrays,
    expect_bytes,
    form,
)

# What the array of an encoding is: its dtype, and the sizes of its pixels behind height and width.
_FORMS = {
    encoding: (DTYPES[NAMES[np.dtype(pixel.scalar)]], (pixel.channels,) if pixel.channels > 1 else ())
    for encoding, pixel in PIXELS.items()
}


def _check(encoding: Any, array: NDArray[Any]) -> None:
    expected = _FORMS.get(encoding) if type(encoding) is str else None
    if expected is None:
        raise WireError(f"image: expected an 'encoding' of {', '.join(PIXELS)}; got {shown(encoding)}")
    dtype, pixel = expected
    shape = array.shape
    # What was decoded has the very object; what is sent may have another, or the other order of bytes.
    of_dtype = array.dtype is dtype or array.dtype.newbyteorder("<") == dtype
    if not of_dtype or len(shape) < 2 or shape[2:] != pixel or 0 in shape:
        sizes = ", ".join(["height", "width", *map(str, pixel)])
        raise WireError(f"image: expected {dtype.str} [{sizes}] for {encoding}, got {form(array)}")


def _take_image(payload: Image) -> tuple[Details, Arrays]:
    data = payload.data
    if data.shape[2:] == (1,):
        data = data[:, :, 0]
    _check(payload.encoding, data)
    return {"encoding": payload.encoding}, [data]


def _put_image(fields: Mapping[str, Any], arrays: Arrays) -> Image:
    expect_arrays("image", arrays, 1)
    encoding = fields.get("encoding")
    _check(encoding, arrays[0])
    return Image(arrays[0], encoding)  # type: ignore[arg-type]  # checked above


def _take_compressed(payload: CompressedImage) -> tuple[Details, Arrays]:
    expect_bytes("compressed_image", payload.data, "the file")
    return {"format": checked_text("compressed_image", {"format": payload.format}, "format")}, [payload.data]


def _put_compressed(fields: Mapping[str, Any], arrays: Arrays) -> CompressedImage:
    expect_arrays("compressed_image", arrays, 1)
    expect_bytes("compressed_image", arrays[0], "the file")
    return CompressedImage(arrays[0], checked_text("compressed_image", fields, "format"))


IMAGE = Schema("image", Image, _take_image, _put_image)
COMPRESSED_IMAGE = Schema("compressed_image", CompressedImage, _take_compressed, _put_compressed)
