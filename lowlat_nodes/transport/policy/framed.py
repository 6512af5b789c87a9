# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages to and from a process of another environment, over a stream, without a library at its end.

    u32 little-endian   bytes of the header
    u32 little-endian   bytes of the body
    header              JSON map: kind (text), id (number), values (map), arrays (list)
    body                the content of the arrays, one after the other, in C order

`values` holds plain data by name; `arrays` has [name, dtype, [size, ...]] for each array, with a name of its
own and one of the dtypes of `transport.arrays`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from lowlat_nodes.transport.arrays import (
    MAX_MESSAGE,
    WireError,
    checked_size,
    content,
    decode_array,
    encodable,
)

PREFIX = struct.Struct("<II")
MAX_HEADER = 1 << 20
_MOST_ARRAYS = 64


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        kind: What it is.
        number: Of the request that it belongs to.
        content: Values and arrays by name.
    """

    kind: str
    number: int
    content: Mapping[str, Any]


def encode(message: Message) -> list[bytes | memoryview]:
    """Return a message as the parts to send, one after the other.

    Raises:
        WireError: If it holds something that has no form on the wire, or too much of it.
    """
    values: dict[str, Any] = {}
    arrays: list[list[Any]] = []
    parts: list[bytes | memoryview] = []
    for name, value in message.content.items():
        if isinstance(value, np.ndarray):
            array = encodable(value)
            arrays.append([name, array.dtype.str, list(array.shape)])
            parts.append(content(array))
        else:
            values[name] = value
    fields = {"kind": message.kind, "id": message.number, "values": values, "arrays": arrays}
    try:
        header = json.dumps(fields, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"expected plain data to send: {error}") from error
    size = sum(len(part) for part in parts)
    if len(header) > MAX_HEADER or size > MAX_MESSAGE:
        raise WireError(
            f"expected at most {MAX_MESSAGE} bytes to send, got {size} and {len(header)} of header"
        )
    return [PREFIX.pack(len(header), size), header, *parts]


def decode_prefix(prefix: bytes) -> tuple[int, int]:
    """Return how many bytes of header and body follow the first 8 of a message.

    Raises:
        WireError: If they are too many.
    """
    header, body = PREFIX.unpack(prefix)
    if header > MAX_HEADER or body > MAX_MESSAGE:
        raise WireError(f"expected at most {MAX_MESSAGE} bytes, got {body} and {header} of header")
    return header, body


def decode(header: bytes, body: bytes) -> Message:
    """Return a message; its arrays share its memory and cannot be written to.

    Raises:
        WireError: If it is malformed, or body and header contradict each other.
    """
    try:
        fields = json.loads(header, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise WireError(f"expected a header of JSON: {error}") from error
    fields = fields if isinstance(fields, dict) else {}
    kind, number, values, arrays = (fields.get(key) for key in ("kind", "id", "values", "arrays"))
    if not (
        isinstance(kind, str)
        and type(number) is int
        and isinstance(values, dict)
        and isinstance(arrays, list)
        and len(arrays) <= _MOST_ARRAYS
    ):
        raise WireError("expected kind, id, values and arrays in the header")
    found, place, view = dict(values), 0, memoryview(body)
    for item in arrays:
        if not isinstance(item, list) or len(item) != 3 or not isinstance(item[0], str) or item[0] in found:
            raise WireError(f"expected arrays as [name, dtype, shape] of different names, got {item!r:.80}")
        name, dtype, shape = item
        size = checked_size(dtype, shape)
        found[name] = decode_array(dtype, shape, view[place : place + size])
        place += size
    if place != len(body):
        raise WireError(f"expected a body of {place} bytes, as the arrays in the header say, got {len(body)}")
    return Message(kind, number, found)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")
