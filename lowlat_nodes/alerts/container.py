# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Avro object container files: their header and their records (Avro 1.12 specification).

On the wire of a survey every packet is such a file of one record, with its schema in the header.
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from lowlat_nodes.alerts.avro import Reader
from lowlat_nodes.alerts.avro.schema import MAX_BYTES
from lowlat_nodes.alerts.avro.writer import write_long
from lowlat_nodes.alerts.projection import Projection
from lowlat_nodes.stream.errors import LowlatError

MAGIC = b"Obj\x01"
SYNC_BYTES = 16
MAX_METADATA = 64
"""Entries in a header; surveys write two."""

MAX_ENTRY = MAX_BYTES
"""Bytes of one entry, which may be a schema."""

CODECS = ("null", "deflate", "zstandard")

Bytes = bytes | memoryview


class BadContainer(LowlatError):
    """Bytes are not an Avro container file, or one of a kind that is not read here."""


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the blocks.

    Attributes:
        schema: Of the writer, JSON.
        codec: One of `CODECS`.
        end: Where the metadata end; the sync marker follows.
    """

    schema: bytes
    codec: str
    end: int


def read_long(data: Bytes, at: int) -> tuple[int, int]:
    """Return the zigzag varint at a place, and where it ends.

    Raises:
        BadContainer: The data end first, or it has more than 64 bits.
    """
    value = shift = 0
    for position in range(at, min(at + 10, len(data))):
        byte = data[position]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), position + 1
        shift += 7
    msg = f"expected a number at byte {at} of {len(data)}; it does not end within 10 bytes or the data"
    raise BadContainer(msg)


def read_header(data: Bytes) -> Header:
    """Return the header of a container.

    Raises:
        BadContainer: It is none, is cut, has no schema or an unknown codec.
    """
    if bytes(data[:4]) != MAGIC:
        msg = f"expected an Avro container ({MAGIC!r}), got {bytes(data[:4])!r}"
        raise BadContainer(msg)
    metadata: dict[bytes, bytes] = {}
    at = 4
    while True:
        count, at = read_long(data, at)
        if count < 0:  # then the size of this part follows, for those who skip it
            count = -count
            _, at = read_long(data, at)
        if count == 0:
            break
        if len(metadata) + count > MAX_METADATA:
            msg = f"expected a header of up to {MAX_METADATA} entries, got {len(metadata) + count}"
            raise BadContainer(msg)
        for _ in range(count):
            name, at = _read_bytes(data, at)
            metadata[name], at = _read_bytes(data, at)
    if b"avro.schema" not in metadata:
        msg = "expected a header with avro.schema; it has none"
        raise BadContainer(msg)
    codec = metadata.get(b"avro.codec", b"null").decode("utf-8", "replace")
    if codec not in CODECS:
        msg = f"expected a container with the codec {', '.join(CODECS)}, got {codec!r}"
        raise BadContainer(msg)
    return Header(metadata[b"avro.schema"], codec, at)


def _read_bytes(data: Bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    if not 0 <= size <= min(MAX_ENTRY, len(data) - at):
        msg = f"a header announces {size} bytes at byte {at} of {len(data)}; up to {MAX_ENTRY} are read"
        raise BadContainer(msg)
    return bytes(data[at : at + size]), at + size


def read_block(data: Bytes, header_end: int, at: int) -> tuple[int, memoryview, int]:
    """Return a block: how many records, their bytes as they are stored, and where the block ends.

    Args:
        data: The container.
        header_end: `Header.end`.
        at: Where the block begins.

    Raises:
        BadContainer: It is cut, or the sync marker behind it is not that of the header.
    """
    count, at = read_long(data, at)
    size, at = read_long(data, at)
    end = at + size
    if count < 0 or size < 0 or end + SYNC_BYTES > len(data):
        msg = f"a block announces {count} records in {size} bytes; {len(data) - at} bytes are left"
        raise BadContainer(msg)
    if data[end : end + SYNC_BYTES] != data[header_end : header_end + SYNC_BYTES]:
        msg = f"the sync marker at byte {end} is not that of the header"
        raise BadContainer(msg)
    return count, memoryview(data)[at:end], end + SYNC_BYTES


def decompress(stored: memoryview, codec: str, most_bytes: int) -> memoryview:
    """Return the records of a block.

    Args:
        stored: The bytes of the block.
        codec: One of `CODECS`.
        most_bytes: More is refused.

    Raises:
        BadContainer: The bytes do not decompress, or to more than that.
    """
    if codec == "null":
        return stored
    try:
        data = (_inflate if codec == "deflate" else _decompress_zstandard)(stored, most_bytes + 1)
    except ValueError as error:
        msg = f"a block does not decompress with {codec}: {error}"
        raise BadContainer(msg) from None
    if len(data) > most_bytes:
        msg = f"expected a block of up to {most_bytes} bytes, got more ({len(stored)} compressed)"
        raise BadContainer(msg)
    return memoryview(data)


def _inflate(stored: memoryview, most_bytes: int) -> bytes:
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = machine.decompress(stored, most_bytes)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    # Some writers leave a part of a checksum behind the stream.
    if len(data) < most_bytes and not machine.eof:
        raise ValueError("the stream has no end")
    return data


def _decompress_zstandard(stored: memoryview, most_bytes: int) -> bytes:
    import zstandard

    machine = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        # The size that a stream announces need not be true; reading so much is bounded.
        with machine.stream_reader(stored) as stream:
            return stream.read(most_bytes)
    except (zstandard.ZstdError, MemoryError) as error:
        raise ValueError(str(error)) from None


def split(data: Bytes, most_bytes: int = 1 << 28) -> Iterator[bytes]:
    """Yield each record of a container as a container of its own, as surveys send them.

    Args:
        data: The container, such as a file that a broker recorded.
        most_bytes: The most that one block may decompress to.

    Raises:
        BadContainer: It is none, or what follows is broken.
        LowlatError: A record does not fit the schema.
    """
    header = read_header(data)
    reader = _measure(header.schema)
    sync = bytes(data[header.end : header.end + SYNC_BYTES])
    start = write_header(header.schema)
    at = header.end + SYNC_BYTES
    while at < len(data):
        count, stored, at = read_block(data, header.end, at)
        records = decompress(stored, header.codec, most_bytes)
        for _ in range(count):
            size = reader.length(records)
            yield write_record(start, bytes(records[:size]), sync)
            records = records[size:]


@functools.lru_cache(maxsize=8)
def _measure(schema: bytes) -> Reader:
    """Return what tells how long records are; the files of a night have one schema."""
    return Reader(schema, Projection({}))


def write_header(schema: bytes) -> bytes:
    """Return what stands before the sync marker of a container without compression."""
    entries = {b"avro.codec": b"null", b"avro.schema": schema}
    texts = [text for entry in entries.items() for text in entry]
    body = b"".join(_long(len(text)) + text for text in texts)
    return MAGIC + _long(len(entries)) + body + _long(0)


def write_record(header: bytes, record: bytes, sync: bytes) -> bytes:
    """Return a container of one record.

    Args:
        header: Of `write_header`.
        record: As Avro writes it.
        sync: Any 16 bytes.
    """
    return b"".join((header, sync, _long(1), _long(len(record)), record, sync))


def _long(value: int) -> bytes:
    out = bytearray()
    write_long(out, value)
    return bytes(out)
