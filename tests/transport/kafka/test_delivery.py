# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From topic to topic: every packet once after de-duplication, whoever dies and whatever is broken."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from consumer_process import consume
from kafka_cluster import Cluster, take, until

from lowlat_nodes.stream.delivery import Delivery
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.mock_cluster import running

pytest.importorskip("confluent_kafka")

pytestmark = pytest.mark.alerts

PROGRAM = Path(__file__).with_name("consumer_process.py")


@contextlib.contextmanager
def consuming(cluster: Cluster) -> Iterator[Delivery]:
    delivery = consume(cluster.bootstrap, *map(cluster.name, ("group", "in", "results", "letters")))
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.stop()


def start_process(cluster: Cluster) -> subprocess.Popen[bytes]:
    names = map(cluster.name, ("group", "in", "results", "letters"))
    return subprocess.Popen([sys.executable, PROGRAM, cluster.bootstrap, *names], stdin=subprocess.PIPE)


def numbered(first: int, count: int) -> list[Packet]:
    return [Packet(b"%d" % number, b"%d" % number) for number in range(first, first + count)]


def keys(messages: list[Message]) -> Counter[int]:
    return Counter(int(message.payload.key) for message in messages)


def test_poison_goes_to_the_dead_letters_and_the_rest_on(cluster: Cluster) -> None:
    poison = Packet(b"\xff not a number", b"schema")
    cluster.send("in", *numbered(0, 50), poison, *numbered(50, 50))
    with consuming(cluster) as delivery:
        until(lambda: delivery.stats().published == 101 and not delivery.stats().uncommitted)
        stats = delivery.stats()
    assert (stats.processed, stats.dead_letters) == (100, 1)
    assert set(keys(cluster.read("results", 100))) == set(range(100))
    (letter,) = cluster.read("letters", 1)
    assert (letter.payload.data, letter.payload.key) == (poison.data, poison.key)
    with consuming(cluster) as delivery:  # the poison does not come again
        cluster.send("in", *numbered(100, 1))
        until(lambda: delivery.stats().published == 1)
        assert delivery.stats().dead_letters == 0


def test_a_consumer_that_is_killed_loses_nothing(cluster: Cluster) -> None:
    total, at_once = 2_000, 50
    processes = [start_process(cluster), start_process(cluster)]
    results: list[Message] = []
    with closing(cluster.source("results", "reader")) as reader:

        def read(timeout_s: float = 0.1) -> None:
            results.extend(reader.poll(1_000, timeout_s))

        try:
            for first in range(0, total, at_once):
                cluster.send("in", *numbered(first, at_once))
                read(0.02)
                if first == total // 2:
                    until(lambda: results, read)
                    processes[0].send_signal(signal.SIGKILL)
                    processes[0].wait()
                    processes.append(start_process(cluster))
            until(lambda: len(keys(results)) == total, read)
        finally:
            for process in processes:
                assert process.stdin is not None
                process.stdin.close()
            codes = [process.wait() for process in processes]
    assert codes == [-signal.SIGKILL, 0, 0]
    assert set(keys(results)) == set(range(total))
    # What is done twice is what was in hand at the kill, and at the moves of partitions.
    assert len(results) < 2 * total


def test_brokers_for_results_that_are_away_for_a_while_hold_packets_back(cluster: Cluster) -> None:
    with running({"results": 1, "letters": 1}) as elsewhere:
        cluster.send("in", *numbered(0, 100))
        delivery = consume(
            cluster.bootstrap,
            cluster.name("group"),
            cluster.name("in"),
            "results",
            "letters",
            elsewhere.bootstrap,
        )
        delivery.start()
        until(lambda: delivery.stats().published == 100 and not delivery.stats().uncommitted)
        elsewhere.tell("down 1")
        cluster.send("in", *numbered(100, 500))
        until(lambda: delivery.stats().failures.get("flush: UndeliveredError", 0) >= 3)
        held = delivery.stats()
        assert 0 < held.uncommitted <= 32
        assert held.published <= 132
        elsewhere.tell("up 1")
        until(lambda: delivery.stats().published == 600 and not delivery.stats().uncommitted)
        delivery.stop()
        there = Cluster(elsewhere.bootstrap, "")
        with closing(there.source("results")) as reader:
            assert keys(take(reader, 600)) == Counter(range(600)), "each once, although each was tried often"
