# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Alerts from real sources to real sinks, without ROS; bad ones end as dead letters and stop nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
import zmq.auth

pytest.importorskip("fastavro")
pytest.importorskip("onnx")

from alert_model import write_alert_model
from alert_night import MJD, PATIENCE_S, alerts, curves, until

from lowlat_nodes.alerts.alert_classifier import RESULTS, AlertClassifier
from lowlat_nodes.alerts.container import SYNC_BYTES, write_header
from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.nodes.alert import service as alert_service
from lowlat_nodes.nodes.alert.service import FAILING, AlertService, load_alert_classifier
from lowlat_nodes.nodes.alert.settings import AlertSettings
from lowlat_nodes.sim.alert_packets import LSST_SCHEMA, ZTF_SCHEMA, fink_packets, lsst_packets, ztf_packets
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.delivery import DEAD_LETTERS
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.settings import Connection, Consumption
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.kafka.source import KafkaSource
from lowlat_nodes.transport.zmq.curve import load_client_keys
from lowlat_nodes.transport.zmq.packets import PacketSender
from lowlat_nodes.transport.zmq.subscriber import Subscriber
from lowlat_nodes.transport.zmq.work_sink import WorkSink

pytestmark = pytest.mark.alerts


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def write(self, message: Message) -> None:
        self.messages.append(message)

    def close(self) -> None:
        """Keep it."""

    @property
    def fields(self) -> list[dict[str, Any]]:
        return [message.payload.fields for message in self.messages]


class Service:
    """A running service, with what came out of it."""

    def __init__(self, settings: AlertSettings, processor: AlertClassifier) -> None:
        self.results, self.letters, self.told = Kept(), Kept(), list[str]()
        self.kept = {name: Kept() for name in processor.filters.names}
        sinks = {RESULTS: [self.results], DEAD_LETTERS: [self.letters]}
        sinks |= {name: [sink] for name, sink in self.kept.items()}
        self.processor = processor
        self.service = AlertService(settings, processor, SystemClock(), tell=self.told.append, ros=sinks)
        self.service.start()

    def send(self, packets: Sequence[Packet]) -> None:
        with contextlib.closing(PacketSender(self.service.endpoint)) as sender:
            for packet in packets:
                sender.send(packet)

    def reasons(self) -> list[str]:
        return [message.payload.reason for message in self.letters.messages]


