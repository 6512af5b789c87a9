# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The form in which processors see ROS messages: payloads where there are some, else objects with fields.

It is the same as in a bag replay, so that one processor runs in both.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from lowlat_nodes.transport import cdr

Read = Callable[[Any], cdr.Decoded]
Write = Callable[[int, str, Any], bytes]


def reader(type_name: str) -> Read:
    """Return what reads the serialised messages of a type; it raises CdrError for bytes that are none.

    Raises:
        TypeUnknown: If the type is not known here.
    """
    if type_name == "sensor_msgs/msg/JointState":
        return cdr.JointStateReader().read
    if type_name in cdr.READABLE:
        return partial(cdr.decode, type_name)
    return _object_reader(type_name)


def writer(type_name: str) -> Write:
    """Return what makes serialised messages of a stamp in ns, a frame and a payload; it raises CdrError.

    An object keeps the header that it has: stamp and frame are for payloads.

    Raises:
        TypeUnknown: If the type is not known here.
    """
    if type_name in cdr.WRITABLE:
        return partial(cdr.encode, type_name)
    return _object_writer(type_name)


def _object_reader(type_name: str) -> Read:
    from lowlat_nodes.transport.bag.codec import header_of
    from lowlat_nodes.transport.bag.errors import BagError
    from lowlat_nodes.transport.bag.types import MessageTypes

    types = MessageTypes()
    types.fields(type_name)

    def read(data: Any) -> cdr.Decoded:
        try:
            message = types.decode(type_name, data)
        except BagError as error:
            raise cdr.CdrError(str(error)) from error
        return cdr.Decoded(*header_of(message), message)

    return read


def _object_writer(type_name: str) -> Write:
    from lowlat_nodes.transport.bag.errors import BagError
    from lowlat_nodes.transport.bag.types import MessageTypes

    types = MessageTypes()
    types.fields(type_name)

    def write(_stamp_ns: int, _frame_id: str, payload: Any) -> bytes:
        found = getattr(payload, "__msgtype__", type(payload).__name__)
        if found != type_name:
            raise cdr.CdrError(f"expected a message object of {type_name}, got {found}")
        try:
            return types.encode(type_name, payload)
        except BagError as error:
            raise cdr.CdrError(str(error)) from error

    return write
