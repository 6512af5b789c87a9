# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded alerts and tables, classified from the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

sys.path.insert(0, str(Path(__file__).parent))

from alert_model import write_alert_model  # noqa: E402

from lowlat_nodes.alerts.lightcurve import LightCurves  # noqa: E402
from lowlat_nodes.alerts.passbands import CODES  # noqa: E402
from lowlat_nodes.alerts.registry import SchemaRegistry  # noqa: E402
from lowlat_nodes.alerts.result import FIELDS  # noqa: E402
from lowlat_nodes.cli.alert_stream import PacketFolder  # noqa: E402
from lowlat_nodes.cli.classify import main  # noqa: E402
from lowlat_nodes.cli.main import main as lowlat  # noqa: E402
from lowlat_nodes.sim.alert_packets import LSST_SCHEMA, fink_packets, lsst_packets, ztf_packets  # noqa: E402
from lowlat_nodes.stream.errors import ConfigurationError  # noqa: E402
from lowlat_nodes.stream.message import Message  # noqa: E402
from lowlat_nodes.stream.payload import Packet  # noqa: E402
from lowlat_nodes.transport.kafka.settings import Connection  # noqa: E402
from lowlat_nodes.transport.kafka.sink import KafkaSink  # noqa: E402


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_alert_model(tmp_path / "model.onnx")


