# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Records as JSON: the values of Kafka messages, and the text of ROS messages.

One object per record, UTF-8 without line breaks (RFC 8259). NaN and infinities have no place in it. Numbers
without fraction are of 64 bits.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record, Text
from lowlat_nodes.transport.arrays import WireError, shown

MAX_RECORD = 1 << 20
"""Bytes of a record."""

PUBLISHED = "published_ns"
"""The field that says when a record was published."""

_MAX_DEPTH = 8
_MAX_VALUES = 10_000
_I64 = 1 << 63

_JSON = json.JSONEncoder(
    ensure_ascii=False,
    check_circular=False,  # recursion ends all the same, and this looks up each container
    allow_nan=False,
    separators=(",", ":"),
)


def encode(record: Record, published_ns: int = 0) -> bytes:
    """Return a record as JSON; its key is not in it.

    Args:
        record: What `decode` gives.
        published_ns: When it is published; adds that field, unless 0.

    Raises:
        WireError: If it holds what JSON cannot say, such as NaN, or is too large.
    """
    fields = {**record.fields, PUBLISHED: published_ns} if published_ns else record.fields
    try:
        data = _JSON.encode(fields).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"record: expected plain data and finite numbers: {error}") from error
    if len(data) > MAX_RECORD:
        raise WireError(f"record: expected at most {MAX_RECORD} bytes, got {len(data)}")
    return data


def decode(data: bytes | bytearray | memoryview | str, key: bytes = b"") -> Record:
    """Return a record with the fields that JSON holds, `published_ns` among them where it is there.

    Args:
        data: The JSON.
        key: The key that came with it.

    Raises:
        WireError: If it is not such a JSON object, is too large, or nests deeper or holds more than any
            record.
    """
    if len(data) > MAX_RECORD:
        raise WireError(f"record: expected at most {MAX_RECORD} bytes, got {len(data)}")
    try:
        text = data if isinstance(data, str) else str(data, "utf-8")
        fields = json.loads(text, parse_constant=_refuse)
        if "\\u" in text:
            _JSON.encode(fields).encode()  # an escape can make half a surrogate pair, which is no text
    except (ValueError, RecursionError) as error:
        raise WireError(f"record: expected JSON: {error}") from error
    check(fields)
    return Record(fields, key)


def as_text(message: Message) -> Message:
    """Return a message with its record as JSON text, as in a std_msgs/String."""
    data = encode(message.payload, message.trace.published_ns)
    return message.derive(message.topic, Text(data.decode()))


def check(fields: Any) -> None:
    """Check what came as the fields of a record.

    Raises:
        WireError: If it is no mapping of text to plain data, or has numbers that are not finite or not of 64
            bits, more than 10,000 values or more than 8 levels.
    """
    if not isinstance(fields, dict):
        raise WireError(f"record: expected a mapping, got {shown(fields)}")
    _count(fields, _MAX_DEPTH, _MAX_VALUES)


def _count(container: dict[Any, Any] | list[Any], depth: int, left: int) -> int:
    """Check what is in a container; return how many more values there may be."""
    left -= len(container)
    if not depth or left < 0:
        raise WireError(f"record: expected at most {_MAX_VALUES} values on {_MAX_DEPTH} levels")
    values: Any = container
    if isinstance(container, dict):
        values = container.values()
        for name in container:
            if type(name) is not str:
                raise WireError(f"record: expected text as names, got {shown(name)}")
    for value in values:
        kind = type(value)
        if kind is float:
            if not math.isfinite(value):
                raise WireError(f"record: expected finite numbers, got {value}")
        elif kind is int:
            if not -_I64 <= value < _I64:
                raise WireError("record: expected whole numbers of 64 bits")
        elif kind is dict or kind is list:
            left = _count(value, depth - 1, left)
        elif value is not None and kind is not str and kind is not bool:
            raise WireError(f"record: expected plain data, got {shown(value)}")
    return left


def _refuse(name: str) -> NoReturn:
    raise WireError(f"record: expected finite numbers, got {name}")
