# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests and responses of ROS services of any installed type, as bytes and as plain data."""

from __future__ import annotations

import array
import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.serialization import deserialize_message, serialize_message

from lowlat_nodes.stream.errors import ConfigurationError, LowlatError

_ARRAY = re.compile(r"(?:sequence<(?P<sequence>.+?)(?:, \d+)?>|(?P<array>[^\[]+)\[\d+\])\Z")
_DEEPEST = 16


class ServiceError(LowlatError):
    """Bytes or data that are no request or response of their type."""


def service_type(type_name: str) -> Any:
    """Return the class of a ROS service.

    Args:
        type_name: As in `std_srvs/srv/SetBool`.

    Raises:
        ConfigurationError: If no such service is installed.
    """
    package, _, name = type_name.partition("/srv/")
    try:
        return getattr(importlib.import_module(f"{package}.srv"), name)
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise ConfigurationError(
            f"expected an installed service type such as std_srvs/srv/SetBool, got {type_name!r} ({error})"
        ) from error


def serialise(message: Any) -> bytes:
    """Return a request or response as CDR."""
    return bytes(serialize_message(message))


def deserialise(kind: Any, data: bytes) -> Any:
    """Return a request or response.

    Raises:
        ServiceError: If the bytes are none.
    """
    try:
        return deserialize_message(data, kind)
    except (rclpy_implementation.RMWError, rclpy_implementation.RCLError, ValueError, MemoryError) as error:
        raise ServiceError(
            f"expected a serialised {kind.__name__}, got {len(data)} bytes that are none"
        ) from error


def to_plain(message: Any) -> dict[str, Any]:
    """Return a request or response as nested plain data, as JSON has it; bytes become numbers."""
    return {name: _plain(getattr(message, name)) for name in message.get_fields_and_field_types()}


def from_plain(kind: Any, fields: Mapping[str, Any]) -> Any:
    """Return a request or response of plain data; fields that are not given have their defaults.

    Raises:
        ServiceError: If there is no such field, or a value is of another type.
    """
    return _filled(kind(check_fields=True), fields, kind.__name__, _DEEPEST)


def _plain(value: Any) -> Any:
    if hasattr(value, "get_fields_and_field_types"):
        return to_plain(value)
    if isinstance(value, bytes):
        return value[0]
    if isinstance(value, np.ndarray | array.array):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _filled(message: Any, fields: Any, where: str, depth: int) -> Any:
    if not isinstance(fields, Mapping) or not depth:
        raise ServiceError(f"{where}: expected fields by name, got {type(fields).__name__}")
    types = message.get_fields_and_field_types()
    for name, given in fields.items():
        if name not in types:
            raise ServiceError(f"{where}: there is no field {name!r}; there are {', '.join(types) or 'none'}")
        value = _value(types[name], given, f"{where}.{name}", depth - 1)
        try:
            setattr(message, name, value)
        except (AssertionError, TypeError, ValueError, OverflowError) as error:
            raise ServiceError(f"{where}.{name}: expected {types[name]}, got {str(given)[:40]}") from error
    return message


def _value(type_name: str, given: Any, where: str, depth: int) -> Any:
    if match := _ARRAY.match(type_name):
        if not isinstance(given, Sequence) or isinstance(given, str):
            raise ServiceError(f"{where}: expected a list for {type_name}, got {type(given).__name__}")
        inner = match["sequence"] or match["array"]
        return [_value(inner, item, f"{where}[{index}]", depth) for index, item in enumerate(given)]
    if "/" in type_name:
        package, _, name = type_name.partition("/")
        inner_type = getattr(importlib.import_module(f"{package}.msg"), name)
        return _filled(inner_type(check_fields=True), given, where, depth)
    if type_name == "octet" and type(given) is int and 0 <= given < 256:
        return bytes([given])
    if type_name in {"float", "double"} and type(given) is int:
        return float(given)
    return given
