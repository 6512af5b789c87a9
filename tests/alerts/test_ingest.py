# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets into light curves: every recorded alert against a slow version, and every kind of bad input."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.alerts.container import split, write_header, write_record
from lowlat_nodes.alerts.ingest import Ingest, Ingested
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import NAMES
from lowlat_nodes.alerts.registry import SchemaRegistry
from lowlat_nodes.alerts.wire import MOST_SCHEMAS
from lowlat_nodes.sim.alert_packets import LSST_SCHEMA, LSST_SCHEMA_NUMBER, ZTF_SCHEMA, ztf_packets
from lowlat_nodes.stream.payload import Packet

fastavro = pytest.importorskip("fastavro")
pytestmark = pytest.mark.alerts

Epoch = tuple[float, str, float, float, bool]
"""MJD, passband, flux, error, detected."""

SECOND = 1.0 / 86_400


# A slow version, one epoch at a time.


def slow_light_curve(record: dict[str, Any]) -> list[Epoch]:
    survey = slow_ztf if "candidate" in record else slow_lsst
    usable = []
    for kind, mjd, band, flux, error in survey(record):
        numbers = [math.nan if number is None else number for number in (mjd, flux, error)]
        if band is not None and all(map(math.isfinite, numbers)) and error > 0.0:
            detected = kind < 2 or (kind == 2 and abs(flux) >= 5.0 * error)
            usable.append((mjd, NAMES.index(band), kind, error, flux, detected))
    visits: list[list[Any]] = []
    for epoch in sorted(usable):
        if not visits or epoch[0] - visits[-1][-1][0] > SECOND:
            visits.append([])
        visits[-1].append(epoch)
    chosen = []
    for visit in visits:
        bands = {epoch[1]: [other for other in visit if other[1] == epoch[1]] for epoch in visit}
        chosen += [min(same, key=lambda epoch: epoch[2:5]) for same in bands.values()]
    return [
        (mjd, NAMES[band], flux, error, detected) for mjd, band, _, error, flux, detected in sorted(chosen)
    ]


def nanojansky(magnitude: float) -> float:
    return 10.0 ** ((31.4 - magnitude) / 2.5) if magnitude > -100.0 else math.inf


def slow_ztf(record: dict[str, Any]) -> Iterator[Any]:
    bands = {1: "ztf_g", 2: "ztf_r", 3: "ztf_i"}
    for place, epoch in enumerate([record["candidate"], *(record["prv_candidates"] or [])]):
        mjd, band = epoch["jd"] - 2_400_000.5, bands.get(epoch["fid"])
        if epoch["magpsf"] is None:
            yield 3, mjd, band, 0.0, nanojansky(epoch["diffmaglim"]) / 5.0
        else:
            flux = nanojansky(epoch["magpsf"])
            error = flux * epoch["sigmapsf"] * math.log(10.0) / 2.5
            yield min(place, 1), mjd, band, flux if epoch["isdiffpos"] in {"t", "1"} else -flux, error
    for epoch in record.get("fp_hists") or []:
        if epoch["procstatus"] in {"0", "57"} and epoch["magzpsci"] is not None:
            scale = nanojansky(epoch["magzpsci"])
            flux, error = epoch["forcediffimflux"] * scale, epoch["forcediffimfluxunc"] * scale
            yield 2, epoch["jd"] - 2_400_000.5, bands.get(epoch["fid"]), flux, error


def slow_lsst(record: dict[str, Any]) -> Iterator[Any]:
    rows = [(0, record["diaSource"])]
    rows += [(1, row) for row in record["prvDiaSources"] or []]
    rows += [(2, row) for row in record["prvDiaForcedSources"] or []]
    for kind, row in rows:
        yield kind, row["midpointMjdTai"], f"lsst_{row['band']}", row["psfFlux"], row["psfFluxErr"]


# Recorded alerts.


