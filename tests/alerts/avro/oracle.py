# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a projection of records is, by fastavro and plain Python."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import fastavro
import numpy as np

from lowlat_nodes.alerts.avro import BadSchema
from lowlat_nodes.alerts.avro.program import compile_program
from lowlat_nodes.alerts.avro.schema import Type
from lowlat_nodes.alerts.projection import Column, Decoded, Projection, Rows, Table

NULLS = {"f8": np.nan, "i8": np.iinfo(np.int64).min, "S": b""}
TAKEN = {"f8": (bool, int, float), "i8": (bool, int), "S": (str,)}


def decode(schema: bytes, projection: Projection, bodies: Sequence[bytes]) -> Decoded:
    """Return what the reader must return."""
    parsed = fastavro.parse_schema(_plain(json.loads(schema)))
    records = [_record(parsed, body) for body in bodies]
    scalars = {
        name: _array([_scalar(record, column) for record in records], column)
        for name, column in projection.scalars.items()
    }
    tables = {}
    for name, table in projection.tables.items():
        rows = [[row for row in _rows(record, table.path) if row is not None] for record in records]
        offsets = np.cumsum([0, *map(len, rows)])
        every = [row for some in rows for row in some]
        columns = {
            key: _array([_scalar(row, column) for row in every], column)
            for key, column in table.columns.items()
        }
        tables[name] = Rows(offsets, columns)
    return Decoded(scalars, tables, {})


def columns(schema: Type, table: tuple[str, ...], paths: Iterable[tuple[str, ...]]) -> dict[str, Column]:
    """Return a column of each dtype for each path, those left out that do not take what is there.

    Args:
        schema: The writer's.
        table: Path of the array that the columns are read from; empty for scalars.
        paths: Of the columns.
    """
    found = {}
    for path, dtype in itertools.product(paths, ("f8", "i8", "S8192")):
        column = Column(path, dtype)
        alone = Projection({}, {"t": Table(table, {"c": column})}) if table else Projection({"c": column})
        with contextlib.suppress(BadSchema):
            compile_program(schema, alone)
            found[f"{'.'.join(path)}:{dtype}"] = column
    return found


def check(found: Decoded, expected: Decoded) -> None:
    """Compare two results, NaN equal to NaN."""
    assert found.refused == expected.refused
    _check_columns(found.scalars, expected.scalars)
    assert found.tables.keys() == expected.tables.keys()
    for name, rows in found.tables.items():
        np.testing.assert_array_equal(rows.offsets, expected.tables[name].offsets)
        _check_columns(rows.columns, expected.tables[name].columns)


def _check_columns(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    assert found.keys() == expected.keys()
    for name, column in found.items():
        assert column.dtype == expected[name].dtype
        np.testing.assert_array_equal(column, expected[name], err_msg=name)


def _record(parsed: Any, body: bytes) -> Any:
    stream = io.BytesIO(body)
    record = fastavro.schemaless_reader(stream, parsed)
    assert stream.tell() == len(body)
    return record


def _plain(declaration: Any) -> Any:
    """Return a schema without its logical types, which fastavro would make objects of."""
    if isinstance(declaration, list):
        return [_plain(item) for item in declaration]
    if isinstance(declaration, dict):
        return {key: _plain(value) for key, value in declaration.items() if key != "logicalType"}
    return declaration


def _at(value: Any, path: tuple[str, ...]) -> Any:
    """Return what is at a path; no key of a map may be the name of a field."""
    if not path:
        return value
    return _at(value[path[0]], path[1:]) if isinstance(value, dict) and path[0] in value else None


def _scalar(value: Any, column: Column) -> Any:
    kind = column.dtype if column.dtype in NULLS else "S"
    found = _at(value, column.path)
    return found if isinstance(found, TAKEN[kind]) else NULLS[kind]


def _rows(record: Any, path: tuple[str, ...]) -> Iterator[Any]:
    found = _at(record, path)
    if isinstance(found, list):
        yield from found


def _array(values: list[Any], column: Column) -> np.ndarray:
    texts = [value.encode() if isinstance(value, str) else value for value in values]
    return np.array(texts, column.dtype)
