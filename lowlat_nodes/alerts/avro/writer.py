# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Writes records of plain Python values, for packets made here (Avro 1.12, "Binary Encoding")."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

from lowlat_nodes.alerts.avro.schema import (
    Array,
    BadSchema,
    Primitive,
    Record,
    Type,
    Union,
    parse,
)

_Write = Callable[[bytearray, Any], None]

_BOUNDS = {"int": 1 << 31, "long": 1 << 63}
_NUMBERS = {"float": struct.Struct("<f"), "double": struct.Struct("<d")}
_KINDS: dict[str, tuple[type, ...]] = {
    "null": (type(None),),
    "boolean": (bool,),
    "int": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "bytes": (bytes,),
    "string": (str,),
}


class Writer:
    """Writes records of one schema.

    Values are None, bool, int, float, bytes, str, lists, and dictionaries for records; of a union the first
    type that a value is of.

    Args:
        schema: JSON in UTF-8.

    Raises:
        BadSchema: It is none, or has maps, enumerations, fixed or recursive types; no packet of ours has.
    """

    def __init__(self, schema: bytes) -> None:
        self._write = _writer(parse(schema))

    def write(self, record: Mapping[str, Any]) -> bytes:
        """Return a record as Avro writes it.

        Raises:
            ValueError: A value does not fit the schema.
        """
        out = bytearray()
        self._write(out, record)
        return bytes(out)


def write_long(out: bytearray, value: int) -> None:
    """Append a number of up to 64 bits as a zigzag varint."""
    value = (value << 1) ^ (value >> 63)
    while value > 0x7F:
        out.append((value & 0x7F) | 0x80)
        value >>= 7
    out.append(value)


def _writer(schema: Type) -> _Write:
    if isinstance(schema, Primitive):
        return _primitive(schema.name)
    if isinstance(schema, Array):
        return _array(schema)
    if isinstance(schema, Union):
        return _union(schema)
    if isinstance(schema, Record) and not schema.recursive:
        return _record(schema)
    msg = f"expected records, arrays, unions and primitive types to write, got {type(schema).__name__}"
    raise BadSchema(msg)


def _primitive(name: str) -> _Write:
    kinds, bound, number = _KINDS[name], _BOUNDS.get(name, 0), _NUMBERS.get(name)

    def write(out: bytearray, value: Any) -> None:
        if type(value) not in kinds:
            msg = f"expected {name}, got {value!r}"
            raise ValueError(msg)
        if number is not None:
            out += number.pack(value)
        elif bound:
            if not -bound <= value < bound:
                msg = f"expected {name}, got {value}, which is too large"
                raise ValueError(msg)
            write_long(out, value)
        elif name in {"bytes", "string"}:
            data = value if name == "bytes" else value.encode()
            write_long(out, len(data))
            out += data
        elif name == "boolean":
            out.append(value)

    return write


def _array(schema: Array) -> _Write:
    item = _writer(schema.items)

    def write(out: bytearray, values: Any) -> None:
        if type(values) is not list:
            msg = f"expected a list, got {values!r}"
            raise ValueError(msg)
        if values:
            write_long(out, len(values))
            for value in values:
                item(out, value)
        out.append(0)

    return write


def _union(schema: Union) -> _Write:
    branches = [(_kinds(branch), _writer(branch)) for branch in schema.branches]

    def write(out: bytearray, value: Any) -> None:
        for number, (kinds, branch) in enumerate(branches):
            if type(value) in kinds:
                write_long(out, number)
                return branch(out, value)
        msg = f"expected one of {len(branches)} types of a union, got {value!r}"
        raise ValueError(msg)

    return write


def _kinds(schema: Type) -> tuple[type, ...]:
    if isinstance(schema, Primitive):
        return _KINDS[schema.name]
    return (list,) if isinstance(schema, Array) else (dict,)


def _record(schema: Record) -> _Write:
    fields = [(name, _writer(type_)) for name, type_ in schema.fields.items()]
    names = schema.fields.keys()

    def write(out: bytearray, value: Any) -> None:
        if type(value) is not dict or value.keys() - names:
            msg = f"expected a record {schema.name} of {', '.join(names)}, got {value!r}"
            raise ValueError(msg)
        try:
            for name, field in fields:
                field(out, value.get(name))  # what is left out is null, where that is a type of the field
        except (ValueError, OverflowError) as error:
            msg = f"{schema.name}.{name}: {error}"
            raise ValueError(msg) from None

    return write