def recorded(data_dir: Path) -> tuple[list[Packet], list[dict[str, Any]]]:
    """Return every recorded packet and what fastavro makes of it."""
    packets, records = [], []
    for path in sorted((data_dir / "alerts").rglob("*.avro")):
        if "confluent" not in path.name:
            packets += [Packet(packet) for packet in split(path.read_bytes())]
            records += fastavro.reader(io.BytesIO(path.read_bytes()))
    folder = data_dir / "alerts" / "lsst"
    packets.append(Packet((folder / "boom_confluent_v9.avro").read_bytes()))
    schema = fastavro.parse_schema(json.loads((folder / "lsst_v9_0.schema.json").read_text()))
    records.append(fastavro.schemaless_reader(io.BytesIO(packets[-1].data[5:]), schema))
    return packets, records


def light_curve(found: Ingested, alert: int) -> list[Epoch]:
    curves = found.light_curves
    columns = (curves.mjd, curves.band, curves.flux_njy, curves.error_njy, curves.detected)
    rows = slice(*curves.offsets[alert : alert + 2])
    epochs = zip(*(column[rows].tolist() for column in columns), strict=True)
    return [(mjd, NAMES[band], flux, error, detected) for mjd, band, flux, error, detected in epochs]


def assert_same(found: list[Epoch], expected: list[Epoch]) -> None:
    for place in (0, 1, 4):
        assert [epoch[place] for epoch in found] == [epoch[place] for epoch in expected]
    for place in (2, 3):
        np.testing.assert_allclose([e[place] for e in found], [e[place] for e in expected], rtol=1e-12)


def test_every_recorded_alert(data_dir: Path) -> None:
    packets, records = recorded(data_dir)
    assert len(packets) == 81
    found = Ingest(SchemaRegistry(data_dir / "alerts" / "lsst")).read(packets)
    assert found.refused == {}
    assert found.packets.tolist() == list(range(len(packets)))
    kept = 0
    for alert, record in enumerate(records):
        ztf = "candidate" in record
        assert found.surveys[alert] == ("ztf" if ztf else "lsst")
        assert found.light_curves.alert_id[alert] == record["candid" if ztf else "diaSourceId"]
        version = record["schemavsn"] if ztf else "10.0" if "lsst_schema_version" in record else "9.0"
        assert found.schema_versions[alert] == version
        if ztf:
            name = record["objectId"]
        else:
            name = record["diaSource"]["diaObjectId"] or record["ssSource"]["designation"]
        assert found.light_curves.object_id[alert] == str(name)
        expected = slow_light_curve(record)
        kept += len(expected)
        assert_same(light_curve(found, alert), expected)
    assert len(found.light_curves.mjd) == kept
    rows = sum(len(list((slow_ztf if "candidate" in r else slow_lsst)(r))) for r in records)
    assert kept + found.unusable_epochs + found.repeated_epochs == rows


def test_the_alerts_of_one_batch_do_not_touch_each_other(data_dir: Path) -> None:
    packets, _ = recorded(data_dir)
    ingest = Ingest(SchemaRegistry(data_dir / "alerts" / "lsst"))
    together = ingest.read(packets)
    for number in range(0, len(packets), 5):
        alone = ingest.read([packets[number]])
        assert light_curve(alone, 0) == light_curve(together, number)


def test_solar_system_objects_have_one_epoch(data_dir: Path) -> None:
    packets, records = recorded(data_dir)
    found = Ingest(SchemaRegistry(data_dir / "alerts" / "lsst")).read(packets)
    alerts = [
        place for place, record in enumerate(records) if (record.get("ssSource") or {}).get("designation")
    ]
    assert [found.light_curves.object_id[alert] for alert in alerts] == ["2004 JQ12", "2020 SJ88"]
    assert [len(light_curve(found, alert)) for alert in alerts] == [1, 1]


# Made-up alerts.


