# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What is written is safe when `flush` returns, and dead letters come whole."""

from __future__ import annotations

import json
from contextlib import closing

import pytest
from kafka_cluster import PATIENCE_S, Cluster, until

from lowlat_nodes.stream.endpoint import UndeliveredError, UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet, Record, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.kafka.mock_cluster import running
from lowlat_nodes.transport.kafka.settings import Connection
from lowlat_nodes.transport.kafka.sink import KafkaSink

confluent_kafka = pytest.importorskip("confluent_kafka")

pytestmark = pytest.mark.alerts


def test_records_come_as_json_with_their_key(cluster: Cluster) -> None:
    with closing(cluster.sink(results="out")) as sink:
        record = Record({"id": 7, "name": "Sirius B", "p": [0.25, 0.75], "z": None}, b"7")
        sink.write(Message("results", record, Trace(published_ns=9)))
        sink.flush(PATIENCE_S)
        assert sink.counts.snapshot() == {"confirmed": 1}
    (message,) = cluster.read("out", 1)
    assert message.payload.key == b"7"
    assert json.loads(message.payload.data) == record.fields | {"published_ns": 9}


def test_a_dead_letter_is_its_packet_and_says_why(cluster: Cluster) -> None:
    packet = Packet(memoryview(b"\0broken"), b"schema", "ztf[3]@1207")
    with closing(cluster.sink(dead="out")) as sink:
        letter = DeadLetter(packet, "schema 7 is not known – no such file")
        sink.write(Message("dead", letter, Trace(received_ns=123)))
        sink.flush(PATIENCE_S)
    client = confluent_kafka.Consumer(
        {
            "bootstrap.servers": cluster.bootstrap,
            "group.id": cluster.name("g"),
            "auto.offset.reset": "earliest",
        }
    )
    client.subscribe([cluster.name("out")])
    found = []
    until(lambda: found, lambda: found.extend(client.consume(1, 0.1)))
    client.close()
    assert (found[0].value(), found[0].key()) == (b"\0broken", b"schema")
    assert dict(found[0].headers()) == {
        "reason": "schema 7 is not known – no such file".encode(),
        "origin": b"ztf[3]@1207",
        "received_ns": b"123",
    }


def test_a_dead_letter_that_is_too_large_comes_without_its_packet(cluster: Cluster) -> None:
    with closing(cluster.sink(dead="out")) as sink:
        sink.write(Message("dead", DeadLetter(Packet(bytes(65 << 20), b"", "night.avro#1"), "why")))
        until(lambda: _flushed(sink))
        assert sink.counts.snapshot() == {"refused": 1, "left_out": 1, "confirmed": 1}
    (message,) = cluster.read("out", 1)
    assert message.payload.data == b""


def test_flush_says_what_is_not_safe_and_makes_up_for_it() -> None:
    with (
        running({"out": 1}) as mock,
        closing(KafkaSink(Connection(bootstrap=mock.bootstrap), {"results": "out"})) as sink,
    ):
        sink.write(Message("results", Record({}, b"a")))
        sink.flush(PATIENCE_S)
        mock.tell("down 1")
        until(lambda: sink.last_failure, lambda: _flushed(sink))
        sink.write(Message("results", Record({}, b"b")))
        with pytest.raises(UndeliveredError, match="1 messages are not confirmed"):
            sink.flush(0.2)
        assert sink.counts.snapshot() == {"confirmed": 1}
        mock.tell("up 1")
        until(lambda: _flushed(sink))
        assert sink.counts.snapshot() == {"confirmed": 2}


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(7, id="request timed out"),
        pytest.param(29, id="not authorized"),
        pytest.param(45, id="out of order, which ends an idempotent producer"),
    ],
)
def test_what_brokers_refuse_is_sent_again(error: int) -> None:
    with (
        running({"out": 1}) as mock,
        closing(KafkaSink(Connection(bootstrap=mock.bootstrap), {"results": "out"})) as sink,
    ):
        sink.write(Message("results", Record({}, b"0")))
        sink.flush(PATIENCE_S)
        mock.tell(f"refuse 0 {error}")  # 0: to produce
        for number in range(1, 10):
            sink.write(Message("results", Record({}, b"%d" % number)))
            until(lambda: _flushed(sink))
        there = Cluster(mock.bootstrap, "")
        keys = [message.payload.key for message in there.read("out", 10)]
        assert set(keys) == {b"%d" % number for number in range(10)}
        assert sink.counts["confirmed"] == 10


def test_where_there_is_no_room_nothing_is_taken() -> None:
    sink = KafkaSink(Connection(bootstrap="127.0.0.1:1"), {"results": "out"}, queued_mb=1)

    def fill() -> None:
        for number in range(2_000):
            sink.write(Message("results", Record({"text": "x" * 1_000}, b"%d" % number)))

    with pytest.raises(UndeliveredError, match="room"):
        fill()
    sink.close(timeout_s=0.0)


def test_what_has_no_place_or_form_is_refused(cluster: Cluster) -> None:
    with closing(cluster.sink(results="out")) as sink:
        with pytest.raises(UnknownOutput, match="elsewhere"):
            sink.write(Message("elsewhere", Record({})))
        with pytest.raises(WireError, match="Text"):
            sink.write(Message("results", Text("no")))
        with pytest.raises(WireError, match="finite"):
            sink.write(Message("results", Record({"p": float("nan")})))


def test_settings_that_the_library_refuses_are_an_error_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="Kafka"):
        KafkaSink(Connection(bootstrap="host:1", ca_file="/no/such/file", security_protocol="ssl"), {})


def _flushed(sink: KafkaSink) -> bool:
    try:
        sink.flush(1.0)
    except UndeliveredError:
        return False
    return True
