# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Containers: header, blocks, codecs with bounded output, and files of many records taken apart."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import pytest

from lowlat_nodes.alerts.container import (
    MAGIC,
    MAX_ENTRY,
    SYNC_BYTES,
    BadContainer,
    decompress,
    read_block,
    read_header,
    read_long,
    split,
    write_header,
    write_record,
)

SCHEMA = b'{"type": "record", "name": "point", "fields": [{"name": "x", "type": "long"}]}'
SYNC = bytes(range(SYNC_BYTES))
HUGE = b"\x80\x80\x80\x80\x10"  # 2 GiB


@pytest.mark.parametrize(
    ("data", "value"), [(b"\x00", 0), (b"\x01", -1), (b"\x02", 1), (b"\xac\x02", 150), (HUGE, 1 << 31)]
)
def test_numbers(data: bytes, value: int) -> None:
    assert read_long(b"?" + data + b"?", 1) == (value, 1 + len(data))


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff" * 10])
def test_numbers_that_do_not_end(data: bytes) -> None:
    with pytest.raises(BadContainer, match="does not end"):
        read_long(data, 0)


def test_what_is_written_is_read() -> None:
    packet = write_record(write_header(SCHEMA), b"\x0e", SYNC)
    header = read_header(packet)
    assert (header.schema, header.codec) == (SCHEMA, "null")
    assert packet[header.end : header.end + SYNC_BYTES] == SYNC
    count, stored, end = read_block(packet, header.end, header.end + SYNC_BYTES)
    assert (count, bytes(stored), end) == (1, b"\x0e", len(packet))


@pytest.mark.alerts
def test_what_is_written_is_read_by_others() -> None:
    fastavro = pytest.importorskip("fastavro")
    packet = write_record(write_header(SCHEMA), b"\x0e", SYNC)
    assert list(fastavro.reader(io.BytesIO(packet))) == [{"x": 7}]


def test_metadata_may_come_in_parts_with_their_size() -> None:
    """As writers may do that do not know all entries at first."""
    name, codec = b"\x16avro.schema", b"\x14avro.codec\x08null"
    schema = name + bytes([2 * len(SCHEMA) % 128 | 0x80, 2 * len(SCHEMA) // 128]) + SCHEMA
    header = read_header(
        MAGIC + b"\x01" + bytes([2 * len(codec)]) + codec + b"\x02" + schema + b"\x00" + SYNC
    )
    assert (header.schema, header.codec) == (SCHEMA, "null")


def _changed(old: bytes, new: bytes) -> bytes:
    header = write_header(SCHEMA)
    assert old in header
    return header.replace(old, new) + SYNC


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "expected an Avro container"),
        (b"Obj\x02" + bytes(20), "expected an Avro container"),
        (MAGIC, "does not end"),
        (write_header(SCHEMA)[:40], "announces"),
        (_changed(b"\x16avro.schema", b"\x16avro.schemb"), "has none"),
        (_changed(b"\x08null", b"\x0csnappy"), "got 'snappy'"),
        (_changed(b"\x08null", b"\x08nu\xffl"), "got 'nu\ufffdl'"),
        (MAGIC + HUGE, "up to 64 entries"),
        (MAGIC + b"\x02" + HUGE + b"avro.schema", "announces 2147483648 bytes"),
        (MAGIC + b"\x02\x01", "announces -1 bytes"),
        (write_header(bytes(MAX_ENTRY + 1)), "up to 1048576 are read"),
    ],
)
def test_headers_that_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(BadContainer, match=reason):
        read_header(data)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (b"\x02" + HUGE + b"x" + SYNC, "1 records in 2147483648 bytes"),
        (b"\x02\x01" + SYNC, "in -1 bytes"),
        (b"\x01\x02x" + SYNC, "-1 records"),
        (b"\x02\x02x" + SYNC[:-1], "are left"),
        (b"\x02\x02x" + SYNC[::-1], "sync marker"),
    ],
)
def test_blocks_that_are_refused(block: bytes, reason: str) -> None:
    with pytest.raises(BadContainer, match=reason):
        read_block(SYNC + block, 0, SYNC_BYTES)


def _deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return machine.compress(data) + machine.flush()


def _zstandard(data: bytes) -> bytes:
    return pytest.importorskip("zstandard").ZstdCompressor().compress(data)


@pytest.mark.parametrize(("codec", "compress"), [("deflate", _deflate), ("zstandard", _zstandard)])
def test_codecs(codec: str, compress) -> None:
    data = bytes(100_000)
    stored = compress(data)
    assert bytes(decompress(memoryview(stored), codec, len(data))) == data
    with pytest.raises(BadContainer, match="up to 99999 bytes"):
        decompress(memoryview(stored), codec, len(data) - 1)
    with pytest.raises(BadContainer, match="does not decompress"):
        decompress(memoryview(b"\xff" * 20), codec, len(data))


@pytest.mark.parametrize("size", [0, 5])
def test_cut_streams_give_less_or_nothing(size: int) -> None:
    with pytest.raises(BadContainer, match="no end"):
        decompress(memoryview(_deflate(bytes(1000))[:size]), "deflate", 2000)
    assert len(decompress(memoryview(_zstandard(bytes(1000))[:size]), "zstandard", 2000)) < 1000


@pytest.mark.alerts
@pytest.mark.parametrize("codec", ["null", "deflate", "zstandard"])
def test_a_file_is_taken_apart_into_packets_of_one_record(codec: str) -> None:
    fastavro = pytest.importorskip("fastavro")
    records = [{"x": 10**number} for number in range(12)]
    file = io.BytesIO()
    schema = fastavro.parse_schema({"type": "record", "name": "p", "fields": [{"name": "x", "type": "long"}]})
    try:
        fastavro.writer(file, schema, records, codec=codec, sync_interval=8)
    except ValueError as error:
        pytest.skip(str(error))  # for zstandard fastavro wants a library that is none of ours
    packets = list(split(file.getvalue()))
    assert [list(fastavro.reader(io.BytesIO(packet))) for packet in packets] == [
        [record] for record in records
    ]


@pytest.mark.alerts
def test_recorded_files_are_taken_apart(data_dir: Path) -> None:
    fastavro = pytest.importorskip("fastavro")
    for path in (data_dir / "alerts").rglob("fink*.avro"):
        data = path.read_bytes()
        expected = list(fastavro.reader(io.BytesIO(data)))
        found = [next(fastavro.reader(io.BytesIO(packet))) for packet in split(data)]
        assert repr(found) == repr(expected)  # NaN equals nothing


def test_a_cut_file_gives_what_is_whole() -> None:
    whole = write_record(write_header(SCHEMA), b"\x0e", SYNC)
    packets = split(whole + b"\x02\x02\x0e")
    assert next(packets) == whole
    with pytest.raises(BadContainer, match="are left"):
        next(packets)
