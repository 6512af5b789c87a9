# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the schema, the projection and the records: what the reader reads is what fastavro reads."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lowlat_nodes.alerts.avro import Reader, fields, parse
from lowlat_nodes.alerts.avro.reader import MACHINES
from lowlat_nodes.alerts.avro.samples import random_record, random_schema
from lowlat_nodes.alerts.avro.schema import Array, Fixed, Map, Primitive, Record, Type, Union
from lowlat_nodes.alerts.projection import Projection, Table

pytestmark = pytest.mark.alerts


def _projection(random: Random, schema: Type, oracle: Any) -> Projection:
    """Return some columns and tables of a schema, some of them missing, some twice."""
    paths = sorted(fields(schema))
    paths = [*random.sample(paths, random.randint(0, len(paths))), ("f0", "missing"), ("missing",), ()]
    tables = {}
    for path in {*random.choices(paths, k=6), *paths[-2:]}:
        rows = [other[len(path) :] for other in paths if other[: len(path)] == path]
        columns = oracle.columns(schema, path, [*rows, ("missing",)])
        tables[".".join(path)] = Table(path, columns)
        tables[".".join(path) + " again"] = Table(path, dict(list(columns.items())[:1]))
    return Projection(oracle.columns(schema, (), paths), tables)


def _takes_bytes(schema: Type, open_: tuple[Type, ...] = ()) -> bool:
    if isinstance(schema, Record):
        return schema in open_ or any(_takes_bytes(each, (*open_, schema)) for each in schema.fields.values())
    return schema.size > 0 if isinstance(schema, Fixed) else schema != Primitive("null")


def _has_rows_without_bytes(schema: Type, open_: tuple[Type, ...] = ()) -> bool:
    """Return whether there is an array of records without bytes, which are rows to fastavro alone."""
    if schema in open_:
        return False
    inner: tuple[Type, ...] = ()
    if isinstance(schema, Array):
        if schema.items != Primitive("null") and not _takes_bytes(schema.items):
            return True
        inner = (schema.items,)
    elif isinstance(schema, Map):
        inner = (schema.values,)
    elif isinstance(schema, Union):
        inner = schema.branches
    elif isinstance(schema, Record):
        inner = tuple(schema.fields.values())
    return any(_has_rows_without_bytes(each, (*open_, schema)) for each in inner)


@given(seed=st.integers(0, (1 << 64) - 1))
@settings(max_examples=100)
def test_random_schemas(seed: int) -> None:
    oracle = pytest.importorskip("oracle", reason="fastavro is not installed (extra: alerts)")
    random = Random(seed)
    schema = json.dumps(random_schema(random)).encode()
    type_ = parse(schema)
    assume(not _has_rows_without_bytes(type_))
    projection = _projection(random, type_, oracle)
    bodies = [random_record(random, type_) for _ in range(random.randint(0, 4))]
    expected = oracle.decode(schema, projection, bodies)
    for mechanism in MACHINES:
        reader = Reader(schema, projection, mechanism=mechanism)
        oracle.check(reader.read(bodies), expected)
        for body in bodies:
            assert reader.length(body + b"\xff\x00") == len(body)
