# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.alerts.avro.reader import MACHINES, BadRecord, Limits, Reader
from lowlat_nodes.alerts.avro.schema import BadSchema, fields, parse
from lowlat_nodes.alerts.projection import Column, Projection, Table
from lowlat_nodes.stream.errors import ConfigurationError

pytestmark = pytest.mark.alerts

EPOCH = {
    "type": "record",
    "name": "epoch",
    "fields": [
        {"name": "mjd", "type": "double"},
        {"name": "flag", "type": ["null", "boolean"]},
        {"name": "flux", "type": ["null", "float"]},
        {"name": "band", "type": {"type": "enum", "name": "band", "symbols": ["g", "r", "i"]}},
    ],
}
ALERT = {
    "type": "record",
    "name": "alert",
    "namespace": "survey",
    "fields": [
        {"name": "id", "type": "long"},
        {"name": "name", "type": ["string", "null"]},
        {"name": "epoch", "type": EPOCH},
        {"name": "history", "type": [{"type": "array", "items": ["null", "epoch"]}, "null"]},
        {"name": "stamp", "type": ["null", "bytes"]},
    ],
}
SCHEMA = json.dumps(ALERT).encode()
LIGHT_CURVE = Projection(
    {
        "id": Column(("id",), "i8"),
        "name": Column(("name",), "S8"),
        "mjd": Column(("epoch", "mjd"), "f8"),
        "missing": Column(("epoch", "drb"), "f8"),
    },
    {
        "history": Table(
            ("history",),
            {"mjd": Column(("mjd",), "f8"), "flux": Column(("flux",), "f8"), "band": Column(("band",), "S1")},
        ),
        "forced": Table(("forced",), {"mjd": Column(("mjd",), "f8")}),
    },
)


def encode(schema: Any, *values: Any) -> list[bytes]:
    fastavro = pytest.importorskip("fastavro")
    parsed = fastavro.parse_schema(schema)
    bodies = []
    for value in values:
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, value)
        bodies.append(out.getvalue())
    return bodies


def epoch(mjd: float, flux: float | None = None, band: str = "g") -> dict[str, Any]:
    return {"mjd": mjd, "flag": True, "flux": flux, "band": band}


def alert(number: int, history: Sequence[dict[str, Any] | None] | None) -> dict[str, Any]:
    return {"id": number, "name": None, "epoch": epoch(1.5), "history": history, "stamp": bytes(300)}


@pytest.fixture(params=list(MACHINES))
def mechanism(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def reader(mechanism: str) -> Reader:
    return Reader(SCHEMA, LIGHT_CURVE, mechanism=mechanism)


def test_reads_the_columns_of_a_batch(reader: Reader) -> None:
    first = alert(7, [epoch(1.0, 2.0, "r"), None, epoch(2.0, None, "i")]) | {"name": "first"}
    decoded = reader.read(encode(ALERT, first, alert(8, None), alert(-9, [epoch(3.0, 0.5)])))
    assert decoded.refused == {}
    assert decoded.scalars["id"].tolist() == [7, 8, -9]
    assert decoded.scalars["name"].tolist() == [b"first", b"", b""]
    assert decoded.scalars["mjd"].tolist() == [1.5, 1.5, 1.5]
    assert np.isnan(decoded.scalars["missing"]).all()
    history = decoded.tables["history"]
    assert history.offsets.tolist() == [0, 2, 2, 3]
    assert history.columns["mjd"].tolist() == [1.0, 2.0, 3.0]
    assert history.columns["flux"].tolist() == pytest.approx([2.0, np.nan, 0.5], nan_ok=True)
    assert history.columns["band"].tolist() == [b"r", b"i", b"g"]
    assert decoded.tables["forced"].offsets.tolist() == [0, 0, 0, 0]
    assert decoded.tables["forced"].columns["mjd"].size == 0


def test_refuses_a_bad_body_and_reads_the_others(reader: Reader) -> None:
    good, other = encode(ALERT, alert(1, [epoch(1.0)]), alert(2, [epoch(2.0)]))
    decoded = reader.read([good, good[:-1], memoryview(other), bytearray(good + b"\0")])
    assert decoded.refused == {
        1: f"the record breaks off, at byte {len(good) - 300} near stamp",
        3: f"1 bytes follow the record, at byte {len(good)}",
    }
    assert decoded.scalars["id"].tolist() == [1, np.iinfo(np.int64).min, 2, np.iinfo(np.int64).min]
    assert decoded.tables["history"].offsets.tolist() == [0, 1, 1, 2, 2]
    assert decoded.tables["history"].columns["mjd"].tolist() == [1.0, 2.0]


def test_tells_the_length_of_a_record(reader: Reader) -> None:
    first, second = encode(ALERT, alert(1, [epoch(1.0)] * 5), alert(2, None))
    assert reader.length(first + second) == len(first)
    assert reader.length(memoryview(first + second)[len(first) :]) == len(second)
    with pytest.raises(BadRecord, match="breaks off"):
        reader.length(first[:-1])


def test_an_empty_batch_has_no_rows(reader: Reader) -> None:
    decoded = reader.read([])
    assert decoded.scalars["id"].shape == (0,)
    assert decoded.tables["history"].offsets.tolist() == [0]


def test_rows_have_a_limit(mechanism: str) -> None:
    (body,) = encode(ALERT, alert(1, [epoch(1.0)] * 5))
    assert Reader(SCHEMA, LIGHT_CURVE, Limits(rows=5), mechanism).read([body]).refused == {}
    refused = Reader(SCHEMA, LIGHT_CURVE, Limits(rows=4), mechanism).read([body]).refused
    assert "more than 4 rows" in refused[0]


def test_a_column_refuses_a_type_that_it_does_not_take() -> None:
    with pytest.raises(BadSchema, match="column 'id' of dtype f8 does not take the type string"):
        Reader(SCHEMA, Projection({"id": Column(("name",), "f8")}))


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="guessed"):
        Reader(SCHEMA, LIGHT_CURVE, mechanism="guessed")


def test_tells_the_fields_of_a_schema() -> None:
    assert fields(parse(SCHEMA)) >= {("id",), ("epoch", "mjd"), ("history",), ("history", "flux")}
