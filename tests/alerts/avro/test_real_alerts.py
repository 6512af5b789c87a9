# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Every number and text of every real alert is what fastavro reads, in all columns at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from lowlat_nodes.alerts.avro import Reader, parse
from lowlat_nodes.alerts.avro.reader import MACHINES
from lowlat_nodes.alerts.avro.samples import project_all
from lowlat_nodes.alerts.projection import Projection

pytestmark = pytest.mark.alerts

CONTAINERS = [
    "ztf/boom_ztf.avro",
    "ztf/fink_multi.avro",
    "ztf/fink_part-3.avro",
    "ztf/ampel_2018-08-19/*.avro",
    "lsst/fink_part-2.avro",
]


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
        projection = project_all(parse(schema), text_bytes=8192)
        found = Reader(schema, projection, mechanism=mechanism).read(bodies)
        oracle.check(found, oracle.decode(schema, projection, bodies))


@pytest.mark.parametrize("mechanism", MACHINES)
def test_a_confluent_message(data_dir: Path, mechanism: str) -> None:
    oracle = pytest.importorskip("oracle")
    schema = (data_dir / "alerts/lsst/lsst_v9_0.schema.json").read_bytes()
    body = (data_dir / "alerts/lsst/boom_confluent_v9.avro").read_bytes()[5:]
    projection = project_all(parse(schema), text_bytes=8192)
    found = Reader(schema, projection, mechanism=mechanism).read([body])
    oracle.check(found, oracle.decode(schema, projection, [body]))
