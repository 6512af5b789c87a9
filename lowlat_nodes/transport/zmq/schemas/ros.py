# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `ros` and `ros_cdr`: messages of any ROS type, field by field or as ROS serialises them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Serialised, Structure
from lowlat_nodes.transport.arrays import DTYPES, WireError, encodable, shown
from lowlat_nodes.transport.floats import narrow, widen
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_text,
    expect_arrays,
    expect_bytes,
)

ROOM = 48 << 10
"""Bytes that the fields of a message may take in a header, so that all else has its place too."""

_FRAMES = 8  # of arrays in a message
_SMALL = 512  # bytes: such an array stands in the header
_FRAME = "@"  # no name of a field, as are those of dtypes
_DEPTH = 32
_U64, _I64 = 1 << 64, 1 << 63
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,127}/(?:msg|srv|action)/[A-Z][A-Za-z0-9_]{0,127}")
_HASH = re.compile(r"(?:RIHS01_[0-9a-f]{64})?")
_ENCAPSULATION = 4
_TYPES: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {float, int}}
"""What the elements of an array are in the header, by the kind of its dtype; many write 1.0 as 1."""


def room_of_arrays(arrays: Sequence[NDArray[Any]]) -> int:
    """Return the bytes that arrays take in a header at most, those that become frames left out."""
    limit = _largest_inside(array.nbytes for array in arrays)
    sizes = ((array, 9 if array.dtype == np.float32 else array.itemsize + 1) for array in arrays)
    return sum(array.size * size for array, size in sizes if array.nbytes <= limit)


def _largest_inside(sizes: Iterator[int]) -> int:
    """Return up to how many bytes an array stands in the header, so that at most 8 do not."""
    large = sorted(size for size in sizes if size > _SMALL)
    return large[-_FRAMES - 1] if len(large) > _FRAMES else _SMALL


def _take_structure(payload: Structure) -> tuple[Details, Arrays]:
    found = list(_arrays(payload.fields))
    if room_of_arrays(found) > ROOM:
        raise WireError(
            f"ros: expected 8 large arrays and {ROOM} bytes of others in fields, got {len(found)} arrays; "
            "send the message as ROS serialises it (Structures.serialised)"
        )
    limit = _largest_inside(array.nbytes for array in found)
    arrays: Arrays = []
    fields = _outward(payload.fields, limit, arrays, _DEPTH)
    return {**_type_of(payload), "fields": fields}, arrays


def _put_structure(header: Mapping[str, Any], arrays: Arrays) -> Structure:
    fields = header.get("fields")
    if type(fields) is not dict:
        raise WireError(f"ros: expected a map as 'fields', got {shown(fields)}")
    left = dict(enumerate(arrays))
    values = _inward_map(fields, left, _DEPTH)
    if left:
        raise WireError(f"ros: expected every array in 'fields', number {min(left)} is not")
    type_name, type_hash = _checked_type("ros", header)
    return Structure(type_name, values, type_hash)


