# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From the bytes of a packet to its schema and its record, by what the bytes say.

Three wire formats are told apart: Avro containers of one record (ZTF); a schema in the key of a Kafka message
and a bare record as its value, as the broker FINK sends them, formerly with the name of a schema as key; and
the Confluent wire format, a zero byte, a schema number of four bytes and a bare record (Rubin).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from lowlat_nodes.alerts.avro.schema import MAX_BYTES
from lowlat_nodes.alerts.container import (
    MAGIC,
    SYNC_BYTES,
    BadContainer,
    Bytes,
    decompress,
    read_block,
    read_header,
)
from lowlat_nodes.alerts.registry import SchemaRegistry, UnknownSchema
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import Packet

MOST_SCHEMAS = 32
"""Schemas that are kept; the one that was not used for longest goes first."""

CONFLUENT_BYTES = 5


class UnreadablePacket(LowlatError):
    """A packet is of no known format, or breaks the rules of its format."""


@dataclass(frozen=True, slots=True, eq=False)
class WriterSchema:
    """A schema as its writer declared it.

    The same text gives the same object, so schemas are told apart by identity.

    Attributes:
        text: JSON.
    """

    text: bytes


@dataclass(frozen=True, slots=True)
class _KnownHeader:
    start: bytes
    """All of the container before the sync marker."""
    schema: WriterSchema
    codec: str


class Wire:
    """Opens packets; remembers the schemas that it has met.

    Most packets of a stream have the schema of an earlier one, and then 20 kB of it are compared, not parsed.

    Args:
        registry: Where schemas are found that come by number or name.
        most_bytes: A larger packet, or one that decompresses to more, is refused.
    """

    def __init__(self, registry: SchemaRegistry | None = None, most_bytes: int = 1 << 24) -> None:
        self._registry = registry or SchemaRegistry()
        self._most_bytes = most_bytes
        self._schemas: OrderedDict[bytes, WriterSchema] = OrderedDict()
        # Those used last stand first.
        self._headers: list[_KnownHeader] = []
        self._keys: list[tuple[bytes, WriterSchema]] = []
        self._numbers: OrderedDict[int, WriterSchema] = OrderedDict()

    def open(self, packet: Packet) -> tuple[WriterSchema, Bytes]:
        """Return the writer's schema and the record, a view on the packet unless it was compressed.

        Raises:
            UnreadablePacket: With the reason.
        """
        data, key = packet.data, packet.key
        if len(data) > self._most_bytes:
            msg = f"expected a packet of up to {self._most_bytes} bytes, got {len(data)}"
            raise UnreadablePacket(msg)
        try:
            if bytes(data[:4]) == MAGIC:
                return self._open_container(data)
            if key and (schema := self._by_key(key)) is not None:
                return schema, data
            if data and data[0] == 0 and len(data) > CONFLUENT_BYTES:
                number = int.from_bytes(data[1:CONFLUENT_BYTES], "big")
                return self._by_number(number), memoryview(data)[CONFLUENT_BYTES:]
        except (BadContainer, UnknownSchema) as error:
            raise UnreadablePacket(str(error)) from None
        msg = (
            f"expected an Avro container ({MAGIC!r}), a schema as key, or a zero byte and a schema number; "
            f"got {len(data)} bytes that begin with {bytes(data[:4])!r}"
        )
        raise UnreadablePacket(msg)

    def _open_container(self, data: Bytes) -> tuple[WriterSchema, Bytes]:
        known = self._known_header(data)
        end = len(known.start)
        count, stored, rest = read_block(data, end, end + SYNC_BYTES)
        if count != 1 or rest != len(data):
            more = len(data) - rest
            msg = (
                f"expected one record in a packet, got {count} in its first block and {more} bytes behind it"
            )
            raise BadContainer(msg)
        return known.schema, decompress(stored, known.codec, self._most_bytes)

    def _known_header(self, data: Bytes) -> _KnownHeader:
        for place, known in enumerate(self._headers):
            start = known.start
            # Views are compared item by item, bytes as a whole: copying first is 20 times faster.
            if data.startswith(start) if isinstance(data, bytes) else bytes(data[: len(start)]) == start:
                if place:
                    self._headers.insert(0, self._headers.pop(place))
                return known
        header = read_header(data)
        known = _KnownHeader(bytes(data[: header.end]), self._intern(header.schema), header.codec)
        if header.end <= MAX_BYTES:  # what is larger is padded, and would be in memory many times
            self._headers.insert(0, known)
            del self._headers[MOST_SCHEMAS:]
        return known

    def _by_key(self, key: bytes) -> WriterSchema | None:
        """Return the schema that a key is or names; None for keys that say something else, such as an id."""
        for place, (known, schema) in enumerate(self._keys):
            if key == known:
                if place:
                    self._keys.insert(0, self._keys.pop(place))
                return schema
        if len(key) > MAX_BYTES:
            return None
        # A key may be JSON and no schema: {"diaSourceId": 1}.
        text = key if key.lstrip()[:1] == b"{" and b'"fields"' in key else self._registry.by_name(key)
        if text is None:
            return None
        schema = self._intern(bytes(text))
        self._keys.insert(0, (bytes(key), schema))
        del self._keys[MOST_SCHEMAS:]
        return schema

    def _by_number(self, number: int) -> WriterSchema:
        schema = self._numbers.get(number)
        if schema is not None:
            self._numbers.move_to_end(number)
            return schema
        schema = self._numbers[number] = self._intern(self._registry.by_number(number))
        if len(self._numbers) > MOST_SCHEMAS:
            self._numbers.popitem(last=False)
        return schema

    def _intern(self, text: bytes) -> WriterSchema:
        schema = self._schemas.pop(text, None) or WriterSchema(text)
        self._schemas[text] = schema
        if len(self._schemas) > MOST_SCHEMAS:
            self._schemas.popitem(last=False)
        return schema
