# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import contextlib
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lowlat_nodes.alerts.avro import BadSchema, Reader, fields, parse
from lowlat_nodes.alerts.avro.program import compile_program
from lowlat_nodes.alerts.avro.samples import project_all, random_schema
from lowlat_nodes.alerts.avro.schema import (
    MAX_BYTES,
    MAX_NESTING,
    Array,
    Enumeration,
    Fixed,
    Map,
    Primitive,
    Record,
    Union,
)
from lowlat_nodes.alerts.projection import Projection


def text(declaration: Any) -> bytes:
    return json.dumps(declaration).encode()


def record(name: str, *types: Any, **more: Any) -> dict[str, Any]:
    listed = [{"name": f"f{i}", "type": type_} for i, type_ in enumerate(types)]
    return {"type": "record", "name": name, "fields": listed, **more}


def named(*levels: Any) -> dict[str, Any]:
    """A record of a record of a record..., each of which holds the one before twice."""
    schema = record("r0", *levels)
    for level in range(1, 40):
        schema = record(f"r{level}", schema, f"r{level - 1}")
    return schema


@pytest.mark.parametrize(
    ("declaration", "expected"),
    [
        ("long", Primitive("long")),
        ({"type": "long"}, Primitive("long")),
        ({"type": {"type": "int", "logicalType": "date"}}, Primitive("int")),
        (["null", "string"], Union((Primitive("null"), Primitive("string")))),
        ({"type": "array", "items": "float"}, Array(Primitive("float"))),
        ({"type": "map", "values": ["int"]}, Map(Union((Primitive("int"),)))),
        ({"type": "fixed", "name": "md5", "size": 16}, Fixed("md5", 16)),
        ({"type": "enum", "name": "a.band", "symbols": ["g"], "default": "g"}, Enumeration("a.band", ("g",))),
    ],
)
def test_types(declaration: Any, expected: Any) -> None:
    assert parse(text(declaration)) == expected


def test_names_are_looked_up_in_the_namespace_around_them() -> None:
    inner = record("inner", "float", namespace="far")
    schema = parse(text(record("outer", inner, "far.inner", record("near", "int"), "near", namespace="sky")))
    assert isinstance(schema, Record)
    assert schema.name == "sky.outer"
    first, again, near, near_again = schema.fields.values()
    assert first is again
    assert near is near_again
    assert isinstance(first, Record)
    assert isinstance(near, Record)
    assert (first.name, near.name) == ("far.inner", "sky.near")


def test_a_name_without_a_namespace_is_found_from_within_one() -> None:
    schema = parse(text(record("outer", record("inner", "int"), record("sky.near", "inner"))))
    assert isinstance(schema, Record)
    near = schema.fields["f1"]
    assert isinstance(near, Record)
    assert near.fields["f0"] is schema.fields["f0"]


def test_a_record_may_hold_its_like() -> None:
    schema = parse(text(record("node", ["null", "node"], record("leaf", "int"))))
    assert isinstance(schema, Record)
    assert schema.recursive
    leaf = schema.fields["f1"]
    assert isinstance(leaf, Record)
    assert not leaf.recursive


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ("decimal", "before it declares it"),
        (7, "must be a name, a list or an object"),
        ({}, "must be a name, a list or an object, not None"),
        ([], "must have branches"),
        ([["null"]], "none of them a union"),
        ({"type": "array"}, "must be a name"),
        ({"type": "record", "name": "r"}, "list of fields"),
        ({"type": "record", "fields": []}, "must have a name"),
        ({"type": "record", "name": "r", "fields": [{"type": "int"}]}, "name of its own"),
        ({"type": "record", "name": "r", "fields": [{"name": "f", "type": "int"}] * 2}, "name of its own"),
        ({"type": "record", "name": "r", "fields": [[]]}, "name of its own"),
        ({"type": "record", "name": "int", "fields": []}, "'int' twice"),
        (record("r", {"type": "fixed", "name": "r", "size": 1}), "'r' twice"),
        ({"type": "fixed", "name": "x", "size": -1}, "size from 0"),
        ({"type": "fixed", "name": "x", "size": True}, "size from 0"),
        ({"type": "fixed", "name": "x", "size": 1 << 31}, "size from 0"),
        ({"type": "enum", "name": "e", "symbols": []}, "must have symbols"),
        ({"type": "enum", "name": "e", "symbols": ["g", "g"]}, "each one once"),
        ({"type": "enum", "name": "e", "symbols": [1]}, "must have symbols"),
        ({"type": "enum", "name": "e", "symbols": [[]]}, "must have symbols"),
        ({"type": "enum", "name": "e", "namespace": 7, "symbols": ["g"]}, "must have a name"),
    ],
)
def test_what_is_no_schema(declaration: Any, reason: str) -> None:
    with pytest.raises(BadSchema, match=reason):
        parse(text(declaration))


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"\xff",
        b'"\xff"',
        b"[" * 100_000,
        rb'["\ud800"]',
        b'{"type":"fixed","size":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json(garbage: bytes) -> None:
    with pytest.raises(BadSchema, match="must be JSON in UTF-8"):
        parse(garbage)


