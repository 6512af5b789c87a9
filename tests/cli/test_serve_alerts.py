# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""`lowlat serve alerts` as a user runs it, with alerts that `lowlat replay` sends."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastavro")
pytest.importorskip("onnx")

sys.path.insert(0, str(Path(__file__).parent))

from alert_model import write_alert_model
from pages import counted

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.passbands import CODES
from lowlat_nodes.cli import main as lowlat
from lowlat_nodes.sim.alert_packets import ztf_packets
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.peer import PeerState
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.alerts

PATIENCE_S = 60.0
ALERTS = 6
SHIPPED = Path(__file__).resolve().parents[2] / "config" / "alerts.yaml"


def detections(count: int) -> LightCurves:
    """Return light curves of one detection each."""
    return LightCurves(
        np.arange(count),
        [f"ZTF{number}" for number in range(count)],
        np.arange(count + 1),
        60000.0 + np.arange(count),
        np.full(count, CODES["ztf_g"], np.uint8),
        np.full(count, 1e5),
        np.full(count, 1e3),
        np.ones(count, np.bool_),
    )


@pytest.fixture
def night(tmp_path: Path) -> Path:
    """Return a folder of six alerts."""
    folder = tmp_path / "night"
    folder.mkdir()
    for number, packet in enumerate(ztf_packets(detections(ALERTS), cutout_bytes=10)):
        (folder / f"{number}.avro").write_bytes(packet.data)
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_alert_model(tmp_path / "model.onnx")