def _arrays(value: Any) -> Iterator[NDArray[Any]]:
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _arrays(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _arrays(item)


def _outward(value: Any, limit: int, arrays: Arrays, depth: int) -> Any:
    """Return a value of a structure as it stands in the header; what does not is added to the arrays."""
    kind = type(value)
    if kind is str or kind is bool or kind is float or (kind is int and -_I64 <= value < _U64):
        return value
    if not depth:
        raise WireError(f"ros: expected fields on at most {_DEPTH} levels")
    if isinstance(value, np.ndarray):
        return _outward_array(value, limit, arrays)
    if isinstance(value, Mapping):
        for name in value:
            _check_name(name)
        return {name: _outward(item, limit, arrays, depth - 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        _check_items(value)
        return [_outward(item, limit, arrays, depth - 1) for item in value]
    raise WireError(f"ros: expected text, numbers, arrays, mappings and lists of them, got {kind.__name__}")


def _outward_array(array: NDArray[Any], limit: int, arrays: Arrays) -> dict[str, Any]:
    if array.ndim != 1 or array.dtype == np.float16:
        raise WireError(f"ros: expected arrays [n] of numbers that ROS has, got {array.dtype} {array.shape}")
    if array.nbytes > limit:
        arrays.append(array)
        return {_FRAME: len(arrays) - 1}
    array = encodable(array)
    if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
        raise WireError("ros: expected 0 or 1 as bool")
    return {array.dtype.str: (widen(array) if array.dtype == np.float32 else array).tolist()}


def _inward(value: Any, left: dict[int, NDArray[Any]], depth: int) -> Any:
    """Return a value of the header as it is in a structure; arrays are taken out of those that are left."""
    kind = type(value)
    if kind is str or kind is bool or kind is float or kind is int:
        return value
    if not depth:
        raise WireError(f"ros: expected 'fields' on at most {_DEPTH} levels")
    if kind is dict:
        if len(value) == 1:
            name, content = next(iter(value.items()))
            if name == _FRAME:
                return _array_of(content, left)
            if name in DTYPES:
                return _array_inside(name, content)
        return _inward_map(value, left, depth - 1)
    if kind is list:
        _check_items(value)
        return [_inward_map(item, left, depth - 1) if type(item) is dict else item for item in value]
    raise WireError(f"ros: expected text, numbers, maps and lists of text or maps, got {shown(value)}")


def _inward_map(fields: dict[Any, Any], left: dict[int, NDArray[Any]], depth: int) -> dict[str, Any]:
    for name in fields:
        _check_name(name)
    return {name: _inward(value, left, depth) for name, value in fields.items()}


def _array_of(number: Any, left: dict[int, NDArray[Any]]) -> NDArray[Any]:
    array = left.pop(number, None) if type(number) is int else None
    if array is None or array.ndim != 1 or array.dtype == np.float16:
        raise WireError(f"ros: expected each array [n] once in 'fields', got {shown(number)}")
    return array


def _array_inside(dtype: str, values: Any) -> NDArray[Any]:
    """Return an array that stands in the header."""
    kind = np.dtype(dtype)
    types = _TYPES[kind.kind]
    if type(values) is not list or not set(map(type, values)) <= types or kind == np.float16:
        raise WireError(f"ros: expected a list of numbers that {dtype} has, got {shown(values)}")
    if kind.kind in "ui" and values:
        limits = np.iinfo(kind)
        if min(values) < limits.min or max(values) > limits.max:
            raise WireError(f"ros: expected numbers from {limits.min} to {limits.max} as {dtype}")
    array: NDArray[Any] = np.array(values, np.float64 if kind.kind == "f" else kind)
    if kind == np.float32:
        array = narrow(array)
    array.setflags(write=False)
    return array


def _check_name(name: Any) -> None:
    if type(name) is not str or not name.isidentifier():
        raise WireError(f"ros: expected names of fields, got {shown(name)}")


def _check_items(items: Sequence[Any]) -> None:
    kinds = set(map(type, items))
    if kinds and kinds not in ({str}, {dict}):
        raise WireError(f"ros: expected a list of text or of maps, got {shown(items)}")


def _take_serialised(payload: Serialised) -> tuple[Details, Arrays]:
    array = np.frombuffer(payload.data, np.uint8)
    _check_cdr(array)
    return _type_of(payload), [array]


def _put_serialised(header: Mapping[str, Any], arrays: Arrays) -> Serialised:
    expect_arrays("ros_cdr", arrays, 1)
    expect_bytes("ros_cdr", arrays[0], "the message")
    _check_cdr(arrays[0])
    type_name, type_hash = _checked_type("ros_cdr", header)
    return Serialised(type_name, arrays[0].data, type_hash)


def _check_cdr(data: NDArray[np.uint8]) -> None:
    if data.size < _ENCAPSULATION:
        raise WireError(f"ros_cdr: expected CDR with its encapsulation header, got {data.size} bytes")


def _type_of(payload: Structure | Serialised) -> Details:
    details = {"type": payload.type_name, "hash": payload.type_hash}
    _checked_type("ros", details)
    return details


def _checked_type(schema: str, header: Mapping[str, Any]) -> tuple[str, str]:
    name, type_hash = checked_text(schema, header, "type"), checked_text(schema, header, "hash")
    if not _TYPE.fullmatch(name):
        raise WireError(f"{schema}: expected a 'type' such as sensor_msgs/msg/Image, got {shown(name)}")
    if not _HASH.fullmatch(type_hash):
        raise WireError(
            f"{schema}: expected RIHS01_ and 64 hexadecimal digits as 'hash', got {shown(type_hash)}"
        )
    return name, type_hash


ROS = Schema("ros", Structure, _take_structure, _put_structure)
ROS_CDR = Schema("ros_cdr", Serialised, _take_serialised, _put_serialised)