def test_size_and_nesting_have_limits() -> None:
    with pytest.raises(BadSchema, match=f"up to {MAX_BYTES} are read"):
        parse(b" " * (MAX_BYTES + 1))
    deep: Any = "int"
    for _ in range(MAX_NESTING + 1):
        deep = {"type": "array", "items": deep}
    with pytest.raises(BadSchema, match="types within types"):
        parse(text(deep))
    # Each one names the one before: that is as deep.
    chain = [record("r0", "string"), *(record(f"r{i}", f"r{i - 1}") for i in range(1, 200))]
    with pytest.raises(BadSchema, match="types within types"):
        parse(text(record("all", *chain)))


def test_fields_through_arrays_and_unions() -> None:
    row = record("row", "int", ["null", record("more", "float")])
    schema = parse(
        text(record("alert", ["null", {"type": "array", "items": ["null", row]}], ["null", "alert"]))
    )
    assert fields(schema) == {
        ("f0",), ("f0", "f0"), ("f0", "f1"), ("f0", "f1", "f0"), ("f1",),
    }  # fmt: skip


@pytest.mark.parametrize("level", [("double",), ("string",), (["null", "string"], "float")])
def test_types_that_are_named_again_and_again_make_no_long_program(level: tuple[Any, ...]) -> None:
    schema = parse(text(named(*level)))
    assert len(compile_program(schema, Projection({})).code) < 4 * 1000
    assert Reader(text(named(*level)), Projection({})).read([bytes(100)]).refused
    with pytest.raises(BadSchema, match="more than 100000 fields"):
        fields(schema)


def test_branches_with_the_same_fields_do_not_double_the_work_with_each_level() -> None:
    inner: Any = "int"
    for level in range(30, 0, -1):
        branches = [inner, f"r{level + 1}"] if level < 30 else [inner]
        inner = {"type": "record", "name": f"r{level}", "fields": [{"name": "f", "type": branches}]}
    with pytest.raises(BadSchema, match="more than 100000 fields"):
        fields(parse(text(inner)))


JUNK = (
    None,
    True,
    0,
    -1,
    1.5,
    "",
    ".",
    "r1",
    "null",
    "record",
    [],
    {},
    [[]],
    [{}],
    {"type": {}},
    {"type": []},
)


def _swap(random: Random, node: Any) -> Any:
    """Return a declaration in which something is something else."""
    if random.random() < 0.2 or not isinstance(node, dict | list) or not node:
        return random.choice(JUNK)
    changed = node.copy()
    key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
    changed[key] = _swap(random, changed[key])
    return changed


@given(seed=st.integers(0, (1 << 64) - 1))
def test_any_json_is_a_schema_or_a_bad_one(seed: int) -> None:
    random = Random(seed)
    schema = text(_swap(random, random_schema(random)))
    with contextlib.suppress(BadSchema):
        reader = Reader(schema, project_all(parse(schema)))
        assert reader.read([b""]).refused.keys() <= {0}
