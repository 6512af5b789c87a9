# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Bytes that are no record are refused with a reason, the same by both mechanisms, and soon."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.alerts.avro import Limits, Reader, parse
from lowlat_nodes.alerts.avro.reader import MACHINES
from lowlat_nodes.alerts.avro.samples import project_all, random_record, random_schema
from lowlat_nodes.alerts.projection import Column, Decoded, Projection, Table

ALERT = {
    "type": "record",
    "name": "alert",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": "string"},
        {"name": "mag", "type": ["null", "float"]},
        {"name": "flag", "type": ["boolean", "null"]},
        {"name": "count", "type": ["null", "int"]},
        {"name": "band", "type": {"type": "enum", "name": "band", "symbols": ["g", "r"]}},
        {
            "name": "history",
            "type": {
                "type": "array",
                "items": {
                    "type": "record",
                    "name": "epoch",
                    "fields": [{"name": "mjd", "type": "double"}, {"name": "mag", "type": ["null", "float"]}],
                },
            },
        },
        {"name": "features", "type": {"type": "map", "values": ["null", "double"]}},
        {"name": "stamp", "type": "bytes"},
    ],
}
READ = Projection(
    {"id": Column(("id",), "i8"), "name": Column(("name",), "S8"), "band": Column(("band",), "S1")},
    {"history": Table(("history",), {"mjd": Column(("mjd",), "f8"), "mag": Column(("mag",), "f8")})},
)
LIMITS = Limits()
LARGEST = b"\xfe" + b"\xff" * 8 + b"\x01"  # 2^63 - 1
LEAST = b"\xff" * 9 + b"\x01"  # -2^63
TWO_GB = b"\xfe\xff\xff\xff\x0f"  # 2^31 - 1


def record(*fields_: Any) -> bytes:
    """The schema of a record with such fields."""
    listed = [{"name": f"f{i}", "type": type_} for i, type_ in enumerate(fields_)]
    return json.dumps({"type": "record", "name": "r", "fields": listed}).encode()


def read(schema: bytes, projection: Projection, bodies: list[bytes], limits: Limits = LIMITS) -> Decoded:
    """Read by every mechanism; all must agree, in the reasons of refusals too."""
    first, *others = [Reader(schema, projection, limits, mechanism).read(bodies) for mechanism in MACHINES]
    for other in others:
        assert other.refused == first.refused
        for name, column in first.scalars.items():
            np.testing.assert_array_equal(other.scalars[name], column)
        for name, rows in first.tables.items():
            np.testing.assert_array_equal(other.tables[name].offsets, rows.offsets)
            for key, column in rows.columns.items():
                np.testing.assert_array_equal(other.tables[name].columns[key], column)
    return first


def reason(schema: bytes, body: bytes, projection: Projection = READ, limits: Limits = LIMITS) -> str:
    """Return why a body is refused."""
    return read(schema, projection, [body], limits).refused[0]


@pytest.fixture
def body() -> bytes:
    """An alert with three epochs and some features."""
    epoch = bytes(8) + b"\x02" + bytes(4)
    epochs = [b"\x06", epoch, epoch, bytes(8), b"\x00", b"\x00"]
    features = [b"\x04", b"\x02a\x00", b"\x02b\x02", bytes(8), b"\x00"]
    values = [b"\xf6\x01", b"\x06ZTF", b"\x02", bytes(4), b"\x00\x01", b"\x02\x0e", b"\x02"]
    return b"".join([*values, *epochs, *features, b"\x0e", bytes(7)])


def test_cut_at_every_byte(body: bytes) -> None:
    schema = json.dumps(ALERT).encode()
    assert read(schema, READ, [body]).refused == {}
    cut = [body[:length] for length in range(len(body))]
    decoded = read(schema, READ, [*cut, body])
    assert list(decoded.refused) == list(range(len(body)))
    assert all("breaks off" in text or "can hold" in text for text in decoded.refused.values())
    assert decoded.scalars["id"][-1] == 123
    assert decoded.tables["history"].offsets.tolist() == [0] * (len(body) + 1) + [3]


def test_every_bit_flipped(body: bytes) -> None:
    flipped = [
        body[:at] + bytes([body[at] ^ (1 << bit)]) + body[at + 1 :]
        for at in range(len(body))
        for bit in range(8)
    ]
    decoded = read(json.dumps(ALERT).encode(), READ, [text for flip in flipped for text in (flip, body)])
    assert decoded.refused
    assert all(number % 2 == 0 for number in decoded.refused)
    assert (decoded.scalars["id"][1::2] == 123).all()
    assert set(np.diff(decoded.tables["history"].offsets)[1::2]) == {3}


@pytest.mark.parametrize("kind", ["string", "bytes"])
@pytest.mark.parametrize("length", [TWO_GB, LARGEST])
def test_lengths_beyond_the_body(kind: str, length: bytes) -> None:
    assert "breaks off" in reason(record(kind), length + b"abc")
    assert "breaks off" in reason(record(["null", kind]), b"\x02" + length + b"abc")
    named = Projection({"f": Column(("f0",), "S8")})
    if kind == "string":
        assert "breaks off" in reason(record(kind), length + b"abc", named)


@pytest.mark.parametrize("length", [b"\x01", LEAST])
def test_negative_lengths(length: bytes) -> None:
    assert "length is negative" in reason(record("string"), length + b"abc")
    assert "length is negative" in reason(record({"type": "array", "items": "float"}), b"\x01" + length)


