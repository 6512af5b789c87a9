# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What tests do with a cluster: the one that KAFKA_BOOTSTRAP names, or the client library's mock."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from contextlib import closing

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.endpoint import PullSource
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.transport.kafka.settings import BOOTSTRAP_VARIABLE, Connection, Consumption
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.kafka.source import KafkaSource

PATIENCE_S = 90.0


class Cluster:
    """A cluster with names of its own for each test, and what a test does with it."""

    def __init__(self, bootstrap: str, name: str) -> None:
        self.connection = Connection(bootstrap=bootstrap)
        self.bootstrap = bootstrap
        self.mock = not os.environ.get(BOOTSTRAP_VARIABLE)
        self._name = name

    def name(self, part: str) -> str:
        return f"{self._name}_{part}" if self._name else part

    def source(self, topic: str, group: str = "group", **options: object) -> KafkaSource:
        settings = {"topics": (self.name(topic),), "group": self.name(group), "session_timeout_ms": 3_000}
        return KafkaSource(self.connection, Consumption(**settings | options), SystemClock())  # type: ignore[arg-type]

    def sink(self, **outputs: str) -> KafkaSink:
        return KafkaSink(self.connection, {output: self.name(topic) for output, topic in outputs.items()})

    def send(self, topic: str, *packets: Packet) -> None:
        with closing(self.sink(packets=topic)) as sink:
            for packet in packets:
                sink.write(Message("packets", packet))
            sink.flush(PATIENCE_S)

    def read(self, topic: str, count: int) -> list[Message]:
        with closing(self.source(topic, group=f"reader of {topic} {uuid.uuid4()}")) as source:
            return take(source, count)


def take(source: PullSource, count: int) -> list[Message]:
    """Return what comes until there are so many."""
    messages: list[Message] = []
    until(lambda: len(messages) >= count, lambda: messages.extend(source.poll(count - len(messages), 0.1)))
    return messages


def until(done: Callable[[], object], act: Callable[[], None] = lambda: time.sleep(0.01)) -> None:
    """Act until it is done."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline
        act()
