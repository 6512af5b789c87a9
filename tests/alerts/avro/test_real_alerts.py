# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every number and text of every real alert is what fastavro reads, in all columns at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lowlat_nodes.alerts.avro import Reader, fields, parse
from lowlat_nodes.alerts.avro.reader import MACHINES
from lowlat_nodes.alerts.avro.schema import Array, Record, Type, Union
from lowlat_nodes.alerts.projection import Projection, Table

pytestmark = pytest.mark.alerts

CONTAINERS = [
    "ztf/boom_ztf.avro",
    "ztf/fink_multi.avro",
    "ztf/fink_part-3.avro",
    "ztf/ampel_2018-08-19/*.avro",
    "lsst/fink_part-2.avro",
]


def _arrays(schema: Type, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(schema, Union):
        return [found for branch in schema.branches for found in _arrays(branch, path)]
    if isinstance(schema, Record):
        return [found for name, type_ in schema.fields.items() for found in _arrays(type_, (*path, name))]
    return [path] if isinstance(schema, Array) else []


def _everything(schema: bytes, oracle: Any) -> Projection:
    """Return a projection to all that a column can take."""
    type_ = parse(schema)
    paths, arrays = sorted(fields(type_)), _arrays(type_)
    outside = [path for path in paths if not any(path[: len(array)] == array for array in arrays)]
    tables = {}
    for array in arrays:
        rows = [path[len(array) :] for path in paths if path[: len(array)] == array and path != array]
        tables[".".join(array)] = Table(array, oracle.columns(type_, array, rows))
    return Projection(oracle.columns(type_, (), outside), tables)


@pytest.mark.parametrize("mechanism", MACHINES)
@pytest.mark.parametrize("pattern", CONTAINERS)
def test_containers(data_dir: Path, pattern: str, mechanism: str) -> None:
    fastavro = pytest.importorskip("fastavro")
    oracle = pytest.importorskip("oracle")
    alerts: dict[bytes, list[bytes]] = {}
    for path in sorted((data_dir / "alerts").glob(pattern)):
        with path.open("rb") as file:
            blocks = fastavro.block_reader(file)
            schema = blocks.metadata["avro.schema"].encode()
            skipping = Reader(schema, Projection({}), mechanism=mechanism)
            for block in blocks:
                data = memoryview(block.bytes_.getvalue())
                for _ in range(block.num_records):
                    length = skipping.length(data)
                    alerts.setdefault(schema, []).append(bytes(data[:length]))
                    data = data[length:]
                assert len(data) == 0
    assert alerts
    for schema, bodies in alerts.items():
        projection = _everything(schema, oracle)
        found = Reader(schema, projection, mechanism=mechanism).read(bodies)
        oracle.check(found, oracle.decode(schema, projection, bodies))


@pytest.mark.parametrize("mechanism", MACHINES)
def test_a_confluent_message(data_dir: Path, mechanism: str) -> None:
    oracle = pytest.importorskip("oracle")
    schema = (data_dir / "alerts/lsst/lsst_v9_0.schema.json").read_bytes()
    body = (data_dir / "alerts/lsst/boom_confluent_v9.avro").read_bytes()[5:]
    projection = _everything(schema, oracle)
    found = Reader(schema, projection, mechanism=mechanism).read([body])
    oracle.check(found, oracle.decode(schema, projection, [body]))