@pytest.mark.parametrize("items", ["float", "string", ["null", "double"], {"type": "array", "items": "null"}])
@pytest.mark.parametrize("count", [TWO_GB, LARGEST, b"\x10"])
def test_counts_beyond_the_body(items: Any, count: bytes) -> None:
    row = Projection({}, {"t": Table(("f0",), {})})
    for projection in (READ, row):
        assert "can hold" in reason(record({"type": "array", "items": items}), count + b"\0\0", projection)
    assert "can hold" in reason(record({"type": "map", "values": "null"}), count + b"\0\0")


def test_items_without_bytes_take_no_time() -> None:
    schema = record({"type": "array", "items": "null"})
    nulls = Projection({}, {"t": Table(("f0",), {})})
    decoded = read(schema, nulls, [LARGEST + b"\0", LEAST + b"\0" + b"\0", LARGEST * 50_000 + b"\0"])
    assert decoded.refused == {}
    assert decoded.tables["t"].offsets.tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("fields", [[], [{"name": "value", "type": "null"}]])
def test_items_without_bytes_are_no_rows(fields: list[Any]) -> None:
    items = {"type": "record", "name": "nothing", "fields": fields}
    schema = record({"type": "array", "items": items})
    rows = Projection({}, {"t": Table(("f0",), {"value": Column(("value",), "f8")})})
    for body in (LARGEST + b"\0", LEAST + b"\0\0", b"\x0a\x0a\0"):
        assert read(schema, rows, [body]).tables["t"].offsets.tolist() == [
            0,
            0,
        ]


def test_the_rows_of_a_batch_have_a_limit() -> None:
    schema = record({"type": "array", "items": "float"})
    rows = Projection({}, {"t": Table(("f0",), {"value": Column((), "f8")})})
    bodies = [b"\x80\x02" + bytes(4 * 128) + b"\0"] * 3
    decoded = read(schema, rows, bodies, Limits(bytes=8 * 256))
    assert list(decoded.refused) == [2]
    assert "more than 2048 bytes" in decoded.refused[2]
    assert decoded.tables["t"].offsets.tolist() == [0, 128, 256, 256]


def test_depth_has_a_limit() -> None:
    schema = json.dumps(
        {"type": "record", "name": "node", "fields": [{"name": "next", "type": ["null", "node"]}]}
    ).encode()
    assert read(schema, READ, [b"\x02" * 100 + b"\0"]).refused == {}
    assert "values over 128 deep" in reason(schema, b"\x02" * 100_000 + b"\0")
    within = json.dumps({"type": "record", "name": "r", "fields": [{"name": "r", "type": "r"}]}).encode()
    assert "values over 128 deep" in reason(within, b"")


@pytest.mark.parametrize("type_", ["long", ["null", "float"], {"type": "array", "items": "float"}])
def test_integers_of_too_many_bytes(type_: Any) -> None:
    assert "more than 64 bits" in reason(record(type_), b"\x80" * 10 + b"\x01")
    assert "more than 64 bits" in reason(record(type_), b"\xff" * 9 + b"\x02")


@pytest.mark.parametrize("branch", [b"\x04", b"\x01", LARGEST, LEAST])
@pytest.mark.parametrize("union", [["null", "float"], ["string", "null"], ["int", "float"], ["null", "int"]])
def test_branches_that_a_union_has_not(union: list[str], branch: bytes) -> None:
    assert "no branch" in reason(record(union), branch)
    values = [kind for kind in union if kind != "null"]
    column = Projection({"f": Column(("f0",), "S8" if "string" in values else "f8")})
    assert "no branch" in reason(record(union), branch, column)


@pytest.mark.parametrize(
    "text", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe0\x9f\xbf", b"\xc3"]
)
def test_a_text_that_is_read_must_be_utf8(text: bytes) -> None:
    body = bytes([2 * len(text)]) + text
    assert "not UTF-8" in reason(record("string"), body, Projection({"f": Column(("f0",), "S8")}))
    assert read(record("string"), READ, [body]).refused == {}


def test_a_text_must_fit_its_column() -> None:
    column = Projection({"f": Column(("f0",), "S3")})
    assert read(record("string"), column, [b"\x06abc"]).scalars["f"].tolist() == [b"abc"]
    assert "4 bytes, more than its column" in reason(record("string"), b"\x08abcd", column)


@pytest.mark.parametrize("symbol", [b"\x04", b"\x01", LARGEST])
def test_symbols_that_an_enumeration_has_not(symbol: bytes) -> None:
    schema = record({"type": "enum", "name": "band", "symbols": ["g", "r"]})
    assert "no symbol" in reason(schema, symbol, Projection({"f": Column(("f0",), "S1")}))


@given(seed=st.integers(0, (1 << 64) - 1))
@settings(max_examples=60)
def test_random_records_with_random_changes(seed: int) -> None:
    random = Random(seed)
    schema = json.dumps(random_schema(random)).encode()
    type_ = parse(schema)
    bodies = []
    for _ in range(10):
        changed = bytearray(random_record(random, type_))
        for _ in range(random.randint(1, 3)):
            at = random.randrange(len(changed) + 1)
            changed[at : at + random.randint(0, 2)] = random.choice(
                (b"", b"\x01", b"\x80", LARGEST, LEAST, b"\x7f")
            )
        bodies.append(bytes(changed))
    read(schema, project_all(type_), bodies)