class Served:
    """A running `lowlat serve alerts`."""

    def __init__(self, *options: object) -> None:
        command = [sys.executable, "-m", "lowlat_nodes.cli.main", "serve", "alerts", *map(str, options)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def hear(self, start: str) -> None:
        """Wait for a complaint that starts so."""
        assert self.process.stderr is not None
        assert any(line.startswith(start) for line in self.process.stderr)

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Wait for the end, after a signal if one is given; return the exit code and its complaints."""
        if number is not None:
            self.process.send_signal(number)
        _, complaints = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, complaints


@contextlib.contextmanager
def serving(*options: object) -> Iterator[Served]:
    made = Served(*options)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.communicate()


def parameters(**values: object) -> list[str]:
    return [word for name, value in values.items() for word in ("-p", f"{name.replace('__', '.')}:={value}")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_replayed_alerts_are_classified_until_a_signal(
    night: Path, model: Path, tmp_path: Path, number: signal.Signals
) -> None:
    endpoint = f"ipc://{tmp_path}/results"
    options = parameters(model=model, source__zmq__endpoint="tcp://127.0.0.1:0", zmq__endpoint=endpoint)
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"results": "results"}, clock=SystemClock())
    with serving(*options, *parameters(remember=0)) as served:
        assert served.ready["source"].startswith("tcp://127.0.0.1:")
        assert (served.ready["results"], served.ready["model"]) == (endpoint, "tokens")
        subscriber.start(heard.append)
        try:
            deadline = time.monotonic() + PATIENCE_S
            while len(heard) < ALERTS:
                assert time.monotonic() < deadline
                assert (
                    lowlat.main(["replay", str(night), "--to", served.ready["source"], "--rate", "max"]) == 0
                )
        finally:
            subscriber.stop()
        code, complaints = served.end(number)
    assert code == 0
    assert " 0 dead letters" in complaints
    assert {message.payload.fields["object_id"] for message in heard} == {f"ZTF{i}" for i in range(ALERTS)}


def test_alerts_count_for_the_energy_sampler(
    night: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "energy"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(folder))
    with serving(*parameters(model=model, source__zmq__endpoint="tcp://127.0.0.1:0")) as served:
        assert lowlat.main(["replay", str(night), "--to", served.ready["source"], "--rate", "max"]) == 0
        deadline = time.monotonic() + PATIENCE_S
        while counted(folder, "alerts").get("", (0, 0)) != (ALERTS, ALERTS):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        served.end(signal.SIGTERM)


def test_heartbeats_come_from_the_delivery(model: Path, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/results"
    options = parameters(model=model, source__zmq__endpoint=f"ipc://{tmp_path}/in", zmq__endpoint=endpoint)
    subscriber = Subscriber(endpoint, {}, clock=SystemClock())
    with serving(*options) as served:
        subscriber.start(lambda _message: None)
        try:

            def wait_for(*states: str) -> PeerState:
                deadline = time.monotonic() + PATIENCE_S
                while (found := subscriber.peer.states(time.monotonic_ns())[0]).state not in states:
                    assert time.monotonic() < deadline, found
                    time.sleep(0.01)
                return found

            assert wait_for("idle").name == "alerts"
            served.process.send_signal(signal.SIGSTOP)
            wait_for("silent")
            served.process.send_signal(signal.SIGCONT)
            wait_for("idle")
            served.end(signal.SIGTERM)
            assert wait_for("gone").said == "stopped"
        finally:
            subscriber.stop()


def test_recorded_alerts_are_classified_to_the_end(night: Path, model: Path) -> None:
    options = parameters(model=model, source__kind="files", source__files=f"[{night}]")
    with serving(*options) as served:
        assert served.ready["source"] == "files"
        code, complaints = served.end()
    assert (code, complaints.splitlines()[-1]) == (0, f"{ALERTS} results, 0 dead letters")


def test_a_bad_alert_is_told_and_the_others_are_classified(night: Path, model: Path) -> None:
    (night / "bad.avro").write_bytes(b"rubbish")
    options = parameters(model=model, source__kind="files", source__files=f"[{night}]")
    with serving(*options) as served:
        code, complaints = served.end()
    assert code == 0
    first, last = complaints.splitlines()[-2:]
    assert f"no output takes them): {night}/bad.avro#0: expected an Avro container" in first
    assert last == f"{ALERTS} results, 1 dead letters"


def test_alerts_with_too_many_epochs_are_told_by_their_source(model: Path, tmp_path: Path) -> None:
    counts = [30] * 6 + [3] * 4
    offsets = np.concatenate([[0], np.cumsum(counts)])
    total = int(offsets[-1])
    curves = LightCurves(
        np.arange(10) + 1000,
        [f"ZTF{number}" for number in range(10)],
        offsets,
        60000.0 + np.arange(total),
        np.full(total, CODES["ztf_g"], np.uint8),
        np.full(total, 1e5),
        np.full(total, 1e3),
        np.ones(total, np.bool_),
    )
    for number, packet in enumerate(ztf_packets(curves, cutout_bytes=10)):
        (tmp_path / f"{number}.avro").write_bytes(packet.data)
    files = [tmp_path / f"{number}.avro" for number in range(10)]
    options = parameters(
        model=model,
        source__kind="files",
        source__files=f"[{','.join(map(str, files))}]",
        energy__guard__most=10.0,
        energy__guard__breaker__cuts=1,
    )
    with serving(*options) as served:
        code, complaints = served.end()
    assert code == 0
    assert "too many epochs for an alert of ztf: 30, 10 may be" in complaints
    assert complaints.splitlines()[-1] == "4 results, 6 dead letters"


def test_where_no_alert_can_be_read_the_exit_code_says_so(tmp_path: Path, model: Path) -> None:
    (tmp_path / "bad.avro").write_bytes(b"rubbish")
    options = parameters(model=model, source__kind="files", source__files=f"[{tmp_path}/bad.avro]")
    with serving(*options) as served:
        assert served.end()[0] == 1


def test_where_nothing_can_be_read_it_says_error_once(night: Path, model: Path, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    for file in night.iterdir():
        file.write_bytes(b"rubbish")
    with serving(*parameters(model=model, source__zmq__endpoint=endpoint)) as served:
        assert lowlat.main(["replay", str(night), "--to", endpoint, "--rate", "max", "--loop", "3"]) == 0
        served.hear("the first dead letter of its kind")
        served.hear("error: none of the last ")
        code, complaints = served.end(signal.SIGTERM)
    assert (code, complaints) == (1, "0 results, 18 dead letters\n")


def test_a_kill_loses_nothing(night: Path, model: Path) -> None:
    pytest.importorskip("confluent_kafka")
    from lowlat_nodes.transport.kafka.mock_cluster import running
    from lowlat_nodes.transport.kafka.settings import Connection, Consumption
    from lowlat_nodes.transport.kafka.sink import KafkaSink
    from lowlat_nodes.transport.kafka.source import KafkaSource

    count = 600
    packets = list(ztf_packets(detections(count), cutout_bytes=10))
    with running({"ztf": 2, "results": 1}) as mock, contextlib.ExitStack() as stack:
        options = parameters(
            model=model,
            batch=8,
            source__kind="kafka",
            source__kafka__topics="[ztf]",
            source__kafka__group="group",
            source__kafka__session_timeout_ms=3000,
            kafka__bootstrap=mock.bootstrap,
            to_kafka__results="results",
        )
        connection = Connection(bootstrap=mock.bootstrap)
        sink = stack.enter_context(contextlib.closing(KafkaSink(connection, {"packets": "ztf"})))
        reader = stack.enter_context(
            contextlib.closing(
                KafkaSource(connection, Consumption(topics=("results",), group="reader"), SystemClock())
            )
        )
        found: list[int] = []

        def read(at_least: int) -> None:
            deadline = time.monotonic() + PATIENCE_S
            while len(set(found)) < at_least:
                assert time.monotonic() < deadline
                found.extend(
                    json.loads(bytes(message.payload.data))["alert_id"] for message in reader.poll(100, 0.1)
                )

        first = stack.enter_context(serving(*options))
        for number, packet in enumerate(packets):
            sink.write(Message("packets", packet))
            if number % 20 == 0:
                sink.flush(PATIENCE_S)
            if number == count // 2:
                read(50)
                first.process.kill()
        sink.flush(PATIENCE_S)
        first.process.wait(PATIENCE_S)
        assert len(set(found)) < count
        stack.enter_context(serving(*options))
        read(count)
        assert set(found) == set(range(count))


def test_a_broker_that_is_not_there_is_told(model: Path) -> None:
    pytest.importorskip("confluent_kafka")
    options = parameters(
        model=model,
        source__kind="kafka",
        source__kafka__topics="[ztf]",
        source__kafka__group="group",
        kafka__bootstrap="127.0.0.1:9",
    )
    with serving(*options) as served:
        served.hear("warning: Kafka: 127.0.0.1:9/bootstrap: Connect")
        assert served.end(signal.SIGTERM)[0] == 0


def test_a_parameter_file_of_the_node_is_one(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "alerts.yaml"
    text = SHIPPED.read_text(encoding="utf-8")
    own = "    publish: false\n    autostart: true\n    diagnostic_updater: {period: 0.5}"
    path.write_text(text.replace("    batch: 64", f"    batch: 32\n{own}"), encoding="utf-8")
    assert "batch: 32" in path.read_text(encoding="utf-8")
    changes = parameters(
        model=model, source__zmq__endpoint="tcp://127.0.0.1:0", zmq__endpoint=f"ipc://{tmp_path}/results"
    )
    with serving(path, *changes) as served:
        assert served.end(signal.SIGTERM)[0] == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (
            ["-p", "source.kind:=ros"],
            "source.kind: ros needs the node; without ROS: zmq, work, kafka or files",
        ),
        (["-p", "source.kind:=kfka"], "did you mean 'kafka'?"),
        (["-p", "treshold:=0.5"], "did you mean 'threshold'"),
        (["-p", "model:=/no/such.onnx"], "/no/such.onnx"),
        (["-p", "filter.a.keep:=detektions > 3"], "did you mean 'detections'"),
        (["-p", "source.kind:=files", "-p", "source.files:=[/no/such]"], "/no/such: expected a file"),
        (["/no/such.yaml"], "expected a ROS parameter file"),
        ([str(SHIPPED), "--node", "x"], "expected parameters of a node 'x'"),
    ],
)
def test_what_does_not_fit_is_refused(
    options: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert lowlat.main(["serve", "alerts", *options]) == 2
    assert why in capsys.readouterr().err
