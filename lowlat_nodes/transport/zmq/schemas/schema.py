# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What makes up a schema, and the checks that several of them need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.transport.arrays import WireError, shown

Details = dict[str, Any]
Arrays = list[NDArray[Any]]

MAX_NAMES = 1 << 14
MAX_NAME = 1024  # characters
_I64 = 1 << 63


class Schema(NamedTuple):
    """How payloads of one type go over the wire.

    Attributes:
        name: As the header gives it.
        payload: The type.
        take_apart: Returns the fields that a payload adds to the header, and its arrays. Raises `WireError`
            for a payload that contradicts itself.
        put_together: Returns the payload of a header and its arrays, which come from outside. Raises
            `WireError` for any that are no such payload.
    """

    name: str
    payload: type
    take_apart: Callable[[Any], tuple[Details, Arrays]]
    put_together: Callable[[Mapping[str, Any], Arrays], Any]


def expect_arrays(schema: str, arrays: Arrays, count: int) -> None:
    """Check the number of arrays."""
    if len(arrays) != count:
        raise WireError(f"{schema}: expected {count or 'no'} array{'s'[: count != 1]}, got {len(arrays)}")


def expect_bytes(schema: str, array: NDArray[Any], what: str) -> None:
    """Check that an array is a row of bytes."""
    if array.dtype != np.uint8 or array.ndim != 1:
        raise WireError(f"{schema}: expected {what} as |u1 [n], got {form(array)}")


def checked_text(schema: str, fields: Mapping[str, Any], key: str, limit: int = MAX_NAME) -> str:
    """Return a text of the header, empty where it is not given."""
    text = fields.get(key, "")
    if type(text) is not str or len(text) > limit:
        raise WireError(f"{schema}: expected {key!r} as text of at most {limit} characters")
    return text


def checked_names(schema: str, names: Any) -> tuple[str, ...]:
    """Return a list of names, of the header or of a payload."""
    if not isinstance(names, list | tuple) or not set(map(type, names)) <= {str}:
        raise WireError(f"{schema}: expected a list of text as 'names', got {shown(names)}")
    if len(names) > MAX_NAMES or max(map(len, names), default=0) > MAX_NAME:
        raise WireError(
            f"{schema}: expected at most {MAX_NAMES} 'names' of at most {MAX_NAME} characters each"
        )
    return tuple(names)


def checked_whole(schema: str, fields: Mapping[str, Any], key: str) -> int:
    """Return a whole number from 0 to 2**63 - 1."""
    value = fields.get(key)
    if type(value) is not int or not 0 <= value < _I64:
        raise WireError(f"{schema}: expected {key!r} from 0 to 2**63 - 1, got {shown(value)}")
    return value


def form(array: NDArray[Any]) -> str:
    """Return the dtype and the shape of an array as errors show them."""
    return f"{array.dtype.str} {list(array.shape)}"


def expect_forms(schema: str, arrays: Sequence[NDArray[Any]], expected: str, *, fits: bool) -> None:
    """Raise what arrays of the wrong dtype or shape raise, unless they fit."""
    if not fits:
        raise WireError(f"{schema}: expected {expected}, got {', '.join(map(form, arrays)) or 'no arrays'}")
