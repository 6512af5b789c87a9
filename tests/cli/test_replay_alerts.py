# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat replay --to`: recorded alerts over ZeroMQ and Kafka, and nobody there to take them."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.alerts.timetable import evenly
from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.cli import replay_alerts
from lowlat_nodes.nodes.alert.packet_targets import target
from lowlat_nodes.nodes.alert.replay import AlertReplay
from lowlat_nodes.nodes.stop import stop_on_signals
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.zmq.packets import PacketReceiver
from lowlat_nodes.transport.zmq.work_source import WorkSource

PATIENCE_S = 60.0


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """Return a folder of three alerts, one second apart."""
    curves = LightCurves(
        np.arange(3),
        ["ZTF0", "ZTF1", "ZTF2"],
        np.arange(4),
        60000.0 + np.arange(3) / 86_400,
        np.full(3, CODES["ztf_g"], np.uint8),
        np.full(3, 1e5),
        np.full(3, 1e3),
        np.ones(3, np.bool_),
    )
    folder = tmp_path / "night"
    folder.mkdir()
    for number, packet in enumerate(ztf_packets(curves, cutout_bytes=100)):
        (folder / f"{number}.avro").write_bytes(packet.data)
    return folder


@pytest.fixture
def receiver() -> Iterator[PacketReceiver]:
    with contextlib.closing(PacketReceiver("tcp://127.0.0.1:0", SystemClock())) as made:
        yield made


def take(receiver: PacketReceiver, count: int) -> list[bytes]:
    deadline = time.monotonic() + PATIENCE_S
    found: list[bytes] = []
    while len(found) < count:
        assert time.monotonic() < deadline
        found += [bytes(message.payload.data) for message in receiver.poll(count - len(found), 0.1)]
    return found


