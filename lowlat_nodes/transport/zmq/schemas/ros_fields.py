# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The fields of a ROS message in a header, with large arrays beside it: those of a `Structure` and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.arrays import DTYPES, WireError, encodable, shown
from lowlat_nodes.transport.floats import narrow, widen
from lowlat_nodes.transport.zmq.schemas.schema import Arrays

ROOM = 48 << 10
"""Bytes that the fields of a message may take in a header, so that all else has its place too."""

_FRAMES = 8  # of arrays in a message
_SMALL = 512  # bytes: such an array stands in the header
_FRAME = "@"  # no name of a field, as are those of dtypes
_DEPTH = 32
_SCALARS = frozenset({str, bool, int, float})
_ELEMENTS: dict[str, set[type]] = {"b": {bool}, "u": {int}, "i": {int}, "f": {float, int}}
"""What the elements of an array are in the header, by the kind of its dtype; many write 1.0 as 1."""


def room_of_arrays(arrays: Sequence[NDArray[Any]]) -> int:
    """Return the bytes that arrays take in a header at most, those that become frames left out."""
    limit = _largest_inside(arrays)
    sizes = ((array, 9 if array.dtype == np.float32 else array.itemsize + 1) for array in arrays)
    return sum(array.size * size for array, size in sizes if array.nbytes <= limit)


def _largest_inside(arrays: Iterable[NDArray[Any]]) -> int:
    """Return up to how many bytes an array stands in the header, so that at most 8 do not."""
    large = sorted(array.nbytes for array in arrays if array.nbytes > _SMALL)
    return large[-_FRAMES - 1] if len(large) > _FRAMES else _SMALL


def outward(fields: Mapping[str, Any]) -> tuple[dict[str, Any], Arrays]:
    """Return the fields of a structure as they stand in the header, and the arrays that do not.

    Raises:
        WireError: If they are none, or too many for a header.
    """
    result = _Outward(_SMALL)
    found = result.fields(fields, _DEPTH)
    if len(result.frames) > _FRAMES:
        arrays = result.frames
        if room_of_arrays(arrays) > ROOM:
            raise WireError(
                f"ros: expected 8 large arrays and {ROOM} bytes of others, got {len(arrays)} large ones; "
                "send the message as ROS serialises it (Structures.serialised)"
            )
        result = _Outward(_largest_inside(arrays))
        found = result.fields(fields, _DEPTH)
    return found, result.frames


class _Outward:
    """Makes values of the header of those of a structure.

    Args:
        limit: Larger arrays, in bytes, become frames.

    Attributes:
        frames: Those arrays.
    """

    def __init__(self, limit: int) -> None:
        self.frames: Arrays = []
        self._limit = limit

    def fields(self, fields: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Return a message; it has at most so many levels."""
        if not depth:
            raise WireError(f"ros: expected fields on at most {_DEPTH} levels")
        result = {}
        for name, value in fields.items():
            _check_name(name)
            result[name] = value if type(value) in _SCALARS else self._other(value, depth - 1)
        return result

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, Mapping):
            return self.fields(value, depth)
        if isinstance(value, list | tuple):
            if set(map(type, value)) == {str}:
                return value
            if all(isinstance(item, Mapping) for item in value):
                return [self.fields(item, depth) for item in value]
        raise WireError(
            "ros: expected text, numbers, arrays, mappings, and lists of text or of mappings, got "
            f"{shown(value)}"
        )

    def _array(self, array: NDArray[Any]) -> dict[str, Any]:
        if array.ndim != 1 or array.dtype == np.float16:
            raise WireError(f"ros: expected arrays [n] of what ROS has, got {array.dtype} {array.shape}")
        if array.nbytes > self._limit:
            self.frames.append(array)
            return {_FRAME: len(self.frames) - 1}
        array = encodable(array)
        if array.dtype.kind == "b" and array.size and array.view(np.uint8).max() > 1:
            raise WireError("ros: expected 0 or 1 as bool")
        return {array.dtype.str: (widen(array) if array.dtype == np.float32 else array).tolist()}


def inward(fields: Any, arrays: Arrays) -> dict[str, Any]:
    """Return the fields of a header as they are in a structure.

    Args:
        fields: What stands in the header.
        arrays: Of the message; each has its place in the fields.

    Raises:
        WireError: If that is not what a structure makes.
    """
    if type(fields) is not dict:
        raise WireError(f"ros: expected a map as 'fields', got {shown(fields)}")
    left = dict(enumerate(arrays))
    values = _inward_fields(fields, left, _DEPTH)
    if left:
        raise WireError(f"ros: expected every array in 'fields', number {min(left)} is not")
    return values


def _inward_fields(fields: dict[Any, Any], left: dict[int, NDArray[Any]], depth: int) -> dict[str, Any]:
    if not depth:
        raise WireError(f"ros: expected 'fields' on at most {_DEPTH} levels")
    result = {}
    for name, value in fields.items():
        _check_name(name)
        result[name] = value if type(value) in _SCALARS else _inward_other(value, left, depth - 1)
    return result


def _inward_other(value: Any, left: dict[int, NDArray[Any]], depth: int) -> Any:
    """Return an array, which is taken out of those that are left, a message or a list."""
    if type(value) is dict:
        if len(value) == 1:
            name, content = next(iter(value.items()))
            if name == _FRAME:
                return _array_of(content, left)
            if name in DTYPES:
                return _array_inside(name, content)
        return _inward_fields(value, left, depth)
    if type(value) is list:
        kinds = set(map(type, value))
        if kinds == {dict}:
            return [_inward_fields(item, left, depth) for item in value]
        if not kinds or kinds == {str}:
            return value
    raise WireError(f"ros: expected text, numbers, maps, and lists of text or of maps, got {shown(value)}")


def _array_of(number: Any, left: dict[int, NDArray[Any]]) -> NDArray[Any]:
    array = left.pop(number, None) if type(number) is int else None
    if array is None or array.ndim != 1 or array.dtype == np.float16:
        raise WireError(f"ros: expected each array [n] once in 'fields', got {shown(number)}")
    return array


def _array_inside(dtype: str, values: Any) -> NDArray[Any]:
    """Return an array that stands in the header."""
    kind = DTYPES[dtype]
    if type(values) is not list or not set(map(type, values)) <= _ELEMENTS[kind.kind] or kind == np.float16:
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