def light_curves(survey: str, count: int) -> LightCurves:
    """Return light curves of 6 epochs; the first has one detection, the next two, and so on."""
    mjd = np.tile(60000.0 + np.arange(6), count)
    detected = np.concatenate([np.arange(6) <= number % 6 for number in range(count)])
    return LightCurves(
        np.arange(100, 100 + count),
        [str(1000 + number) for number in range(count)],
        np.arange(0, 6 * count + 1, 6),
        mjd,
        np.full(6 * count, CODES[f"{survey}_r"], np.uint8),
        np.where(detected, 1e5, 0.0),
        np.full(6 * count, 1e3),
        detected,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with three alerts of ZTF, two of Rubin and the schema of these."""
    pytest.importorskip("fastavro")
    alerts = tmp_path / "alerts"
    (alerts / "lsst").mkdir(parents=True)
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "11_0.avsc").write_bytes(LSST_SCHEMA)
    for number, packet in enumerate(ztf_packets(light_curves("ztf", 3), cutout_bytes=10)):
        (alerts / f"{number}.avro").write_bytes(packet.data)
    for number, packet in enumerate(lsst_packets(light_curves("lsst", 2), cutout_bytes=10)):
        (alerts / "lsst" / f"{number}.avro").write_bytes(packet.data)
    return alerts


def classified(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, list[dict[str, Any]]]:
    code = main([*map(str, arguments), "--json"])
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.alerts
def test_alerts_of_both_surveys(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schemas = folder.parent / "schemas"
    code, found = classified(capsys, folder, "--model", model, "--schemas", schemas)
    assert code == 0
    assert [fields["survey"] for fields in found] == ["ztf"] * 3 + ["lsst"] * 2
    assert [fields["detections"] for fields in found] == [1, 2, 3, 1, 2]
    assert all(list(fields) == list(FIELDS) for fields in found)
    shares = [fields["p"]["SN Ia"] for fields in found]
    assert shares[0] < shares[1] < shares[2]


@pytest.mark.alerts
def test_a_container_of_many_alerts(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fastavro = pytest.importorskip("fastavro")
    records = []
    for path in sorted(folder.glob("*.avro")):
        with path.open("rb") as file:
            reader = fastavro.reader(file)
            schema = reader.writer_schema
            records += list(reader)
    with (folder.parent / "night.avro").open("wb") as file:
        fastavro.writer(file, schema, records, codec="deflate")
    _, together = classified(capsys, folder.parent / "night.avro", "--model", model)
    _, alone = classified(capsys, *sorted(folder.glob("*.avro")), "--model", model)
    for fields in together + alone:
        fields.pop("received_ns")
    assert together == alone


@pytest.mark.alerts
def test_what_cannot_be_read_is_told_and_the_rest_classified(
    folder: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "1.avro").write_bytes((folder / "1.avro").read_bytes()[:-300])
    (folder / "2.avro").write_bytes(b"")
    (folder / "3.avro").write_bytes(b"no packet")
    assert main([str(folder), "--model", str(model)]) == 1
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1 + 1
    for name in ("1.avro#0", "2.avro#0", "3.avro#0", "lsst/0.avro#0: unknown schema 1100"):
        assert name in said.err


def test_a_table_of_any_survey(tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "table.csv"
    table.write_text("id,mjd,band,mag,error,limit\nmine,60000,gaia_g,,,19\nmine,60002,gaia_g,17.5,0.1,\n")
    code, [fields] = classified(capsys, table, "--model", model)
    assert code == 0
    assert (fields["survey"], fields["object_id"], fields["alert_id"]) == ("table", "mine", 0)
    assert (fields["epochs"], fields["detections"], fields["band"]) == (2, 1, "gaia_g")
    assert fields["magnitude"] == pytest.approx(17.5)


@pytest.mark.alerts
def test_an_expression_chooses(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, found = classified(
        capsys, folder / "0.avro", folder / "2.avro", "--model", model, "--keep", "detections > 2"
    )
    assert [fields["detections"] for fields in found] == [3]
    with pytest.raises(ConfigurationError, match="did you mean 'detections'"):
        main([str(folder), "--model", str(model), "--keep", "detection > 2"])


@pytest.mark.alerts
def test_parameters_of_the_node_count(folder: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = sorted(folder.glob("*.avro"))
    for threshold, expected in (("0.01", ["SN Ia"] * 3), ("0.99", ["abstained"] * 3)):
        _, found = classified(capsys, *files, "--model", model, "-p", f"threshold:={threshold}")
        assert [fields["best"] for fields in found] == expected


@pytest.mark.alerts
@pytest.mark.dataset
def test_results_in_a_parquet_file(folder: Path, model: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    out = tmp_path / "results.parquet"
    main([*map(str, sorted(folder.glob("*.avro"))), "--model", str(model), "--out", str(out)])
    rows = parquet.read_table(out).to_pylist()
    assert [row["detections"] for row in rows] == [1, 2, 3]
    assert rows[2]["best"] == "SN Ia"
    assert not list(tmp_path.glob(".*"))


@pytest.mark.alerts
def test_pictures_of_all_and_of_each(folder: Path, model: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    files = [*map(str, sorted(folder.glob("*.avro"))), "--model", str(model)]
    main([*files, "--plot", str(tmp_path / "plots" / "all.svg")])
    text = (tmp_path / "plots" / "all.svg").read_text()
    assert all(f">{name}<" in text for name in ("1000", "1001", "1002", "AB magnitude", "SN Ia", "abstained"))
    main([*files, "--plot", str(tmp_path / "each")])
    assert sorted(path.name for path in (tmp_path / "each").iterdir()) == [
        "1000-100.png", "1001-101.png", "1002-102.png",
    ]  # fmt: skip


PARAMETERS = """
alert_node:
  ros__parameters:
    publish: false
    kafka:
      bootstrap: "{bootstrap}"
    source:
      kind: kafka
      kafka:
        topics: [fink]
        group: "{group}"
"""


@pytest.mark.alerts
def test_a_look_at_a_topic_of_fink(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("confluent_kafka")
    from lowlat_nodes.transport.kafka.mock_cluster import running

    parameters, packets = tmp_path / "fink.yaml", tmp_path / "packets"
    with running({"fink": 1}) as cluster:
        bootstrap = cluster.bootstrap
        sink = KafkaSink(Connection(bootstrap=bootstrap), {"out": "fink"})
        for packet in fink_packets(light_curves("ztf", 5), cutout_bytes=10):
            sink.write(Message("out", packet))
        sink.flush(60.0)
        sink.close()
        parameters.write_text(PARAMETERS.format(bootstrap=bootstrap, group="looking"))
        arguments = ["--source", parameters, "--model", model, "--count", 5, "--wait", 60]
        _, live = classified(capsys, *arguments, "--save", packets)
        _, again = classified(capsys, *arguments)
    code, saved = classified(capsys, packets, "--model", model)
    assert code == 0
    for fields in live + again + saved:
        fields.pop("received_ns")
    assert [fields["detections"] for fields in live] == [1, 2, 3, 4, 5]
    assert live == again  # a look leaves the place of the group where it was
    assert live == saved
    assert [path.name for path in sorted(packets.iterdir())][:2] == ["000000.avro", "000001.avro"]


@pytest.mark.alerts
def test_a_broker_that_is_not_there_is_told(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("confluent_kafka")
    parameters = tmp_path / "fink.yaml"
    parameters.write_text(PARAMETERS.format(bootstrap="127.0.0.1:9", group="looking"))
    assert main(["--source", str(parameters), "--model", str(model), "--wait", "2"]) == 1
    assert "nothing came for 2 s. Kafka: " in capsys.readouterr().err


@pytest.mark.alerts
def test_packets_of_every_kind_are_kept_as_files(tmp_path: Path, model: Path, folder: Path) -> None:
    schemas = folder.parent / "schemas"
    kept = PacketFolder(tmp_path / "kept", SchemaRegistry(schemas))
    packet = next(lsst_packets(light_curves("lsst", 1), cutout_bytes=10))
    kept.add(packet)
    kept.add(Packet(b"rubbish"))
    PacketFolder(tmp_path / "kept", None).add(packet)
    first, second, third = sorted((tmp_path / "kept").iterdir())
    assert main([str(first), "--model", str(model)]) == 0  # knows its schema by itself
    assert second.read_bytes() == b"rubbish"
    assert third.read_bytes() == packet.data  # nobody knew the schema


def test_what_is_wrong_is_told_before_the_work(
    tmp_path: Path, model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, reason in (
        (["none.avro", "--model", str(model)], "none.avro: expected a file, a folder or a pattern"),
        ([str(tmp_path / "empty"), "--model", str(model)], "empty: expected files .avro"),
        (["none.csv", "--model", str(model)], "none.csv: No such file"),
        ([str(model), "--model", "t3"], "t3"),
        ([str(model), "--model", str(model), "--plot", "a.txt"], "expected a folder or a file with .png"),
        ([str(model), "--model", str(model), "--schemas", "none"], "expected a folder of schemas"),
    ):
        assert lowlat(["classify", *arguments]) == 2
        assert reason in capsys.readouterr().err