def replay(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    code = lowlat.main(["replay", *map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def test_alerts_come_as_they_were_recorded(
    recorded: Path, receiver: PacketReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    code, report = replay(capsys, recorded, "--to", receiver.endpoint, "--rate", 20, "--loop", 2)
    packets = [(recorded / f"{number}.avro").read_bytes() for number in range(3)]
    assert take(receiver, 6) == packets * 2
    assert code == 0
    assert (report["sent"], report["failure"], report["unread"]) == (6, "", "")
    assert report["mb"] == pytest.approx(2e-6 * sum(map(len, packets)), abs=1e-3)
    assert (
        report["seconds"] > 0.149
    )  # 2.5 s of the night, and as much again without the last interval, 20 times as fast
    assert report["late_max_ms"] >= report["late_p50_ms"] >= 0.0


def test_no_alert_goes_out_before_it_is_due(receiver: PacketReceiver) -> None:
    table = evenly([Packet(b"%d" % number) for number in range(20)], 200.0)
    opened = target(
        receiver.endpoint, patience_s=PATIENCE_S, linger_s=PATIENCE_S, node=contextlib.nullcontext
    )
    with opened as where, stop_on_signals() as stop:
        begin = time.monotonic()
        sent = AlertReplay(table, where, 3)
        sent.run(stop)
        assert time.monotonic() - begin >= 59 * 0.005
    assert sent.alerts == sent.late.count == 60
    assert take(receiver, 60) == [packet.data for packet in table.packets] * 3


def test_a_broken_packet_is_told_and_sent_as_it_is(
    recorded: Path, receiver: PacketReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    path = recorded / "1.avro"
    path.write_bytes(path.read_bytes()[:-5])
    code, report = replay(capsys, recorded, "--to", receiver.endpoint, "--rate", "max")
    assert (code, report["sent"]) == (1, 3)
    assert "1.avro: " in report["unread"]
    assert take(receiver, 3)[1] == path.read_bytes()


def test_an_archive_of_a_night(
    recorded: Path, receiver: PacketReceiver, capsys: pytest.CaptureFixture[str]
) -> None:
    archive = recorded.parent / "night.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        for path in sorted(recorded.iterdir()):
            file.add(path, path.name)
    code, report = replay(capsys, archive, "--to", receiver.endpoint, "--rate", 1000)
    assert (code, report["sent"]) == (0, 3)
    assert take(receiver, 3) == [path.read_bytes() for path in sorted(recorded.iterdir())]


def test_nobody_takes_the_alerts(
    recorded: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(replay_alerts, "PATIENCE_S", 0.05)
    code, report = replay(capsys, recorded, "--to", f"ipc://{tmp_path}/nobody", "--per-second", 1000)
    assert (code, report["sent"]) == (1, 0)
    assert "no receiver had room" in report["failure"]


def test_who_takes_work_confirms_all_of_it(
    recorded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    address = f"ipc://{tmp_path}/work"
    with contextlib.closing(WorkSource(address, SystemClock())) as source, ThreadPoolExecutor(1) as pool:
        over = threading.Event()

        def work() -> list[bytes]:
            found: list[bytes] = []
            while not over.is_set():
                found += [bytes(message.payload.data) for message in source.poll(10, 0.05)]
                source.commit()
            return found

        taken = pool.submit(work)
        try:
            code, report = replay(capsys, recorded, "--to", f"work:{address}", "--rate", "max", "--loop", 4)
        finally:
            over.set()
        packets = [(recorded / f"{number}.avro").read_bytes() for number in range(3)]
        assert sorted(taken.result()) == sorted(packets * 4)
    assert (code, report["sent"], report["confirmed"]) == (0, 12, 12)


def test_an_interrupt_ends_it(recorded: Path, receiver: PacketReceiver) -> None:
    arguments = ["replay", str(recorded), "--to", receiver.endpoint, "--per-second", "0.01", "--json"]
    command = [sys.executable, "-m", "lowlat_nodes.cli.main", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        take(receiver, 1)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert json.loads(out)["sent"] == 1


def test_alerts_into_a_topic_of_kafka(
    recorded: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    kafka = pytest.importorskip("confluent_kafka")
    from lowlat_nodes.transport.kafka.mock_cluster import running

    with running({"ztf": 1}) as cluster:
        bootstrap = cluster.bootstrap
        code, report = replay(capsys, recorded, "--to", f"kafka://{bootstrap}/ztf", "--rate", "max")
        assert (code, report["sent"], report["failure"]) == (0, 3, "")
        consumer = kafka.Consumer(
            {"bootstrap.servers": bootstrap, "group.id": "test", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe(["ztf"])
        found: list[bytes] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < 3:
            assert time.monotonic() < deadline
            message = consumer.poll(0.2)
            if message is not None and message.error() is None:
                found.append(message.value())
        consumer.close()
    assert found == [(recorded / f"{number}.avro").read_bytes() for number in range(3)]


@pytest.mark.ros
def test_alerts_to_a_ros_topic(
    recorded: Path, ros_domain_id: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rclpy = pytest.importorskip("rclpy")
    from lowlat_nodes.transport.ros.packets import RosPackets

    context = rclpy.Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node("receiver", context=context)
    source = RosPackets(node, "alerts", SystemClock())
    try:
        code, report = replay(capsys, recorded, "--to", "ros:/alerts", "--rate", "max", "--loop", 50)
        assert (code, report["sent"], report["failure"]) == (0, 150, "")
        found: list[bytes] = []
        deadline = time.monotonic() + PATIENCE_S
        while len(found) < 150:
            assert time.monotonic() < deadline
            found += [bytes(message.payload.data) for message in source.poll(1000, 0.1)]
        assert found == [(recorded / f"{number}.avro").read_bytes() for number in range(3)] * 50
    finally:
        source.close()
        node.destroy_node()
        rclpy.shutdown(context=context)


@pytest.mark.ros
def test_nobody_subscribes_to_a_ros_topic(
    recorded: Path, ros_domain_id: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("rclpy")
    monkeypatch.setattr(replay_alerts, "PATIENCE_S", 0.1)
    code, report = replay(capsys, recorded, "--to", "ros:/nobody", "--rate", "max")
    assert (code, report["sent"]) == (1, 0)
    assert report["failure"] == "nobody subscribed to /nobody for 0.1 s"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["night", "--to", "nowhere"], "to nowhere: expected tcp://HOST:PORT"),
        (["night", "--to", "kafka://localhost:9092"], "kafka://localhost:9092: expected tcp://HOST:PORT"),
        (["day", "--to", "tcp://127.0.0.1:9"], "day: expected a file, a folder or a pattern"),
        (["empty.tar", "--to", "tcp://127.0.0.1:9"], "there are none in these files"),
    ],
)
def test_what_is_wrong_is_told(
    recorded: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    reason: str,
) -> None:
    monkeypatch.chdir(recorded.parent)
    tarfile.open("empty.tar", "w").close()
    assert lowlat.main(["replay", *arguments]) == 2
    assert reason in capsys.readouterr().err