def ztf(candidate: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """Return a record of the simulation's schema, with other values where given."""
    own = {"jd": 2_460_000.75, "fid": 1, "programid": 1, "diffmaglim": 20.5, "candid": 7, "isdiffpos": "t"}
    own |= {"magpsf": 18.9, "sigmapsf": 0.1} | (candidate or {})
    record = {
        "schemavsn": "4.02",
        "publisher": "test",
        "objectId": "ZTF23aaaaaaa",
        "candid": 7,
        "candidate": own,
    }
    return record | fields


def past(days: float, **fields: Any) -> dict[str, Any]:
    """Return a detection so many days before the alert."""
    own = ztf()["candidate"]
    return own | {"jd": own["jd"] - days} | fields


def limit(days: float, diffmaglim: float = 20.0) -> dict[str, Any]:
    return past(days, diffmaglim=diffmaglim, magpsf=None, sigmapsf=None, isdiffpos=None, candid=None)


def forced(days: float, flux: float, error: float, **fields: Any) -> dict[str, Any]:
    made = {"forcediffimflux": flux, "forcediffimfluxunc": error, "magzpsci": 26.2, "procstatus": "0"}
    return {"jd": 2_460_000.75 - days, "fid": 1, "programid": 1, "diffmaglim": 20.0} | made | fields


def lsst(source: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    own = {"diaSourceId": 7, "visit": 1, "diaObjectId": 70, "ssObjectId": None, "midpointMjdTai": 61_000.25}
    own |= {"psfFlux": -900.0, "psfFluxErr": 90.0, "band": "z"} | (source or {})
    return {"diaSourceId": 7, "diaSource": own, "cutoutScience": b"?"} | fields


def body(schema: bytes, record: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads(schema)), record)
    return out.getvalue()


def packet(record: dict[str, Any], schema: bytes | None = None) -> Packet:
    """Return a container of one record."""
    schema = schema or (ZTF_SCHEMA if "candidate" in record else LSST_SCHEMA)
    return Packet(write_record(write_header(schema), body(schema, record), bytes(16)))


def read(*records: dict[str, Any]) -> Ingested:
    return Ingest().read([packet(record) for record in records])


def test_no_packets() -> None:
    found = Ingest().read([])
    assert len(found.light_curves) == len(found.packets) == 0
    assert found.refused == {}


def test_no_history() -> None:
    for history in (None, []):
        found = read(ztf(prv_candidates=history, fp_hists=history))
        [(mjd, band, flux, error, detected)] = light_curve(found, 0)
        assert (mjd, band, detected) == (60_000.25, "ztf_g", True)
        assert (flux, error) == pytest.approx((100_000.0, 9210.34), rel=1e-6)


def test_the_history_may_come_in_any_order_and_again() -> None:
    history = [past(3.0), limit(2.0), past(1.0, magpsf=19.5), past(5.0, fid=2), limit(9.0)]
    more = [forced(2.0, 30.0, 10.0), forced(4.0, -80.0, 10.0)]
    expected = light_curve(read(ztf(prv_candidates=history, fp_hists=more)), 0)
    assert len(expected) == 7
    assert [epoch[0] for epoch in expected] == sorted(epoch[0] for epoch in expected)
    reverse = read(ztf(prv_candidates=history[::-1] + history[:2], fp_hists=more[::-1]))
    assert light_curve(reverse, 0) == expected
    assert reverse.repeated_epochs == 3


histories = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["detection", "limit", "forced"]), st.integers(1, 3)),
    max_size=12,
)


@settings(max_examples=50)
@given(histories, st.randoms())
def test_order_and_repetition_of_any_history_do_not_matter(made, random) -> None:
    def record(rows) -> dict[str, Any]:
        history = [
            past(days, fid=fid, magpsf=18.0 + days / 10.0)
            if kind == "detection"
            else limit(days) | {"fid": fid}
            for days, kind, fid in rows
            if kind != "forced"
        ]
        more = [forced(days, 40.0, 10.0, fid=fid) for days, kind, fid in rows if kind == "forced"]
        return ztf(prv_candidates=history, fp_hists=more)

    shuffled = made + made[:3]
    random.shuffle(shuffled)
    found = read(record(made), record(shuffled))
    assert light_curve(found, 0) == light_curve(found, 1)
    written = io.BytesIO(packet(record(made)).data)
    assert_same(light_curve(found, 0), slow_light_curve(next(fastavro.reader(written))))


