# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The benchmark of alerts in miniature, on simulated packets, and what its packets are made of."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from lowlat_nodes.benchmarks import alerts
from lowlat_nodes.benchmarks._alerts_packets import Recorded, split, zigzag, ztf_packets
from lowlat_nodes.benchmarks._alerts_session import AlertSession

fastavro = pytest.importorskip("fastavro")
pytest.importorskip("sncosmo")
pytestmark = [pytest.mark.alerts, pytest.mark.sky]


@pytest.fixture(scope="module")
def packets(tmp_path_factory: pytest.TempPathFactory) -> list[Recorded]:
    return ztf_packets(tmp_path_factory.mktemp("empty"))


def _read(data: bytes) -> list[dict]:
    return list(fastavro.reader(io.BytesIO(data)))


@pytest.mark.parametrize("value", [0, -1, 63, 64, -(1 << 40), (1 << 62) - 1, -(1 << 63)])
def test_numbers_are_written_as_avro_does(value: int) -> None:
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema("long"), value)
    assert zigzag(value) == written.getvalue()


def test_simulated_packets_take_the_place_of_recorded_ones(packets: list[Recorded]) -> None:
    assert len({packet.alert_id for packet in packets}) == len(packets) == 64
    assert all(_read(packet.data)[0]["candid"] == packet.alert_id for packet in packets[:5])


def test_a_packet_with_another_number_is_otherwise_the_same(packets: list[Recorded]) -> None:
    (before,), (after,) = _read(packets[0].data), _read(packets[0].numbered((1 << 60) + 7))
    assert after["candid"] == after["candidate"]["candid"] == (1 << 60) + 7
    for record in (before, after):
        del record["candid"], record["candidate"]["candid"]
    assert after == before


def test_a_number_of_another_length_is_refused(packets: list[Recorded]) -> None:
    with pytest.raises(ValueError, match="expected a number of 9 bytes, got 1 of 1"):
        packets[0].numbered(1)


def test_a_container_is_split_into_its_records(packets: list[Recorded]) -> None:
    records = [_read(packet.data)[0] for packet in packets[:3]]
    together = io.BytesIO()
    schema = fastavro.reader(io.BytesIO(packets[0].data)).writer_schema
    fastavro.writer(together, schema, records, codec="null")
    parts = list(split(together.getvalue()))
    assert [_read(data) for data, _ in parts] == [[record] for record in records]
    assert [record for _, record in parts] == records


def test_the_figures_have_the_fields_of_the_docs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("george")
    monkeypatch.setattr(alerts, "_TURN_NS", 1_000_000)
    parts = ["--part", "chain", "--part", "decode", "--part", "throughput"]
    assert alerts.main(["--json", "--scale", "0.01", "--data", str(tmp_path), *parts]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["recorded_packets"] is figures["throughput"]["recorded"] is False
    assert all(
        figures[name] > 0 for name in ("speedup_vs_t2_chain", "decode_speedup_vs_fastavro", "alerts_per_s")
    )


def test_a_session_that_does_not_start_leaves_no_process_behind(tmp_path: Path) -> None:
    broken = tmp_path / "alerts" / "ztf" / "broken.avro"
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"no container")
    core = min(os.sched_getaffinity(0))
    before = _children()
    with pytest.raises(RuntimeError, match="_alerts_sender"):
        AlertSession(tmp_path, tmp_path, core, core)
    assert _children() <= before


def _children() -> set[str]:
    tasks = Path("/proc/self/task").iterdir()
    return {child for task in tasks for child in (task / "children").read_text(encoding="ascii").split()}
