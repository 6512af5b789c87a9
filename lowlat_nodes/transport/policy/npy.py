# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
r"""Arrays in NumPy's .npy format, version 1.0 to 3.0, written and read without NumPy's own reader.

The format: `93 4e 55 4d 50 59` ("\x93NUMPY"), major and minor version as one byte each, the length of the
header as a little-endian u16 (version 1) or u32 (2 and 3), the header, the content. The header is a Python
literal, a dict of `descr`, `fortran_order` and `shape`, padded with spaces and ended by a newline so that the
content starts at a multiple of 64. NumPy Enhancement Proposal 1; documented in numpy.lib.format.

NumPy's reader believes the header: it allocates what the shape claims before it looks at the content.
"""

from __future__ import annotations

import ast
import functools
import struct
from typing import Any

from numpy.typing import NDArray

from lowlat_nodes.transport.arrays import WireError, content, decode_array, encodable

_MAGIC = b"\x93NUMPY"
_ALIGNMENT = 64
_LONGEST_HEADER = 512  # NumPy's own for 8 dimensions is shorter than 256
_KEYS = {"descr", "fortran_order", "shape"}


def dump(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a .npy file, in C order.

    Raises:
        WireError: If its dtype has no place on the wire.
    """
    array = encodable(array)
    return _prelude(array.dtype.str, array.shape) + content(array)


def load(data: bytes) -> NDArray[Any]:
    """Return the array in the bytes of a .npy file: read-only, and in the memory of the bytes.

    Raises:
        WireError: If the header is anything but that of a plain array whose content is exactly the rest, or
            longer than 512 bytes.
    """
    if data[:6] != _MAGIC or len(data) < 10:
        raise WireError(f"array: expected the bytes of a .npy file, got {data[:6]!r} and {len(data)} bytes")
    version = (data[6], data[7])
    if version == (1, 0):
        (size,), start = struct.unpack_from("<H", data, 8), 10
    elif version in {(2, 0), (3, 0)} and len(data) >= 12:
        (size,), start = struct.unpack_from("<I", data, 8), 12
    else:
        raise WireError(f"array: expected version 1.0 to 3.0 of .npy, got {version[0]}.{version[1]}")
    if size > _LONGEST_HEADER or start + size > len(data):
        raise WireError(f"array: expected a header of at most {_LONGEST_HEADER} bytes, it claims {size}")
    dtype, shape, fortran = _parse(data[start : start + size])
    body = memoryview(data)[start + size :]
    if fortran and len(shape) > 1:
        transposed: NDArray[Any] = decode_array(dtype, shape[::-1], body).T
        return transposed
    return decode_array(dtype, shape, body)


@functools.lru_cache(maxsize=64)
def _prelude(dtype: str, shape: tuple[int, ...]) -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    used = len(_MAGIC) + 4 + len(text) + 1
    header = f"{text}{' ' * (-used % _ALIGNMENT)}\n".encode("ascii")
    return _MAGIC + b"\x01\x00" + struct.pack("<H", len(header)) + header


@functools.lru_cache(maxsize=64)
def _parse(header: bytes) -> tuple[str, tuple[int, ...], bool]:
    """Return dtype, shape and whether the order is Fortran's; a stream repeats its headers."""
    try:
        fields = ast.literal_eval(header.decode("ascii").strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise WireError(f"array: expected a dict as the header: {type(error).__name__}") from error
    if not isinstance(fields, dict) or fields.keys() != _KEYS:
        raise WireError(f"array: expected a header with {sorted(_KEYS)}")
    dtype, fortran, shape = fields["descr"], fields["fortran_order"], fields["shape"]
    if not isinstance(dtype, str) or type(fortran) is not bool or not isinstance(shape, tuple):
        raise WireError(
            "array: expected the name of a dtype, True or False, and a tuple in the header; records and "
            "objects are not taken"
        )
    return dtype, shape, fortran