def test_an_alert_counts_before_the_same_epoch_in_its_history() -> None:
    found = read(
        ztf(prv_candidates=[past(0.0, magpsf=15.0, sigmapsf=0.01)], fp_hists=[forced(0.0, 1.0, 1.0)])
    )
    [(_, _, flux, _, _)] = light_curve(found, 0)
    assert flux == pytest.approx(100_000.0, rel=1e-6)
    assert found.repeated_epochs == 2


@pytest.mark.parametrize(("isdiffpos", "sign"), [("t", 1), ("1", 1), ("true", 1), ("f", -1), ("0", -1)])
def test_the_sign_of_the_flux(isdiffpos: str, sign: int) -> None:
    [(_, _, flux, error, _)] = light_curve(read(ztf({"isdiffpos": isdiffpos})), 0)
    assert flux == pytest.approx(sign * 100_000.0, rel=1e-6)
    assert error > 0.0


@pytest.mark.parametrize("value", [True, False])
def test_the_sign_as_a_truth_value(value: bool) -> None:
    schema = ZTF_SCHEMA.replace(b'"isdiffpos", "type": "string"', b'"isdiffpos", "type": "boolean"').replace(
        b'"isdiffpos", "type": ["null", "string"]', b'"isdiffpos", "type": ["null", "boolean"]'
    )
    record = ztf({"isdiffpos": value}, prv_candidates=[past(1.0, isdiffpos=not value), limit(2.0)])
    found = light_curve(Ingest().read([packet(record, schema)]), 0)
    assert [np.sign(epoch[2]) for epoch in found] == [0, -1 if value else 1, 1 if value else -1]


def test_an_unknown_sign_is_an_unusable_epoch() -> None:
    found = read(ztf(prv_candidates=[past(1.0, isdiffpos="?"), past(2.0, isdiffpos=None)]))
    assert len(light_curve(found, 0)) == 1
    assert found.unusable_epochs == 2


def test_limits_are_kept() -> None:
    [(mjd, band, flux, error, detected), _] = light_curve(read(ztf(prv_candidates=[limit(1.0, 21.4)])), 0)
    assert (mjd, band, flux, detected) == (59_999.25, "ztf_g", 0.0, False)
    assert error == pytest.approx(10_000.0 / 5.0, rel=1e-6)


def test_forced_photometry() -> None:
    rows = [forced(3.0, 10.0, 5.0), forced(2.0, -50.0, 5.0), forced(1.0, -99_999.0, -99_999.0)]
    rows += [forced(4.0, 10.0, 5.0, procstatus="57,56,58,61,255"), forced(5.0, 10.0, 5.0, procstatus="57")]
    rows += [forced(6.0, 10.0, 5.0, magzpsci=None), forced(7.0, 10.0, 5.0, procstatus=None)]
    found = read(ztf(fp_hists=rows))
    epochs = light_curve(found, 0)
    assert [epoch[0] for epoch in epochs] == [59_995.25, 59_997.25, 59_998.25, 60_000.25]
    assert [epoch[4] for epoch in epochs] == [False, False, True, True]
    scale = 10.0 ** ((31.4 - 26.2) / 2.5)
    assert epochs[2][2:4] == pytest.approx((-50.0 * scale, 5.0 * scale), rel=1e-6)
    assert found.unusable_epochs == 4


def test_one_passband_only() -> None:
    found = read(ztf({"fid": 3}, prv_candidates=[past(1.0, fid=3)]))
    assert [epoch[1] for epoch in light_curve(found, 0)] == ["ztf_i", "ztf_i"]


