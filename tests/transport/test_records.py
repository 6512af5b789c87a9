# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Records as JSON: round trips, and JSON that holds no record."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.records import MAX_RECORD, as_text, check, decode, encode

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)
PLAIN = st.recursive(
    TEXT
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(TEXT, values, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(TEXT, PLAIN, max_size=8)


def nested(levels: int) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for _ in range(levels - 1):
        fields = {"in": fields}
    return fields


@given(FIELDS, st.binary(max_size=20))
def test_records_come_back_as_they_went(fields: dict[str, Any], key: bytes) -> None:
    data = encode(Record(fields, key))
    assert b"\n" not in data
    found = decode(data, key)
    assert repr(found.fields) == repr(fields)  # -0.0 and 0.0, 1 and 1.0 and True differ
    assert found.key == key
    assert decode(data.decode()).fields == decode(memoryview(data)).fields == fields


def test_the_time_of_publication_is_a_field_where_it_is_known() -> None:
    record = Record({"a": 1})
    assert json.loads(encode(record)) == {"a": 1}
    assert json.loads(encode(record, 5)) == {"a": 1, "published_ns": 5}
    assert record.fields == {"a": 1}


def test_a_record_travels_as_the_text_of_a_message() -> None:
    trace = Trace(received_ns=3, published_ns=5)
    found = as_text(Message("alerts", Record({"a": "é"}, b"k"), trace, 7, "frame"))
    assert found == Message("alerts", Text('{"a":"é","published_ns":5}'), trace, 7, "frame")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, b"bytes", object(), {1, 2}, "\ud800"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(WireError, match="record: expected"):
        encode(Record({"a": [value]}))


def test_what_holds_itself_is_refused() -> None:
    fields: dict[str, Any] = {}
    fields["in"] = fields
    with pytest.raises(WireError, match="record: expected"):
        encode(Record(fields))
    with pytest.raises(WireError, match="8 levels"):
        check(fields)


def test_what_is_too_large_is_refused() -> None:
    with pytest.raises(WireError, match="at most 1048576 bytes"):
        encode(Record({"a": "x" * MAX_RECORD}))
    with pytest.raises(WireError, match="at most 1048576 bytes"):
        decode(b" " * MAX_RECORD + b"{}")
    assert decode(encode(Record(nested(8)))).fields == nested(8)
    with pytest.raises(WireError, match="on 8 levels"):
        decode(encode(Record(nested(9))))
    with pytest.raises(WireError, match="at most 10000 values"):
        decode(json.dumps({"a": [[0] * 99] * 101}))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "expected JSON"),
        (b"[]", "expected a mapping"),
        (b"1", "expected a mapping"),
        (b"{}{}", "expected JSON"),
        (b'{"a": NaN}', "expected finite numbers, got NaN"),
        (b'{"a": -Infinity}', "expected finite numbers, got -Infinity"),
        (b'{"a": 1e999}', "expected finite numbers, got inf"),
        (b'{"a": 9223372036854775808}', "of 64 bits"),
        (b'{"a": ' + b"1" * 5000 + b"}", "record: expected"),
        (b'{"a": "\\ud800"}', "surrogates not allowed"),
        (b'{"\\ud800": 1}', "surrogates not allowed"),
        (b'{"a": "\xff"}', "expected JSON"),
        (b'{"a":' + b"[" * 100_000, "expected JSON"),
        (b"\xef\xbb\xbf{}", "expected JSON"),
    ],
)
def test_json_that_holds_no_record_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(data)


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(max_size=60))
def test_garbage_raises_nothing_but_wire_errors(data: bytes | str) -> None:
    with contextlib.suppress(WireError):
        decode(data)


@settings(max_examples=300)
@given(FIELDS, st.data())
def test_changed_bytes_raise_nothing_but_wire_errors(fields: dict[str, Any], data: st.DataObject) -> None:
    sound = bytearray(encode(Record(fields)))
    for _ in range(data.draw(st.integers(1, 4))):
        sound[data.draw(st.integers(0, len(sound) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        encode(decode(bytes(sound)))
