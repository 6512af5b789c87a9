# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of our own protocol: a header, a body, and each array in a frame of its own.

Frames: [header] [body] [array 0] [array 1] ... Header and body are msgpack maps. The header says what the
message is, which request it belongs to and how the arrays are laid out; a request can be skipped without
touching the rest. The body is plain data, with `{"$array": i}` where array i belongs. Arrays are raw bytes in
C order and little-endian. docs/policy_protocol.md has every byte, and test vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import zmq

from lowlat_nodes.transport.arrays import (
    MAX_MESSAGE,
    WireError,
    content,
    decode_array,
    encodable,
    unpack,
)

VERSION = 1

DESCRIBE, DESCRIPTION = "describe", "description"
REQUEST, ANSWER = "request", "answer"
RESET, DONE = "reset", "done"
ERROR = "error"
KINDS = frozenset({DESCRIBE, DESCRIPTION, REQUEST, ANSWER, RESET, DONE, ERROR})

MAX_HEADER = 1 << 13
MAX_BODY = 1 << 20
MAX_ARRAYS = 64
MAX_FRAMES = 2 + MAX_ARRAYS

_REFERENCE = "$array"
_U64 = 1 << 64
_LONGEST_BUDGET_NS = 3_600_000_000_000


@dataclass(frozen=True)
class Header:
    """What a message is.

    Attributes:
        kind: One of `KINDS`.
        number: Of the request, chosen by the client; the reply repeats it. u64.
        budget_ns: Time from arrival until the reply is of no use; 0 where there is no limit. At most an hour.
        arrays: dtype and shape of each array.
    """

    kind: str
    number: int
    budget_ns: int = 0
    arrays: tuple[tuple[str, tuple[int, ...]], ...] = ()


def encode(
    kind: str, number: int, body: Mapping[str, Any], *, budget_ns: int = 0
) -> list[bytes | memoryview]:
    """Return the frames of a message; arrays are not copied.

    Raises:
        WireError: If the body holds something that has no form on the wire, or too much of it.
    """
    arrays: list[np.ndarray] = []

    def put(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(encodable(value))
            return {_REFERENCE: len(arrays) - 1}
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"got {type(value).__name__}")

    try:
        packed = msgpack.packb(body, default=put)
    except (TypeError, ValueError, OverflowError) as error:
        raise WireError(f"expected plain data to send: {error}") from error
    if len(arrays) > MAX_ARRAYS:
        raise WireError(f"expected at most {MAX_ARRAYS} arrays in a message, got {len(arrays)}")
    if len(packed) > MAX_BODY or any(array.nbytes > MAX_MESSAGE for array in arrays):
        raise WireError(
            f"expected a body of at most {MAX_BODY} bytes and arrays of at most {MAX_MESSAGE}, got "
            f"{len(packed)} and {max((array.nbytes for array in arrays), default=0)}"
        )
    header = {"v": VERSION, "kind": kind, "id": number}
    if budget_ns:
        header["budget_ns"] = min(budget_ns, _LONGEST_BUDGET_NS)
    if arrays:
        header["arrays"] = [[array.dtype.str, array.shape] for array in arrays]
    return [msgpack.packb(header), packed, *map(content, arrays)]


def decode_header(frames: Sequence[zmq.Frame]) -> Header:
    """Return what the first frame of a message says; the others are only counted.

    Raises:
        WireError: If it is malformed, of another version, or tells of another number of arrays than came.
    """
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 2 to {MAX_FRAMES} frames, got {len(frames)}")
    fields = _unpack_header(_bytes(frames[0], MAX_HEADER, "header"))
    if not isinstance(fields, dict) or type(fields.get("v")) is not int:
        raise WireError("header: expected a map with the version as 'v'")
    if fields["v"] != VERSION:
        raise WireError(f"header: expected version {VERSION} of the protocol, got {fields['v']}")
    kind, number = fields.get("kind"), fields.get("id")
    if not isinstance(kind, str) or kind not in KINDS:
        raise WireError(f"header: expected a kind of {', '.join(sorted(KINDS))}")
    if type(number) is not int or not 0 <= number < _U64:
        raise WireError("header: expected an id from 0 to 2**64 - 1")
    budget_ns = fields.get("budget_ns", 0)
    if type(budget_ns) is not int or not 0 <= budget_ns <= _LONGEST_BUDGET_NS:
        raise WireError(f"header: expected budget_ns from 0 to {_LONGEST_BUDGET_NS}")
    arrays = fields.get("arrays", [])
    if not isinstance(arrays, list) or len(arrays) != len(frames) - 2:
        raise WireError(f"header: expected an entry in 'arrays' for each of {len(frames) - 2} frames")
    for entry in arrays:
        if not isinstance(entry, list) or len(entry) != 2 or not isinstance(entry[1], list):
            raise WireError("header: expected [dtype, [size, ...]] for each array")
    return Header(kind, number, budget_ns, tuple((dtype, tuple(shape)) for dtype, shape in arrays))


def _unpack_header(data: bytes) -> Any:
    """Return what a header holds; unknown keys may hold anything, and are left alone."""
    try:
        return msgpack.unpackb(data, max_map_len=64, max_array_len=MAX_ARRAYS, max_bin_len=0, max_ext_len=0)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise WireError(f"header: expected msgpack: {type(error).__name__}: {error}") from error


def decode_body(header: Header, frames: Sequence[zmq.Frame]) -> dict[str, Any]:
    """Return the body of a message; its arrays lie in the frames' memory and cannot be written to.

    Raises:
        WireError: If it is malformed, or an array does not have the size that the header says, or is
            referred to twice or never.
    """
    arrays = [
        decode_array(dtype, shape, frame.buffer)
        for (dtype, shape), frame in zip(header.arrays, frames[2:], strict=True)
    ]
    left = set(range(len(arrays)))

    def get(fields: dict[Any, Any]) -> Any:
        if _REFERENCE not in fields:
            return fields
        index = fields[_REFERENCE]
        if len(fields) != 1 or type(index) is not int or index not in left:
            raise WireError(f"body: expected {_REFERENCE} to refer to each of {len(arrays)} arrays once")
        left.remove(index)
        return arrays[index]

    body = unpack(_bytes(frames[1], MAX_BODY, "body"), object_hook=get)
    if not isinstance(body, dict):
        raise WireError(f"body: expected a map, got {type(body).__name__}")
    if left:
        raise WireError(f"body: expected {_REFERENCE} to refer to each of {len(arrays)} arrays once")
    return body


def _bytes(frame: zmq.Frame, most: int, name: str) -> bytes:
    if len(frame) > most:
        raise WireError(f"{name}: expected at most {most} bytes, got {len(frame)}")
    return frame.bytes