def test_fluxes_of_lsst_stay_as_they_are() -> None:
    row = {"visit": 2, "midpointMjdTai": 60_999.0, "psfFlux": 12.5, "psfFluxErr": 50.0, "band": "u"}
    earlier = lsst()["diaSource"] | {"midpointMjdTai": 60_998.0, "psfFlux": 500.0, "band": "y"}
    found = read(lsst(prvDiaSources=[earlier], prvDiaForcedSources=[row]))
    assert light_curve(found, 0) == [
        (60_998.0, "lsst_y", 500.0, 90.0, True),
        (60_999.0, "lsst_u", 12.5, 50.0, False),
        (61_000.25, "lsst_z", -900.0, 90.0, True),
    ]


def test_withdrawn_records_are_left_out() -> None:
    rows = [lsst()["diaSource"] | {"midpointMjdTai": 60_990.0 + day} for day in range(2)]
    rows[0]["timeWithdrawnMjdTai"] = 60_999.0
    rows[1]["timeWithdrawnMjdTai"] = math.nan
    found = read(lsst(prvDiaSources=rows))
    assert [epoch[0] for epoch in light_curve(found, 0)] == [60_991.0, 61_000.25]
    assert found.unusable_epochs == 1


@pytest.mark.parametrize(
    "epoch",
    [
        past(1.0, magpsf=math.nan, diffmaglim=None),
        past(1.0, magpsf=-math.inf),
        past(1.0, magpsf=-3e38),
        past(1.0, magpsf=-10.0),
        past(1.0, magpsf=-1000.0, sigmapsf=0.0),
        past(1.0, magpsf=99.0),
        past(1.0, sigmapsf=math.nan),
        past(1.0, sigmapsf=math.inf),
        past(1.0, sigmapsf=0.0),
        past(1.0, sigmapsf=-0.1),
        past(1.0, sigmapsf=None),
        past(1.0, fid=4),
        past(1.0, fid=-1),
        past(1.0, fid=2**31 - 1),
        past(2_460_000.75),
        past(-1e9),
        past(math.nan),
        past(math.inf),
        limit(1.0, math.nan),
        limit(1.0, -math.inf),
        limit(1.0, -1006.94),
        limit(1.0, 99.0),
    ],
)
def test_unusable_epochs_are_left_out_and_counted(epoch: dict[str, Any]) -> None:
    found = read(ztf(prv_candidates=[epoch, past(2.0)]))
    assert len(light_curve(found, 0)) == 2
    assert found.unusable_epochs == 1


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ztf({"magpsf": math.nan}), "flux nan nJy"),
        (ztf({"sigmapsf": 0.0}), "error 0 nJy"),
        (ztf({"fid": 9}), "passband 255"),
        (ztf({"jd": 1.0}), "MJD -2399999.5"),
        (ztf({"isdiffpos": ""}), "flux nan nJy"),
        (lsst({"psfFlux": None}), "flux nan nJy"),
        (lsst({"psfFluxErr": math.inf}), "error inf nJy"),
        (lsst({"band": "zz"}), "passband 255"),
        (lsst({"band": None}), "passband 255"),
        (lsst({"midpointMjdTai": 4.0}), "MJD 4"),
        (ztf(schemavsn="5.0"), "expected version 3, 4 of the schema of ztf, got 5.0"),
        (ztf(schemavsn="2.9"), "got 2.9"),
        (ztf(schemavsn="four"), "got four"),
        (ztf(schemavsn="4"), "got 4"),
        (ztf(schemavsn=""), "got none"),
        (ztf(candid=-(2**63)), "with a number, got null"),
    ],
)
def test_alerts_that_are_refused_do_not_touch_others(record: dict[str, Any], reason: str) -> None:
    history = [past(1.0), past(2.0)]
    good = [ztf(prv_candidates=history), ztf(candid=8, prv_candidates=history[:1])]
    alone = read(*good)
    found = read(good[0], record, good[1])
    assert list(found.refused) == [1]
    assert reason in found.refused[1]
    assert found.packets.tolist() == [0, 2]
    assert found.light_curves.alert_id.tolist() == [7, 8]
    assert [light_curve(found, alert) for alert in (0, 1)] == [light_curve(alone, alert) for alert in (0, 1)]


