# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written is what fastavro writes, and what does not fit is refused by name."""

from __future__ import annotations

import io
import json
import math
import re
from typing import Any

import pytest

from lowlat_nodes.alerts.avro import BadSchema, Writer


def record(name: str, **types: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": [{"name": key, "type": types[key]} for key in types]}


SCHEMA = record(
    "packet",
    flag="boolean",
    small="int",
    large="long",
    single="float",
    double="double",
    data="bytes",
    text="string",
    nothing="null",
    maybe=["null", "float", "string"],
    many={"type": "array", "items": record("part", x="long")},
    perhaps=["null", {"type": "array", "items": ["null", "part"]}],
    inner=["null", "part"],
)
FULL = {
    "flag": True,
    "small": -(1 << 31),
    "large": (1 << 63) - 1,
    "single": 1.5,
    "double": math.pi,
    "data": b"\0\xff" * 100,
    "text": "µ",
    "maybe": "x",
    "many": [{"x": number} for number in (0, -1, 1, 63, 64, -64, -65, 8191, 8192)],
    "perhaps": [None, {"x": 5}],
    "inner": {"x": -(1 << 63)},
}
EMPTY = FULL | {
    "flag": False,
    "large": 0,
    "single": math.inf,
    "double": 3,
    "data": b"",
    "text": "",
    "maybe": None,
    "many": [],
    "perhaps": None,
    "inner": None,
}


@pytest.mark.alerts
@pytest.mark.parametrize("values", [FULL, EMPTY, FULL | {"maybe": 0.25, "perhaps": []}])
def test_the_bytes_are_those_of_fastavro(values: dict[str, Any]) -> None:
    fastavro = pytest.importorskip("fastavro")
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(SCHEMA), values)
    assert Writer(json.dumps(SCHEMA).encode()).write(values) == out.getvalue()


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"small": 1 << 31}, "packet.small: expected int, got 2147483648, which is too large"),
        ({"small": 1.0}, "packet.small: expected int, got 1.0"),
        ({"flag": 1}, "packet.flag: expected boolean, got 1"),
        ({"single": 1e39}, "packet.single: "),
        ({"text": None}, "packet.text: expected string, got None"),
        ({"many": [{"x": "1"}]}, "packet.many: part.x: expected long, got '1'"),
        ({"maybe": b""}, "packet.maybe: expected one of 3 types of a union, got b''"),
        ({"other": 1}, "expected a record packet of flag, small"),
    ],
)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        Writer(json.dumps(SCHEMA).encode()).write(FULL | wrong)


@pytest.mark.parametrize(
    "type_",
    [
        {"type": "map", "values": "int"},
        {"type": "enum", "name": "e", "symbols": ["a"]},
        {"type": "fixed", "name": "f", "size": 3},
        ["null", "packet"],
    ],
)
def test_types_that_our_packets_have_not_are_refused(type_: Any) -> None:
    with pytest.raises(BadSchema, match="expected records, arrays, unions and primitive types"):
        Writer(json.dumps(record("packet", x=type_)).encode())
