# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Arrays and msgpack from strangers: read with limits, checked exactly, never unpickled.

Foreign protocols write an array as three fields, dtype, shape and bytes, in forms of their own. Each of them
takes its form apart and hands the fields to `decode_array`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.errors import LowlatError

DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(name)
    for name in ("|b1", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8")
}
"""What an array may be made of, by its name on the wire."""

NAMES: Mapping[np.dtype[Any], str] = {dtype: name for name, dtype in DTYPES.items()}
"""The names on the wire, by what an array is made of."""

MAX_DIMENSIONS = 8
MAX_MESSAGE = 64 << 20
"""Bytes of a message, and of an array in one: three 4K images and to spare."""

MAX_DEPTH = 16
_MAX_ENTRIES = 100_000
MAX_LENGTH = 10_000
MAX_TEXT = 1 << 16


class WireError(LowlatError):
    """Bytes from outside do not follow the protocol, or exceed its limits."""


def checked_size(dtype: Any, shape: Any) -> int:
    """Return how many bytes an array of outside takes.

    Args:
        dtype: One of the names in `DTYPES`.
        shape: A list of at most 8 whole numbers.

    Raises:
        WireError: If the fields are anything else.
    """
    kind = DTYPES.get(dtype) if type(dtype) is str else None
    if kind is None:
        raise WireError(f"array: expected a dtype of {', '.join(DTYPES)}, got {shown(dtype)}")
    if type(shape) not in (list, tuple) or len(shape) > MAX_DIMENSIONS:
        raise WireError(f"array: expected a shape of at most {MAX_DIMENSIONS} numbers, got {shown(shape)}")
    count: int = kind.itemsize
    for size in shape:
        if type(size) is not int or not 0 <= size <= MAX_MESSAGE:
            raise WireError(f"array: expected sizes from 0 to {MAX_MESSAGE}, got {shown(shape)}")
        count *= size
    return count


def decode_array(dtype: Any, shape: Any, data: object) -> NDArray[Any]:
    """Return an array that shares the memory of `data` and cannot be written to.

    Args:
        dtype: One of the names in `DTYPES`.
        shape: A list of at most 8 whole numbers.
        data: Exactly the bytes of such an array, in C order.

    Raises:
        WireError: If the fields are anything else or contradict each other.
    """
    expected = checked_size(dtype, shape)
    if type(data) is memoryview:
        data = data.toreadonly()
    elif type(data) is not bytes:
        raise WireError(f"array: expected its content as bytes, got {shown(data)}")
    if expected != len(data):
        raise WireError(
            f"array: {dtype} of shape {shown(shape)} takes {expected} bytes, {len(data)} came with it"
        )
    try:
        array: NDArray[Any] = np.ndarray(shape, DTYPES[dtype], data)
    except ValueError as error:  # nothing, in a shape that NumPy cannot index
        raise WireError(f"array: {error}, got {shown(shape)}") from error
    return array


def encodable(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array as it may be sent: C order, little-endian, of a dtype in `DTYPES`.

    Raises:
        WireError: If its dtype has no place on the wire.
    """
    if array.dtype in NAMES and array.flags.c_contiguous:
        return array
    little = array.dtype.newbyteorder("<")
    if little not in NAMES:
        raise WireError(f"expected an array of {', '.join(DTYPES)}, got {array.dtype.str}")
    return np.asarray(array, little, order="C")


def content(array: NDArray[Any]) -> memoryview:
    """Return the bytes of an `encodable` array, without a copy."""
    if array.ndim and array.size:
        return array.data.cast("B")
    return array.reshape(-1).view(np.uint8).data  # of what cannot be cast


def unpack(
    data: bytes,
    *,
    object_hook: Callable[[dict[Any, Any]], Any] | None = None,
    max_bytes: int = MAX_MESSAGE,
) -> Any:
    """Return what msgpack bytes hold, as plain data.

    Args:
        data: The message.
        object_hook: Turns maps into something else, the innermost first; arrays for example.
        max_bytes: Largest size of the message.

    Raises:
        WireError: If it is too large, malformed, or holds extension types, bytes outside of arrays, keys
            other than text, or more, longer or deeper containers than any protocol needs.
    """
    if len(data) > max_bytes:
        raise WireError(f"expected a message of at most {max_bytes} bytes, got {len(data)}")
    left = _MAX_ENTRIES

    def count(size: int) -> None:
        nonlocal left
        left -= size + 1
        if left < 0:
            raise WireError(f"expected at most {_MAX_ENTRIES} values in a message")

    def on_list(items: list[Any]) -> list[Any]:
        count(len(items))
        return items

    def on_map(items: dict[Any, Any]) -> Any:
        count(len(items))
        return items if object_hook is None else object_hook(items)

    try:
        found = msgpack.unpackb(
            data,
            list_hook=on_list,
            object_hook=on_map,
            max_str_len=MAX_TEXT,
            max_bin_len=max_bytes,
            max_array_len=MAX_LENGTH,
            max_map_len=MAX_LENGTH,
            max_ext_len=0,
        )
    except WireError:
        raise
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"expected msgpack: {type(error).__name__}: {error}") from error
    _check_plain(found, MAX_DEPTH)
    return found


def _check_plain(value: Any, depth: int) -> None:
    if isinstance(value, dict | list):
        if not depth:
            raise WireError(f"expected at most {MAX_DEPTH} levels")
        if isinstance(value, dict):
            for key in value:
                if not isinstance(key, str):
                    raise WireError(f"expected text as keys, got {shown(key)}")
        for item in value.values() if isinstance(value, dict) else value:
            _check_plain(item, depth - 1)
    elif not isinstance(value, str | int | float | bool | None | np.ndarray | np.generic):
        raise WireError(f"expected plain data, got {shown(value)}")


def shown(value: object) -> str:
    """Return a value from outside, short enough for a message."""
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    text = repr(value[:9] if isinstance(value, str | list | tuple) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."
