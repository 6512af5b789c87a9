# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Whatever the schema, the projection and the records: what the reader reads is what fastavro reads."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.alerts.avro import Reader, fields, parse
from lowlat_nodes.alerts.avro.reader import MACHINES
from lowlat_nodes.alerts.avro.samples import random_record, random_schema
from lowlat_nodes.alerts.avro.schema import Type
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


@given(seed=st.integers(0, (1 << 64) - 1))
@settings(max_examples=100)
def test_random_schemas(seed: int) -> None:
    oracle = pytest.importorskip("oracle", reason="fastavro is not installed (extra: alerts)")
    random = Random(seed)
    schema = json.dumps(random_schema(random)).encode()
    type_ = parse(schema)
    projection = _projection(random, type_, oracle)
    bodies = [random_record(random, type_) for _ in range(random.randint(0, 4))]
    expected = oracle.decode(schema, projection, bodies)
    for mechanism in MACHINES:
        reader = Reader(schema, projection, mechanism=mechanism)
        oracle.check(reader.read(bodies), expected)
        for body in bodies:
            assert reader.length(body + b"\xff\x00") == len(body)
