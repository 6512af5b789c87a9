# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A consumer group reads everything, keeps its place, and says what was deleted before it came."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing

import pytest
from kafka_cluster import Cluster, take, until

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.source import KafkaSource

pytest.importorskip("confluent_kafka")

pytestmark = pytest.mark.alerts


def numbered(count: int, first: int = 0) -> list[Packet]:
    return [Packet(b"%d" % number, b"key %d" % (number % 7)) for number in range(first, first + count)]


def bodies(messages: list[Message]) -> list[bytes]:
    return [message.payload.data for message in messages]


def test_packets_come_with_their_key_origin_and_time(cluster: Cluster) -> None:
    cluster.send("in", Packet(b"packet", b"schema"), Packet(b"", b"schema"))
    with closing(cluster.source("in")) as source:
        first, second = take(source, 2)
        assert (first.payload.data, first.payload.key) == (b"packet", b"schema")
        assert second.payload.data == b""
        assert first.payload.origin.startswith(f"{cluster.name('in')}[")
        assert first.payload.origin.endswith("]@0")
        assert second.payload.origin.endswith("]@1")
        assert (first.topic, first.sequence, second.sequence) == ("packets", 0, 1)
        assert 0 < first.trace.capture_ns < first.trace.received_ns
        assert not source.exhausted


def test_a_time_that_is_none_is_left_out(cluster: Cluster) -> None:
    import confluent_kafka

    producer = confluent_kafka.Producer(cluster.connection.client())
    for stamp_ms in (1 << 62, 1_700_000_000_000):
        producer.produce(cluster.name("in"), b"packet", b"key", timestamp=stamp_ms)
    assert producer.flush(30.0) == 0
    with closing(cluster.source("in")) as source:
        found = take(source, 2)
    assert sorted(message.trace.capture_ns for message in found) == [0, 1_700_000_000_000_000_000]


def test_only_so_many_come_at_once(cluster: Cluster) -> None:
    cluster.send("in", *numbered(50))
    with closing(cluster.source("in")) as source:
        messages = take(source, 1)
        while len(messages) < 50:
            found = source.poll(8, 0.1)
            assert len(found) <= 8
            messages += found
    assert sorted(bodies(messages)) == sorted(packet.data for packet in numbered(50))


def test_a_group_goes_on_where_it_has_committed(cluster: Cluster) -> None:
    cluster.send("in", *numbered(10))
    with closing(cluster.source("in")) as source:
        take(source, 10)
        source.commit()
        source.commit()  # nothing new
        cluster.send("in", *numbered(10, 10))
        take(source, 10)
    with closing(cluster.source("in")) as source:
        again = take(source, 10)
    assert sorted(bodies(again)) == sorted(packet.data for packet in numbered(10, 10))


def test_a_new_group_may_begin_with_what_is_new(cluster: Cluster) -> None:
    cluster.send("in", *numbered(10))
    with closing(cluster.source("in", offset_reset="latest")) as source:
        until(lambda: source.partitions == 4, lambda: source.poll(1, 0.1))
        found: list[bytes] = []

        def send_and_poll() -> None:
            cluster.send("in", Packet(b"new"))
            found.extend(bodies(source.poll(1, 0.5)))

        until(lambda: found, send_and_poll)
    assert set(found) == {b"new"}


def test_a_source_that_only_keeps_its_place_hands_nothing_out_and_loses_nothing(cluster: Cluster) -> None:
    cluster.send("in", *numbered(100))
    with closing(cluster.source("in")) as source:
        messages = take(source, 10)
        for _ in range(20):
            assert source.poll(0, 0.0) == []
        messages += take(source, 90)
    assert sorted(bodies(messages)) == sorted(packet.data for packet in numbered(100))


def test_what_waits_is_known(cluster: Cluster) -> None:
    cluster.send("in", *numbered(10))
    with closing(cluster.source("in")) as source:
        take(source, 10)
        cluster.send("in", *numbered(5, 10))
        until(lambda: source.lag == 0, lambda: source.poll(8, 0.1))
        source.commit()
    with closing(cluster.source("in")) as source:  # as much is known of a member that has polled nothing
        until(lambda: source.lag is not None, lambda: source.poll(8, 0.1))
        assert source.lag == 0


def test_members_share_the_partitions_and_take_over(cluster: Cluster) -> None:
    cluster.send("in", *numbered(40))
    with ExitStack() as open_sources:
        one = open_sources.enter_context(closing(cluster.source("in")))
        take(one, 40)
        one.commit()
        with closing(cluster.source("in")) as two:

            def poll_both() -> None:
                assert not one.poll(8, 0.05)
                assert not two.poll(8, 0.05)

            until(lambda: one.partitions == two.partitions == 2, poll_both)
            cluster.send("in", *numbered(40, 40))
            found: list[bytes] = []
            until(
                lambda: len(found) >= 40,
                lambda: found.extend(bodies(one.poll(8, 0.05)) + bodies(two.poll(8, 0.05))),
            )
            assert sorted(found) == sorted(packet.data for packet in numbered(40, 40))
            one.commit()  # the other does not
        again: list[bytes] = []
        until(lambda: one.partitions == 4 and again, lambda: again.extend(bodies(one.poll(8, 0.05))))
        assert set(again) <= {packet.data for packet in numbered(40, 40)}


def test_an_error_while_partitions_move_takes_no_packet_with_it(cluster: Cluster) -> None:
    errors = []

    def fail() -> None:
        raise ValueError("no")

    with closing(cluster.source("in")) as one:
        one.before_handover(fail)
        cluster.send("in", *numbered(100))
        found: list[bytes] = []

        def poll(source: KafkaSource) -> None:
            try:
                found.extend(bodies(source.poll(7, 0.05)))
            except ValueError as error:
                errors.append(error)

        until(lambda: one.partitions == 4, lambda: poll(one))
        with closing(cluster.source("in")) as two:
            until(lambda: errors, lambda: (poll(one), poll(two)))
            cluster.send("in", *numbered(100, 100))
            until(lambda: len(set(found)) == 200, lambda: (poll(one), poll(two)))


def test_what_was_deleted_before_it_came_is_counted(cluster: Cluster) -> None:
    if not cluster.mock:
        pytest.skip("a real broker deletes when it pleases")
    large = [Packet(os.urandom(200_000), b"same key") for _ in range(60)]  # 12 MB, the mock keeps 5
    cluster.send("in", Packet(b"first", b"same key"))
    with closing(cluster.source("in")) as source:
        take(source, 1)
        source.commit()
    cluster.send("in", *large, Packet(b"last", b"same key"))
    with closing(cluster.source("in")) as source:
        messages: list[Message] = []
        until(lambda: b"last" in bodies(messages), lambda: messages.extend(source.poll(100, 0.1)))
        assert source.drops.snapshot() == {"deleted": 61 - len(messages)}
        assert source.drops["deleted"] > 0
        assert "deleted before they were read" in source.last_failure
        source.commit()