Serve = Callable[..., Service]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start services with the parameters given, and a model that is the surer the more was detected."""
    model = write_alert_model(tmp_path / "model.onnx")
    with contextlib.ExitStack() as stack:

        def make(processor: AlertClassifier | None = None, **values: Any) -> Service:
            flat = {"model": str(model), "source.zmq.endpoint": "tcp://127.0.0.1:0"}
            flat |= {name.replace("__", "."): value for name, value in values.items()}
            settings = build(AlertSettings, flat)
            made = Service(settings, processor or load_alert_classifier(settings))
            stack.callback(made.service.stop)
            return made

        yield make


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_alerts_over_zeromq_and_what_filters_keep(serve: Serve, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/results"
    made = serve(filter__many__keep="detections >= 3", filter__many__topic="sn/many", zmq__endpoint=endpoint)
    assert made.service.results == endpoint
    heard: list[Message] = []
    subscriber = Subscriber(endpoint, {"results": "results", "many": "sn/many"}, clock=SystemClock())
    subscriber.start(heard.append)
    try:
        made.send(alerts(8))
        until(lambda: len(made.results.messages) == 8)
        # Whoever subscribes late has missed some: new alerts until both topics are heard.
        first = 100
        while {message.topic for message in heard} != {"results", "many"}:
            made.send(alerts(4, first=first))
            first += 4
            until(lambda first=first: made.results.fields[-1]["alert_id"] == first - 1)
    finally:
        subscriber.stop()
    assert [record["alert_id"] for record in made.results.fields[:8]] == list(range(8))
    assert [record["detections"] for record in made.results.fields[:8]] == [1, 2, 3, 4] * 2
    assert [record["alert_id"] for record in made.kept["many"].fields[:4]] == [2, 3, 6, 7]
    assert not made.letters.messages
    assert {message.payload.fields["detections"] for message in heard if message.topic == "many"} <= {3, 4}


def own(packet: Packet, schema: bytes = ZTF_SCHEMA) -> bytes:
    """Return the Avro record in a container of one."""
    return bytes(packet.data[len(write_header(schema)) + SYNC_BYTES :])


GOOD = next(ztf_packets(curves([0.0, 1.0]), cutout_bytes=10))
TWO_GB = b"\x80\x80\x80\x80\x10"  # zigzag varint of 2**31
NO_FLUX = curves([0.0, 1.0], flux_njy=float("nan"))


@pytest.mark.parametrize(
    ("packet", "reason"),
    [
        pytest.param(Packet(b""), "expected", id="nothing"),
        pytest.param(Packet(GOOD.data[:-40]), "", id="truncated"),
        pytest.param(Packet(GOOD.data[:30]), "", id="truncated_header"),
        pytest.param(Packet(b"Obx\x01" + bytes(GOOD.data[4:])), "expected an Avro container", id="magic"),
        pytest.param(
            Packet(write_header(ZTF_SCHEMA) + bytes(16) + b"\x02" + TWO_GB + own(GOOD)), "", id="2_gb_block"
        ),
        pytest.param(
            Packet(TWO_GB + bytes(next(fink_packets(curves([0.0]), 10)).data)[1:], ZTF_SCHEMA),
            "",
            id="2_gb_string",
        ),
        pytest.param(Packet(b"\0\0\0\x04\xd2" + own(GOOD)), "unknown schema 1234", id="unknown_schema"),
        pytest.param(next(ztf_packets(NO_FLUX, 10)), "the epoch that raised the alert", id="nan_flux"),
    ],
)
def test_a_bad_packet_is_a_counted_dead_letter_and_the_next_alert_has_a_result(
    serve: Serve, tmp_path: Path, packet: Packet, reason: str
) -> None:
    folder = tmp_path / "letters"
    made = serve(dead_letters__folder=str(folder))
    made.send([GOOD, packet, *alerts(1, first=7)])
    until(lambda: len(made.results.messages) == 2 and made.letters.messages)
    assert [record["alert_id"] for record in made.results.fields] == [0, 7]
    (why,) = made.reasons()
    assert reason in why
    made.service.stop()
    stats = made.service.delivery.stats()
    assert (stats.dead_letters, stats.failures, stats.failing) == (1, {}, 0)
    assert made.service.dead_letters.counts.total == 1
    assert made.told[-1] == f"the first dead letter of its kind: {why}"
    (file,) = folder.glob("*.packet")
    assert file.read_bytes() == packet.data
    said = json.loads(file.with_suffix(".json").read_text())
    assert (said["reason"], bytes.fromhex(said["key"])) == (why, packet.key)


def test_whatever_bit_flips_each_packet_has_one_result_or_one_dead_letter(serve: Serve) -> None:
    made = serve(remember=0)
    random = np.random.default_rng(5)
    data = np.frombuffer(bytes(GOOD.data), np.uint8)
    flipped = []
    for _ in range(300):
        copy = data.copy()
        copy[random.integers(len(copy), size=3)] ^= np.uint8(1) << random.integers(8, size=3).astype(np.uint8)
        flipped.append(Packet(copy.tobytes()))
    made.send([*flipped, GOOD])
    until(lambda: len(made.results.messages) + len(made.letters.messages) == 301)
    assert made.letters.messages
    assert made.results.fields[-1]["alert_id"] == 0
    assert not made.service.delivery.stats().failures


def result(made: Service, packet: Packet) -> dict[str, Any]:
    before = len(made.results.messages)
    made.send([packet])
    until(lambda: len(made.results.messages) > before or made.letters.messages)
    assert not made.reasons()
    fields = dict(made.results.fields[-1])
    del fields["received_ns"]
    return fields


def ztf(light_curve: LightCurves) -> Packet:
    return next(ztf_packets(light_curve, cutout_bytes=10))


def test_what_is_odd_and_no_error_has_a_defined_result(serve: Serve) -> None:
    made = serve(remember=0)
    whole = curves([0.0, 1.0, 2.0, 3.0])
    in_order = result(made, ztf(whole))
    assert (in_order["epochs"], in_order["detections"], in_order["days"]) == (4, 4, 3.0)
    assert in_order["band"] == "ztf_g"  # one band only

    assert result(made, ztf(curves([2.0, 0.0, 1.0, 3.0]))) == in_order
    assert result(made, ztf(curves([0.0, 1.0, 1.0, 2.0, 2.0, 2.0, 3.0]))) == in_order

    alone = result(made, ztf(curves([0.0])))  # an empty history
    assert (alone["epochs"], alone["days"], alone["mjd"]) == (1, 0.0, MJD)
    assert sum(alone["p"].values()) == pytest.approx(1.0, abs=1e-4)

    gap = curves([0.0, 1.0, 2.0, 3.0])
    gap.flux_njy[1] = np.nan  # not the epoch that raised the alert
    assert result(made, ztf(gap))["detections"] == 3


def test_an_alert_of_a_hundred_thousand_epochs(serve: Serve) -> None:
    made = serve()
    days = np.arange(100_000) * 0.01
    made.send([ztf(curves(days)), *alerts(1, first=7)])
    until(lambda: len(made.results.messages) + len(made.letters.messages) == 2)
    assert [record["epochs"] for record in made.results.fields] == [100_000, 1]


def test_schemas_lie_in_a_folder(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "11_0.avsc").write_bytes(LSST_SCHEMA)
    made = serve(schemas__folder=str(tmp_path))
    one = curves([0.0, 1.0], band="lsst_g")
    one.object_id[0] = "77"
    made.send(list(lsst_packets(one, cutout_bytes=10)))
    until(lambda: made.results.messages or made.letters.messages)
    assert [record["survey"] for record in made.results.fields] == ["lsst"]


def test_the_same_alert_has_one_result(serve: Serve) -> None:
    made = serve()
    made.send([GOOD, GOOD, *alerts(1, first=7)])
    until(lambda: made.service.delivery.stats().repeated and len(made.results.messages) == 2)
    assert [record["alert_id"] for record in made.results.fields] == [0, 7]


def test_files_are_classified_once_however_often_it_starts(serve: Serve, tmp_path: Path) -> None:
    night = tmp_path / "night"
    night.mkdir()
    packets = alerts(5)
    for number, packet in enumerate(packets[:4]):
        (night / f"{number}.avro").write_bytes(packet.data)
    source = {"source__kind": "files", "source__files": [str(night)], "source__progress": str(tmp_path / "p")}
    first = serve(**source)
    assert first.service.delivery.wait(60.0)
    first.service.stop()
    assert [record["alert_id"] for record in first.results.fields] == [0, 1, 2, 3]
    (night / "4.avro").write_bytes(packets[4].data)
    second = serve(**source)
    assert second.service.delivery.wait(60.0)
    second.service.stop()
    assert [record["alert_id"] for record in second.results.fields] == [4]


def test_a_file_of_many_alerts_has_a_result_for_each(serve: Serve, tmp_path: Path) -> None:
    sync = bytes(GOOD.data[len(write_header(ZTF_SCHEMA)) :][:SYNC_BYTES])
    blocks = b"".join(own(packet)[:-SYNC_BYTES] + sync for packet in alerts(3))
    path = tmp_path / "night.avro"
    path.write_bytes(write_header(ZTF_SCHEMA) + sync + blocks)
    made = serve(source__kind="files", source__files=[str(path)])
    assert made.service.delivery.wait(60.0)
    assert [record["alert_id"] for record in made.results.fields] == [0, 1, 2]


def test_only_those_whose_keys_are_known_may_send(serve: Serve, tmp_path: Path) -> None:
    public, secret = {}, {}
    for name in ("node", "sender", "stranger"):
        public[name], secret[name] = zmq.auth.create_certificates(str(tmp_path), name)
        Path(secret[name]).chmod(0o600)
    made = serve(source__zmq__key=secret["node"], source__zmq__senders=[public["sender"]])

    def sender(name: str) -> PacketSender:
        keys = load_client_keys(secret[name], public["node"])
        return PacketSender(made.service.endpoint, keys=keys)

    with contextlib.closing(sender("sender")) as known:
        stranger = sender("stranger")
        try:
            known.send(GOOD)
            until(lambda: made.results.messages)
            with pytest.raises(UndeliveredError):
                stranger.send(GOOD, 0.2)
        finally:
            stranger.close(linger_s=0.0)
    until(lambda: (made.service.delivery.stats().lost or {}).get("keys_refused"))
    assert len(made.results.messages) == 1


def test_alerts_of_a_service_that_is_stopped_go_to_the_next_one_and_all_are_confirmed(
    serve: Serve, tmp_path: Path
) -> None:
    packets = alerts(30)
    with contextlib.closing(WorkSink(f"ipc://{tmp_path}/work", "alerts")) as sink:
        for packet in packets[:15]:
            sink.write(Message("alerts", packet))
        first = serve(source__kind="work", source__work__endpoint=sink.endpoint, batch=4)
        until(lambda: len(first.results.messages) >= 4)
        first.service.stop()
        for packet in packets[15:]:
            sink.write(Message("alerts", packet))
        second = serve(source__kind="work", source__work__endpoint=sink.endpoint)
        sink.flush(PATIENCE_S)
        assert sink.counts["finished"] == 30
    names = {each["object_id"] for service in (first, second) for each in service.results.fields}
    assert names == {f"ZTF{number}" for number in range(30)}


def test_any_publisher_will_do(serve: Serve, tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/alerts"
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher:
        publisher.setsockopt(zmq.LINGER, 0)
        publisher.bind(endpoint)
        made = serve(source__zmq__endpoint=endpoint, source__zmq__subscribe=True, source__zmq__topic="ztf")
        packet = alerts(1)[0]

        def heard() -> bool:
            publisher.send_multipart([b"other", b"rubbish"])
            publisher.send_multipart([b"ztf/night", packet.data])
            return bool(made.results.messages)

        until(heard)
    assert not made.letters.messages


def test_kafka_in_and_out_and_a_second_start_repeats_nothing(serve: Serve) -> None:
    pytest.importorskip("confluent_kafka")
    from lowlat_nodes.transport.kafka.mock_cluster import running

    with running({"ztf": 2, "results": 1, "dead": 1, "many": 1}) as mock:
        connection = Connection(bootstrap=mock.bootstrap)

        def send(*packets: Packet) -> None:
            with contextlib.closing(KafkaSink(connection, {"packets": "ztf"})) as sink:
                for packet in packets:
                    sink.write(Message("packets", packet))
                sink.flush(PATIENCE_S)

        def read(topic: str, count: int) -> list[Packet]:
            consumption = Consumption(topics=(topic,), group=f"reader of {topic}")
            found: list[Message] = []
            with contextlib.closing(KafkaSource(connection, consumption, SystemClock())) as source:
                until(lambda: found.extend(source.poll(100, 0.1)) or len(found) >= count)
            return [message.payload for message in found]

        values = {
            "source__kind": "kafka",
            "source__kafka__topics": ["ztf"],
            "source__kafka__group": "nodes",
            "kafka__bootstrap": mock.bootstrap,
            "to_kafka__results": "results",
            "to_kafka__dead_letters": "dead",
            "to_kafka__filters": True,
            "filter__many__keep": "detections >= 3",
        }
        send(*fink_packets(curves(range(1), range(2), range(3)), 10), Packet(b"rubbish", b"no schema"))
        first = serve(**values)
        until(lambda: len(first.results.messages) == 3 and first.letters.messages)
        first.service.stop()
        assert first.service.delivery.stats().uncommitted == 0
        second = serve(**values)
        send(*fink_packets(curves(range(4), first=50), 10))
        until(lambda: second.results.messages)
        second.service.stop()
        assert [record["alert_id"] for record in second.results.fields] == [50]
        results = [json.loads(bytes(packet.data)) for packet in read("results", 4)]
        assert sorted(record["alert_id"] for record in results) == [0, 1, 2, 50]
        assert sorted(json.loads(bytes(packet.data))["alert_id"] for packet in read("many", 2)) == [2, 50]
        (letter,) = read("dead", 1)
        assert (letter.data, letter.key) == (b"rubbish", b"no schema")


@pytest.mark.dataset
def test_results_as_parquet_files(serve: Serve, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    made = serve(parquet__folder=str(tmp_path / "results"))
    made.send(alerts(5))
    until(lambda: len(made.results.messages) == 5)
    made.service.stop()
    table = parquet.read_table(tmp_path / "results")
    assert table["alert_id"].to_pylist() == [0, 1, 2, 3, 4]


def test_figures_for_prometheus(serve: Serve) -> None:
    pytest.importorskip("prometheus_client")
    port = free_port()
    made = serve(metrics__port=port, filter__many__keep="detections >= 3")
    made.send([*alerts(4), Packet(b"rubbish")])
    until(lambda: made.letters.messages and len(made.results.messages) == 4)
    until(lambda: not made.service.delivery.stats().uncommitted)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read().decode()
    for line in (
        "lowlat_inputs_total 5.0",
        "lowlat_dead_letters_total 1.0",
        'lowlat_alerts_refused_total{reason="expected an Avro container"} 1.0',
        'lowlat_alerts_kept_total{filter="many"} 2.0',
        "lowlat_uncommitted 0.0",
    ):
        assert line in text.splitlines()
    assert "lowlat_alerts_class_total" in text


class Broken:
    """A classifier with a mistake."""

    name, sha256, threshold = "broken", "", 0.5

    def classify(self, _light_curves: LightCurves) -> Any:
        raise IndexError("too many classes")


def test_a_model_that_fails_on_every_alert_is_loud_and_one_bad_packet_is_not(serve: Serve) -> None:
    made = serve()
    made.send([Packet(b"rubbish"), GOOD])
    until(lambda: made.results.messages)
    assert not made.service.trouble()
    works, made.processor.classifier = made.processor.classifier, Broken()
    made.send(alerts(FAILING, first=10))
    until(made.service.trouble)
    why = f"none of the last {FAILING} alerts could be read: IndexError: too many classes"
    assert made.service.trouble() == why
    assert made.service.delivery.stats().failures["process: IndexError"] == FAILING
    made.processor.classifier = works
    made.send(alerts(1, first=70))
    until(lambda: not made.service.trouble())


def test_it_starts_again_with_the_same_processor(serve: Serve) -> None:
    first = serve()
    first.send(alerts(2))
    until(lambda: len(first.results.messages) == 2)
    endpoint = first.service.endpoint
    first.service.stop()
    second = serve(first.processor, source__zmq__endpoint=endpoint)
    second.send(alerts(3))
    until(lambda: len(second.results.messages) == 3)


def test_it_is_told_where_the_extension_was_not_built(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alert_service, "COMPILED", False)
    service = serve()
    assert service.told == [alert_service.INTERPRETED]
    service.send(alerts(1))
    until(lambda: service.results.messages)
    monkeypatch.setattr(alert_service, "COMPILED", True)
    assert serve().told == []


def test_what_cannot_be_had_is_refused_and_nothing_stays_open(serve: Serve, tmp_path: Path) -> None:
    port = free_port()
    endpoint = f"tcp://127.0.0.1:{port}"
    with pytest.raises(ConfigurationError, match="cannot write to /proc/nowhere"):
        serve(source__zmq__endpoint=endpoint, dead_letters__folder="/proc/nowhere")
    with pytest.raises(ConfigurationError, match="metrics: cannot listen"):
        serve(source__zmq__endpoint=endpoint, metrics__port=port)
    assert serve(source__zmq__endpoint=endpoint).service.endpoint == endpoint


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"source__kind": "ros"}, "source.kind: ros needs the node; without ROS: zmq, work, kafka or files"),
        ({"source__kind": "files"}, "source.files: expected at least one file, folder or pattern"),
        ({"source__kind": "kafka", "kafka__bootstrap": "127.0.0.1:9"}, "topics: expected at least one topic"),
        ({"source__zmq__senders": ["k"]}, "source.zmq: expected the node's key beside senders"),
        ({"source__zmq__endpoint": "tcp://0.0.0.0:5560"}, "other machines"),
        ({"schemas__folder": "/no/such/folder"}, "expected a folder of schemas; /no/such/folder is none"),
        ({"filter__results__keep": "detections > 1"}, "filter 'results': that name has another output"),
        ({"filter__few__keep": "detektions < 2"}, "did you mean 'detections'"),
        ({"model": "/no/such.onnx"}, "/no/such.onnx"),
        ({"model": "t3"}, "model: expected tokens, t2 or an .onnx file, got 't3'"),
        ({"source__kind": "kfka"}, "did you mean 'kafka'?"),
        (
            {"to_kafka__results": "a/b", "kafka__bootstrap": "127.0.0.1:9"},
            "the output 'results': expected the name of a Kafka topic (letters, digits and . _ -), got 'a/b'",
        ),
        ({"to_kafka__results": "results"}, "expected a broker as HOST:PORT in bootstrap or KAFKA_BOOTSTRAP"),
    ],
)
def test_a_wrong_configuration_is_refused_with_a_reason(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], reason: str
) -> None:
    monkeypatch.delenv("KAFKA_BOOTSTRAP", raising=False)
    with pytest.raises(ConfigurationError) as caught:
        serve(**values)
    assert reason in str(caught.value)