def _lsst_version(text: str) -> bytes:
    return LSST_SCHEMA.replace(b"lsst.v11_0", text.encode())


@pytest.mark.parametrize("major", [7, 8, 9, 10, 11])
def test_majors_of_lsst_that_are_known(major: int) -> None:
    found = Ingest().read([packet(lsst(), _lsst_version(f"lsst.v{major}_3"))])
    assert found.schema_versions == [f"{major}.3"]


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("lsst.v6_0", "got 6.0"),
        ("lsst.v12_0", "expected version 7, 8, 9, 10, 11"),
        ("elasticc.v0_9", "got none"),
    ],
)
def test_majors_of_lsst_that_are_not(version: str, reason: str) -> None:
    found = Ingest().read([packet(lsst(), _lsst_version(version))])
    assert reason in found.refused[0]


def test_lsst_before_ids_moved_up() -> None:
    """Schema 7 has an alertId and the number of the source in the source only."""
    schema = json.loads(_lsst_version("lsst.v7_1"))
    schema["fields"][0]["name"] = "alertId"
    record = lsst({"diaSourceId": 4})
    record["alertId"] = record.pop("diaSourceId")
    found = Ingest().read([packet(record, json.dumps(schema).encode())])
    assert found.light_curves.alert_id.tolist() == [4]
    assert found.schema_versions == ["7.1"]


def test_names_of_fields_that_lsst_gave_up() -> None:
    schema = _lsst_version("lsst.v7_0")
    record = lsst()
    for old, new in [("midPointTai", "midpointMjdTai"), ("filterName", "band"), ("psFlux", "psfFlux")]:
        schema = schema.replace(f'"{new}"'.encode(), f'"{old}"'.encode())
        record["diaSource"][old] = record["diaSource"].pop(new)
    found = Ingest().read([packet(record, schema)])
    assert light_curve(found, 0) == [(61_000.25, "lsst_z", -900.0, 90.0, True)]


def test_versions_that_a_broker_writes_into_the_record() -> None:
    schema = json.loads(_lsst_version("topLevelRecord.lsst"))
    schema["fields"].append({"name": "lsst_schema_version", "type": ["string", "null"]})
    text = json.dumps(schema).encode()
    versions = ["lsst.v10_0", None, "lsst.v99_0"]
    found = Ingest().read([packet(lsst(lsst_schema_version=version), text) for version in versions])
    assert found.schema_versions == ["10.0"]
    assert {number: reason[-9:] for number, reason in found.refused.items()} == {
        1: " got none",
        2: " got 99.0",
    }


@pytest.mark.parametrize(
    ("source", "name"),
    [({}, "70"), ({"diaObjectId": None, "ssObjectId": 21}, "21"), ({"diaObjectId": 0}, "7")],
)
def test_names_of_objects_of_lsst(source: dict[str, Any], name: str) -> None:
    assert read(lsst(source)).light_curves.object_id == [name]


