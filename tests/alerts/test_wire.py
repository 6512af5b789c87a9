# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets are told apart by what they say; what breaks the rules is refused with a reason."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from lowlat_nodes.alerts.avro.schema import MAX_BYTES
from lowlat_nodes.alerts.container import write_header, write_record
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.wire import MOST_SCHEMAS, UnreadablePacket, Wire
from lowlat_nodes.stream.payload import Packet

SYNC = bytes(range(16))
BODY = b"\x00\x0eabc"


def schema(name: str) -> bytes:
    return b'{"type": "record", "name": "%s", "fields": []}' % name.encode()


def container(text: bytes, body: bytes = BODY) -> bytes:
    return write_record(write_header(text), body, SYNC)


@pytest.fixture
def wire(tmp_path: Path) -> Wire:
    (tmp_path / "900.avsc").write_bytes(schema("nine"))
    (tmp_path / "old_name.avsc").write_bytes(schema("old"))
    return Wire(SchemaRegistry(tmp_path))


KINDS = {
    "container": (Packet(container(schema("ztf"))), schema("ztf")),
    "view of a container": (Packet(memoryview(container(schema("ztf")))), schema("ztf")),
    "container with a key": (Packet(container(schema("ztf")), b"ZTF18aaaaaaa"), schema("ztf")),
    "FINK": (Packet(BODY, schema("fink")), schema("fink")),
    "FINK, view": (Packet(memoryview(BODY), schema("fink")), schema("fink")),
    "FINK, old": (Packet(BODY, b"old_name"), schema("old")),
    "Confluent": (Packet(b"\x00\x00\x00\x03\x84" + BODY), schema("nine")),
    "Confluent, view": (Packet(memoryview(b"\x00\x00\x00\x03\x84" + BODY)), schema("nine")),
    "Confluent with a key": (Packet(b"\x00\x00\x00\x03\x84" + BODY, b'{"diaSourceId": 1}'), schema("nine")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds(wire: Wire, kind: str) -> None:
    packet, text = KINDS[kind]
    for _ in range(2):  # once more with a schema that is known
        found, body = wire.open(packet)
        assert found.text == text
        assert bytes(body) == BODY


def test_the_same_schema_is_the_same_object_however_it_came(wire: Wire) -> None:
    text = schema("nine")
    packets = [
        Packet(container(text)),
        Packet(memoryview(bytes(bytearray(container(text, b"other"))))),
        Packet(BODY, bytes(bytearray(text))),
        Packet(b"\x00\x00\x00\x03\x84" + BODY),
    ]
    assert len({id(wire.open(packet)[0]) for packet in packets}) == 1
    assert wire.open(Packet(BODY, schema("other")))[0] is not wire.open(packets[0])[0]


def test_records_are_views_on_the_packet(wire: Wire) -> None:
    data = bytearray(container(schema("ztf")))
    _, body = wire.open(Packet(memoryview(data)))
    data[-17] = ord("!")
    assert bytes(body) == BODY[:-1] + b"!"


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        (Packet(b""), "got 0 bytes"),
        (Packet(b"\x01\x02\x03\x04"), "begin with"),
        (Packet(b"\x00\x00\x00"), "got 3 bytes"),
        (Packet(b"\x00\x00\x00\x03\x85" + BODY), "unknown schema 901"),
        (Packet(b"\xff" + BODY, b"unknown_name"), "begin with"),
        (Packet(b"\xff" + BODY, b'{"diaSourceId": 1}'), "begin with"),
        (Packet(container(schema("ztf"))[:-1]), "are left"),
        (Packet(container(schema("ztf")) + b"\x02\x0aabcde" + SYNC), "bytes behind it"),
        (Packet(container(schema("ztf")).replace(b"\x02\x0a" + BODY, b"\x04\x0a" + BODY)), "got 2"),
        (Packet(container(schema("ztf")).replace(b"\x02\x0a" + BODY, b"\x00\x0a" + BODY)), "got 0"),
        (Packet(write_header(schema("ztf")) + SYNC), "does not end"),
        (Packet(container(schema("ztf")).replace(b"null", b"nulk")), "nulk"),
    ],
)
def test_what_is_refused(wire: Wire, packet: Packet, reason: str) -> None:
    for _ in range(2):
        with pytest.raises(UnreadablePacket, match=reason):
            wire.open(packet)


def test_large_packets_are_refused() -> None:
    wire = Wire(most_bytes=200)
    assert wire.open(Packet(container(schema("ztf"))))
    with pytest.raises(UnreadablePacket, match="up to 200 bytes, got 2"):
        wire.open(Packet(container(schema("ztf"), bytes(100))))


def test_keys_that_are_too_long_for_a_schema(wire: Wire) -> None:
    with pytest.raises(UnreadablePacket, match="as key"):
        wire.open(Packet(b"\xff", b'{"fields"' + bytes(MAX_BYTES)))


def test_many_schemas_are_kept_within_bounds(wire: Wire) -> None:
    for number in range(3 * MOST_SCHEMAS):
        wire.open(Packet(container(schema(f"name{number}"))))
        wire.open(Packet(BODY, schema(f"name{number}")))
    kept = [wire._schemas, wire._headers, wire._keys]
    assert [len(known) for known in kept] == [MOST_SCHEMAS] * 3
    used_last = schema(f"name{3 * MOST_SCHEMAS - 1}")
    assert wire.open(Packet(container(used_last)))[0].text == used_last
    assert wire.open(Packet(BODY, schema("name0")))[0].text == schema("name0")


def test_padded_headers_are_read_and_not_kept(wire: Wire) -> None:
    fastavro = pytest.importorskip("fastavro")
    out = io.BytesIO()
    padding = {"one": "x" * (MAX_BYTES - 1), "two": "x"}
    fastavro.writer(out, json.loads(schema("ztf")), [{}], metadata=padding)
    assert json.loads(wire.open(Packet(out.getvalue()))[0].text)["name"] == "ztf"
    assert wire._headers == []


@pytest.mark.parametrize("kind", ["container", "key"])
def test_schemas_that_begin_alike(wire: Wire, kind: str) -> None:
    short, long = schema("a"), schema("a") + b" "
    for text in (short, long, short, long):
        packet = Packet(container(text)) if kind == "container" else Packet(BODY, text)
        assert wire.open(packet)[0].text == text
