# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A consumer that a test kills: from a topic to another one, until standard input ends.

python consumer_process.py BOOTSTRAP GROUP TOPIC RESULTS DEAD_LETTERS
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.delivery import DEAD_LETTERS, Delivery
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Record
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.transport.kafka.settings import Connection, Consumption
from lowlat_nodes.transport.kafka.sink import KafkaSink
from lowlat_nodes.transport.kafka.source import KafkaSource


class Numbers(Processor):
    """Reads the number in a packet; what is none is poison."""

    outputs = ("results",)

    def process(self, message: Message) -> Iterable[Message]:
        number = int(message.payload.data)
        return [message.derive("results", Record({"number": number}, b"%d" % number))]


def consume(
    bootstrap: str, group: str, topic: str, results: str, letters: str, elsewhere: str = ""
) -> Delivery:
    """Return such a consumer; its results may go to another cluster."""
    connection = Connection(bootstrap=bootstrap)
    clock = SystemClock()
    source = KafkaSource(
        connection, Consumption(topics=(topic,), group=group, session_timeout_ms=3_000), clock
    )
    sink = KafkaSink(
        Connection(bootstrap=elsewhere or bootstrap), {"results": results, DEAD_LETTERS: letters}
    )
    sinks = {"results": [sink], DEAD_LETTERS: [sink]}
    return Delivery(source, Numbers(), sinks, clock, batch=32, commit_interval_s=0.0)


if __name__ == "__main__":
    delivery = consume(*sys.argv[1:])
    delivery.start()
    sys.stdin.read()
    delivery.stop()