def test_several_surveys_in_one_batch(tmp_path: Path) -> None:
    (tmp_path / f"{LSST_SCHEMA_NUMBER}.avsc").write_bytes(LSST_SCHEMA)
    number = LSST_SCHEMA_NUMBER.to_bytes(4, "big")
    packets = [
        Packet(b"\x00" + number + body(LSST_SCHEMA, lsst({"midpointMjdTai": 61_001.0}))),
        packet(ztf()),
        Packet(b"junk"),
        packet(lsst(diaSourceId=9)),
        Packet(body(ZTF_SCHEMA, ztf(candid=10)), ZTF_SCHEMA),
    ]
    found = Ingest(SchemaRegistry(tmp_path)).read(packets)
    assert list(found.refused) == [2]
    assert found.packets.tolist() == [0, 1, 3, 4]
    assert found.surveys == ["lsst", "ztf", "lsst", "ztf"]
    assert found.schema_versions == ["11.0", "4.02", "11.0", "4.02"]
    assert found.light_curves.alert_id.tolist() == [7, 7, 9, 10]
    assert [light_curve(found, alert)[-1][0] for alert in range(4)] == [
        61_001.0,
        60_000.25,
        61_000.25,
        60_000.25,
    ]


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        (
            b'{"type": "record", "name": "x", "fields": [{"name": "a", "type": "long"}]}',
            "got a record with a",
        ),
        (b'{"type": "record", "name": "x", "fields": []}', "expected an alert of ZTF"),
        (b'"long"', "expected an alert of ZTF"),
        (b'{"type": "record", "fields": "fields"}', "name"),
        (b'{"fields": nonsense', "JSON"),
        (ZTF_SCHEMA.replace(b"sigmapsf", b"sigma"), "the schema has not all of these"),
        (ZTF_SCHEMA.replace(b"objectId", b"name"), "the schema has not all of these"),
        (LSST_SCHEMA.replace(b"psfFluxErr", b"error"), "the schema has not all of these"),
    ],
)
def test_schemas_that_are_not_known(schema: bytes, reason: str) -> None:
    ingest = Ingest()
    made = Packet(write_record(write_header(schema), b"\x02", bytes(16)))
    for _ in range(2):
        found = ingest.read([made, packet(ztf())])
        assert reason in found.refused[0]
        assert found.packets.tolist() == [1]


def test_what_is_in_use_is_not_learnt_again_whatever_else_comes() -> None:
    ingest, good = Ingest(), packet(ztf())
    ingest.read([good])
    [learnt] = ingest._known.values()
    for number in range(2 * MOST_SCHEMAS):
        other = write_header(b'{"type": "record", "name": "x%d", "fields": []}' % number)
        assert ingest.read([Packet(write_record(other, b"", bytes(16))), good]).packets.tolist() == [1]
    assert len(ingest._known) == MOST_SCHEMAS
    assert learnt in ingest._known.values()


def test_records_without_tables() -> None:
    """A broker may leave out the history, or rename a part of it."""
    schema = ZTF_SCHEMA.replace(b"prv_candidates", b"earlier").replace(b"procstatus", b"status")
    assert len(light_curve(Ingest().read([packet(ztf(), schema)]), 0)) == 1


def test_a_hundred_thousand_epochs() -> None:
    number = 100_000
    rng = np.random.default_rng(0)
    history = [past(float(day)) for day in rng.permutation(number) / 10.0 + 0.1]
    found = read(ztf(prv_candidates=history), ztf(candid=8))
    curves = found.light_curves
    assert curves.offsets.tolist() == [0, number + 1, number + 2]
    assert (np.diff(curves.mjd[: number + 1]) > 0.09).all()


# Broken packets.


