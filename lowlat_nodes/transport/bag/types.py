# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Message types by name: their definitions, and messages of any of them as plain objects.

Known are the standard types of the sourced ROS distribution (of Jazzy where none is sourced) and every type
of a package installed here. Definitions that come inside a bag are not used: reading a message by one means
to run code that was made from it.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from rosbags.interfaces import Nodetype
from rosbags.interfaces.typing import Fielddefs, Typesdict
from rosbags.typesys import Stores, TypesysError, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from lowlat_nodes.transport.bag.errors import BagError, TypeUnknown

_NAME = re.compile(r"([a-z][a-z0-9_]*)/msg/([A-Z][A-Za-z0-9]*)\Z")
_HEADER_BYTES = 4  # of the encapsulation


class MessageTypes:
    """The message types that this installation knows."""

    def __init__(self) -> None:
        self._store = _standard(os.environ.get("ROS_DISTRO", ""))

    def __contains__(self, name: str) -> bool:
        """Return whether a type is known; one of an installed package is read from its definition here."""
        if name in self._store.fielddefs:
            return True
        try:
            self._store.register(dict(self._installed(name, set())))
        except (TypeUnknown, TypesysError):
            return False
        return True

    def definition(self, name: str) -> tuple[str, str]:
        """Return the definition of a type as bags hold it (`ros2msg`) and its RIHS01 hash.

        Raises:
            TypeUnknown: If there is no such type.
        """
        self._require(name)
        text, _ = self._store.generate_msgdef(name, ros_version=2)
        return text, self._hash(name)

    def fields(self, name: str) -> Fielddefs:
        """Return the fields of a type in order, each with its name and what rosbags says of it.

        Raises:
            TypeUnknown: If there is no such type.
        """
        self._require(name)
        return self._store.fielddefs[name][1]

    def decode(self, name: str, data: bytes) -> Any:
        """Return a message as an object with a field for each of the message's; arrays are read-only views.

        Bytes after the message are ignored: `rclpy.serialize_message` leaves some.

        Raises:
            TypeUnknown: If there is no such type.
            BagError: If the bytes are not such a message.
        """
        self._require(name)
        if data[:2] not in (b"\x00\x00", b"\x00\x01"):
            raise BagError(f"{name}: expected plain CDR (0000 or 0001), got {data[:4].hex() or 'no byte'}")
        definition = self._store.get_msgdef(name)
        read = definition.deserialize_cdr_le if data[1] else definition.deserialize_cdr_be
        try:
            message, _ = read(memoryview(data)[_HEADER_BYTES:], 0, definition.cls, self._store)
        except Exception as error:  # bytes from outside make the generated readers raise many things
            raise BagError(f"expected a {name} in {len(data)} bytes: {error}") from error
        return message

    def encode(self, name: str, message: Any) -> bytes:
        """Write a message object, the reverse of `decode`.

        Raises:
            TypeUnknown: If there is no such type.
            BagError: If its fields do not fit the type.
        """
        self._require(name)
        try:
            return bytes(self._store.serialize_cdr(message, name, little_endian=True))
        except Exception as error:  # as above, for what a processor made
            raise BagError(f"expected the fields of {name}: {type(error).__name__}: {error}") from error

    def _hash(self, name: str) -> str:
        """Return the RIHS01 hash of a type. ROS takes it of the IDL, where char has become uint8."""
        types: Typesdict = {}
        self._add_with_octets(name, types)
        if all(fields == self._store.fielddefs[each][1] for each, (_, fields) in types.items()):
            return self._store.hash_rihs01(name)
        store = get_typestore(Stores.EMPTY)
        store.register(types)
        return store.hash_rihs01(name)

    def _add_with_octets(self, name: str, types: Typesdict) -> None:
        """Add a type and those that it is made of, with uint8 in the place of char."""
        if name in types:
            return
        fields = [(key, _octets(field)) for key, field in self._store.fielddefs[name][1]]
        types[name] = [], fields
        for _, (kind, details) in fields:
            nested = details[0] if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE) else (kind, details)
            if nested[0] == Nodetype.NAME:
                self._add_with_octets(nested[1], types)

    def _require(self, name: str) -> None:
        if name not in self:
            raise TypeUnknown(name)

    def _installed(self, name: str, seen: set[str]) -> Iterator[tuple[str, Any]]:
        """Yield an installed type and those that it is made of, as far as the store lacks them."""
        if name in self._store.fielddefs or name in seen:
            return
        seen.add(name)
        for key, definition in get_types_from_msg(_text(name), name).items():
            yield key, definition
            for _, field in definition[1]:
                yield from self._installed_field(field, seen)

    def _installed_field(self, field: Any, seen: set[str]) -> Iterator[tuple[str, Any]]:
        kind, details = field
        if kind == Nodetype.NAME:
            yield from self._installed(details, seen)
        elif kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
            yield from self._installed_field(details[0], seen)


@cache
def _standard(distribution: str) -> Typestore:
    store = Stores.__members__.get(f"ROS2_{distribution.upper()}", Stores.ROS2_JAZZY)
    return get_typestore(store)


def _octets(field: Any) -> Any:
    """Return what a field is, with uint8 in the place of char."""
    kind, details = field
    if kind == Nodetype.BASE and details[0] == "char":
        return kind, ("uint8", 0)
    if kind in (Nodetype.ARRAY, Nodetype.SEQUENCE):
        return kind, (_octets(details[0]), details[1])
    return field


def _text(name: str) -> str:
    """Return the definition of an installed type."""
    match = _NAME.match(name)
    if match is None:
        raise TypeUnknown(name)
    package, message = match.groups()
    prefixes = [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]
    for prefix in prefixes:
        path = Path(prefix, "share", package, "msg", f"{message}.msg")
        if path.is_file():
            return path.read_text(encoding="utf-8")
    raise TypeUnknown(name)
