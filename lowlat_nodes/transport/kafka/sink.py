# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Results to Kafka topics, safe once all replicas in sync have them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UndeliveredError, UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError, MissingExtra
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import DeadLetter, Packet, Record
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.kafka.settings import Connection
from lowlat_nodes.transport.records import encode

_ROOM_S = 1.0
_CLOSE_S = 5.0


class _Entry(NamedTuple):
    """What goes into a topic."""

    topic: str
    value: bytes | memoryview
    key: bytes | None
    headers: list[tuple[str, str | bytes | None]]


class KafkaSink:
    """Writes records, packets and dead letters to Kafka topics; what has one key stays in one partition.

    Records are JSON (`transport.records`), with their own key. A dead letter has the value and the key of its
    packet, so that it can be sent again as it is, and headers for the rest:

    =========== ===========================================================================
    reason      why it was refused, UTF-8
    origin      where the packet came from, UTF-8
    received_ns when it came, decimal, ns since the Unix epoch (in the clock of the node)
    left_out    only where the packet is too large for the topic, and its value empty: bytes
    =========== ===========================================================================

    Brokers take each message once however often the client library has to send it (idempotent producer),
    and those that they refuse are sent again with every `flush`. `write` and `flush` are for one thread.

    Args:
        connection: How to reach the cluster.
        outputs: The Kafka topic by the topic of the messages, a processor's output names.
        queued_mb: How much waits to be sent; `write` waits for room.

    Attributes:
        counts: What brokers have confirmed (`confirmed`), refused (`refused`), and dead letters whose packet
            was too large (`left_out`).
        last_failure: The newest error that the client library reported.

    Raises:
        MissingExtra: Without confluent-kafka.
        ConfigurationError: If the settings are none for it.
    """

    def __init__(
        self,
        connection: Connection,
        outputs: Mapping[str, str],
        *,
        queued_mb: int = 64,
    ) -> None:
        try:
            import confluent_kafka
        except ImportError:
            raise MissingExtra("confluent_kafka", "alerts") from None
        self.counts = Counters()
        self.last_failure = ""
        self._kafka = confluent_kafka
        self._outputs = dict(outputs)
        self._refused: deque[_Entry] = deque()
        self._settings = connection.client() | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "queue.buffering.max.kbytes": queued_mb << 10,
            "message.max.bytes": 64 << 20,  # the brokers know what they take
            "compression.type": "lz4",
            "error_cb": self._report,
        }
        try:
            self._producer = confluent_kafka.Producer(self._settings)
        except (confluent_kafka.KafkaException, ValueError) as error:
            raise ConfigurationError(f"Kafka refuses these settings: {error}") from error

    def write(self, message: Message) -> None:
        """Queue a message to be sent.

        Raises:
            UnknownOutput: If no output has the message's topic.
            WireError: If its payload has no form here.
            UndeliveredError: If there is no room for it now.
        """
        topic = self._outputs.get(message.topic)
        if topic is None:
            raise UnknownOutput(message.topic, self._outputs)
        self._send(self._entry(topic, message))

    def flush(self, timeout_s: float) -> None:
        """Wait until the brokers have confirmed all that was written.

        Raises:
            UndeliveredError: If they have not within the time; what they refused is sent again next time.
        """
        for _ in range(len(self._refused)):
            self._send(self._refused[0])
            self._refused.popleft()
        waiting = self._producer.flush(timeout_s)
        if waiting or self._refused:
            raise UndeliveredError(
                f"{waiting} messages wait for the brokers, which have refused {len(self._refused)}: "
                f"{self.last_failure or 'no error yet'}"
            )

    def close(self, *, timeout_s: float = _CLOSE_S) -> None:
        """Send what waits to be sent, for so long at most; the rest is lost."""
        self._producer.flush(timeout_s)
        self._producer.purge()

    def _entry(self, topic: str, message: Message) -> _Entry:
        payload = message.payload
        if isinstance(payload, Record):
            value = encode(payload, message.trace.published_ns)
            return _Entry(topic, value, payload.key or None, [])
        if isinstance(payload, DeadLetter):
            packet = payload.packet
            headers: list[tuple[str, str | bytes | None]] = [
                ("reason", payload.reason.encode()),
                ("origin", packet.origin.encode()),
                ("received_ns", b"%d" % message.trace.received_ns),
            ]
            return _Entry(topic, packet.data, packet.key or None, headers)
        if isinstance(payload, Packet):
            return _Entry(topic, payload.data, payload.key or None, [])
        raise WireError(f"expected a Record, Packet or DeadLetter to send, got {type(payload).__name__}")

    def _send(self, entry: _Entry) -> None:
        def confirm(error: Any, _message: Any) -> None:
            if error is None:
                self.counts.add("confirmed")
            else:
                self._refuse(entry, error)

        try:
            self._producer.produce(
                entry.topic, bytes(entry.value), entry.key, headers=entry.headers, on_delivery=confirm
            )
        except BufferError:
            self._producer.poll(_ROOM_S)  # until one is confirmed
            raise UndeliveredError(f"no room: {len(self._producer)} messages wait to be sent") from None
        except self._kafka.KafkaException as error:
            self._refuse(entry, error.args[0])
        self._producer.poll(0.0)

    def _refuse(self, entry: _Entry, error: Any) -> None:
        """Keep what was refused, to be sent again."""
        self._report(error)
        self.counts.add("refused")
        if error.code() == self._kafka.KafkaError.MSG_SIZE_TOO_LARGE and entry.headers and entry.value:
            self.counts.add("left_out")
            entry = entry._replace(
                value=b"", headers=[*entry.headers, ("left_out", b"%d" % len(entry.value))]
            )
        self._refused.append(entry)
        if error.fatal():
            # Such a producer sends nothing any more; what it had waiting comes back as refused, too.
            former, self._producer = self._producer, self._kafka.Producer(self._settings)
            former.purge()
            former.flush(_ROOM_S)

    def _report(self, error: Any) -> None:
        self.last_failure = f"Kafka: {error.str()}"
