# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages of any type as `Structure`s and back, byte for byte, by the definitions of their types."""

from __future__ import annotations

from typing import Any

from rosbags.interfaces import Nodetype

from lowlat_nodes.stream.payload import Serialised, Structure
from lowlat_nodes.transport.bag.errors import TypeUnknown
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.cdr.fields import (
    NUMBERS,
    Field,
    FieldReader,
    Items,
    Nested,
    Number,
    Numbers,
    Text,
    TextUnreadable,
    TooMuch,
)
from lowlat_nodes.transport.cdr.wire import Buffer, CdrError, Reader, Writer
from lowlat_nodes.transport.zmq.schemas.ros_fields import ROOM, room_of_arrays


class TypeMismatch(CdrError):
    """A message was written by another definition of its type than is installed here."""


class Structures:
    """Turns serialised messages into structures and back.

    What it gives can be sent as it is: a message that would not fit into a header field by field stays
    serialised, and so does one of a type that is not known here (types with wide strings never are) or whose
    strings are not UTF-8.

    Args:
        types: The types that this installation knows.
    """

    def __init__(self, types: MessageTypes) -> None:
        self._types = types
        self._layouts: dict[str, tuple[Nested, str]] = {}

    def read(self, type_name: str, data: Buffer) -> Structure | Serialised:
        """Return what a message holds, or the message itself where that cannot be sent field by field.

        Arrays are read-only views that keep `data` alive. Bytes after the message are ignored:
        `rclpy.serialize_message` leaves some.

        Args:
            type_name: As in `sensor_msgs/msg/Image`.
            data: CDR with its encapsulation header.

        Raises:
            CdrError: If the bytes are not such a message.
        """
        whole = data if isinstance(data, bytes | memoryview) else memoryview(data)
        try:
            layout, type_hash = self._layout(type_name)
        except TypeUnknown:
            return Serialised(type_name, whole)
        reader = FieldReader(data, ROOM)
        try:
            reader.spend(layout.size)
            fields = layout.read(reader, type_name)
            reader.spend(room_of_arrays(reader.arrays))
        except (TooMuch, TextUnreadable):
            return Serialised(type_name, whole, type_hash)
        return Structure(type_name, fields, type_hash)

    def check(self, type_name: str, data: Buffer) -> None:
        """Check that bytes are one whole message, as far as its structure goes; strings may be any bytes.

        Args:
            type_name: As in `sensor_msgs/msg/Image`.
            data: CDR with its encapsulation header.

        Raises:
            TypeUnknown: If there is no such type here.
            CdrError: If they are not, or the type cannot be read field by field.
        """
        layout, _ = self._layout(type_name)
        layout.pass_over(Reader(data), type_name)

    def write(self, payload: Structure | Serialised) -> bytes | memoryview:
        """Return a message as CDR, the reverse of `read`. What is serialised already is not looked into.

        Raises:
            TypeUnknown: If a structure is of a type that is not known here.
            TypeMismatch: If the payload follows another definition of its type than the one here.
            CdrError: If the fields do not fit the type.
        """
        if isinstance(payload, Serialised):
            if payload.type_name in self._types:
                self._check(payload, self._layout(payload.type_name)[1])
            return payload.data
        layout, type_hash = self._layout(payload.type_name)
        self._check(payload, type_hash)
        writer = Writer()
        layout.write(writer, payload.fields, payload.type_name)
        return writer.finish()

    def serialised(self, payload: Structure) -> Serialised:
        """Return a structure as the message that ROS sends, for one whose fields are too many for a header.

        Raises:
            As `write`.
        """
        return Serialised(payload.type_name, self.write(payload), self._layout(payload.type_name)[1])

    def _check(self, payload: Structure | Serialised, own: str) -> None:
        if payload.type_hash and payload.type_hash != own:
            raise TypeMismatch(
                f"{payload.type_name}: expected the definition that is installed here ({own}), got a message "
                f"of another ({payload.type_hash}); install the same version of the package on both sides"
            )

    def _layout(self, type_name: str) -> tuple[Nested, str]:
        found = self._layouts.get(type_name)
        if found is None:
            nested = self._nested(type_name)
            found = self._layouts[type_name] = nested, self._types.definition(type_name)[1]
        return found

    def _nested(self, type_name: str) -> Nested:
        return Nested({name: self._field(description) for name, description in self._types.fields(type_name)})

    def _field(self, description: Any) -> Field:
        """Return a field by the description that rosbags gives."""
        kind, details = description
        if kind in (Nodetype.BASE, Nodetype.NAME):
            return self._item(description)
        item, count = details
        fixed = kind == Nodetype.ARRAY
        if item[0] == Nodetype.BASE and item[1][0] in NUMBERS:
            return Numbers(item[1][0], count, fixed=fixed)
        found = self._item(item)
        assert isinstance(found, Text | Nested)
        return Items(found, count, fixed=fixed)

    def _item(self, description: Any) -> Number | Text | Nested:
        kind, details = description
        if kind == Nodetype.NAME:
            return self._nested(details)
        base, bound = details
        return Text(bound) if base == "string" else Number(base)