def _huge(data: bytes) -> bytes:
    """Return the packet with a string that claims 2 GB."""
    return data.replace(b"\x18ZTF23aaaaaaa", b"\x80\x80\x80\x80\x10ZTF23aaaaaaa"[:13])


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "half": lambda data: data[: len(data) // 2],
    "one byte less": lambda data: data[:-1],
    "wrong magic": lambda data: b"Obk" + data[3:],
    "not Avro": lambda data: b"SIMPLE  =                    T",
    "a name of 2 GB": _huge,
    "sync": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "number of a schema that nobody knows": lambda data: b"\x00\xff\xff\xff\xff" + data,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_packets_are_refused_and_do_not_touch_others(kind: str) -> None:
    good = packet(ztf(prv_candidates=[past(1.0)]))
    broken = Packet(BROKEN[kind](good.data))
    assert broken.data != good.data
    found = Ingest().read([good, broken, good])
    assert list(found.refused) == [1]
    assert found.refused[1]
    assert light_curve(found, 0) == light_curve(found, 1) == light_curve(Ingest().read([good]), 0)


BODIES = {
    "ztf": body(ZTF_SCHEMA, ztf(prv_candidates=[past(1.0), limit(2.0)], fp_hists=[forced(3.0, 2.0, 1.0)]))
}
BODIES["lsst"] = body(LSST_SCHEMA, lsst(prvDiaSources=[lsst()["diaSource"]]))


@settings(max_examples=300)
@given(
    st.sampled_from(["ztf", "lsst"]),
    st.lists(st.tuples(st.floats(0.0, 0.999), st.integers(0, 255)), max_size=3),
    st.floats(0.0, 1.0),
)
def test_flipped_and_cut_records_give_a_light_curve_or_a_reason(survey, changes, kept) -> None:
    schema = ZTF_SCHEMA if survey == "ztf" else LSST_SCHEMA
    data = bytearray(BODIES[survey])
    for place, value in changes:
        data[int(place * len(data))] = value
    data = data[: max(1, round(kept * len(data)))]
    good = Packet(BODIES[survey], schema)
    found = Ingest().read([good, Packet(bytes(data), schema), good])
    assert set(found.packets.tolist()) | set(found.refused) == {0, 1, 2}
    assert 1 not in found.packets or 1 not in found.refused
    curves = found.light_curves
    assert np.isfinite(curves.flux_njy).all()
    assert (np.isfinite(curves.error_njy) & (curves.error_njy > 0.0)).all()
    assert (curves.band < len(NAMES)).all()
    assert (np.diff(curves.offsets) > 0).all()
    for alert in range(len(curves)):
        times = [epoch[0] for epoch in light_curve(found, alert)]
        assert times == sorted(times)
    assert light_curve(found, 0) == light_curve(found, len(curves) - 1)


class Most:
    """A bound on the epochs of an alert, which keeps what it was told."""

    def __init__(self, **limits: float) -> None:
        self.limits = limits
        self.calls: list[tuple[str, float, bool, str]] = []

    def limit(self, source: str, bucket: str = "") -> float:  # noqa: ARG002 (the interface)
        return self.limits[source]

    def note(self, cost: float, *, cut: bool, source: str, bucket: str = "") -> None:
        self.calls.append((source, cost, cut, bucket))


def test_alerts_with_too_many_epochs_are_refused_and_the_others_are_not() -> None:
    lengths = [3, 40, 5, 30]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    total = int(offsets[-1])
    curves = LightCurves(
        np.arange(4) + 1000 * total,
        [f"object {number}" for number in range(4)],
        offsets,
        60_000.0 + np.arange(total),
        np.zeros(total, np.uint8),
        np.full(total, 2000.0),
        np.full(total, 100.0),
        np.ones(total, np.bool_),
    )
    origins = ["ztf[0]@1", "ztf[1]@2", "night.avro#0", "left_alone[0]@7"]
    packets = [
        Packet(packet.data, origin=origin)
        for packet, origin in zip(ztf_packets(curves, cutout_bytes=10), origins, strict=True)
    ]
    bound = Most(ztf=30.0, left_alone=0.0, **{"night.avro": 4.0})
    read = Ingest(bound=bound).read(packets)
    assert read.packets.tolist() == [0]
    assert len(read.light_curves.mjd) == 3
    assert read.refused == {
        1: "too many epochs for an alert of ztf: 40, 30 may be",
        2: "too many epochs for an alert of ztf: 5, 4 may be",
        3: "nothing is read of the source 'left_alone' for now: too many alerts were too long",
    }
    assert bound.calls == [
        ("ztf", 3, False, "ztf"),
        ("ztf", 40, True, "ztf"),
        ("night.avro", 5, True, "ztf"),
    ]


def test_an_alert_that_is_refused_for_something_else_tells_the_bound_nothing() -> None:
    bound = Most()
    read = Ingest(bound=bound).read([Packet(b"nothing")])
    assert list(read.refused) == [0]
    assert bound.calls == []
