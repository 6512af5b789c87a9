# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Results to Kafka topics, safe once all replicas in sync have them."""

from __future__ import annotations

import contextlib
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
        self._written = 0
        self._unconfirmed: dict[int, _Entry] = {}
        self._refused: dict[int, None] = {}  # numbers of what is to be sent again, in order
        # What is fatal the library raises out of any call, after calling us back with that exception set:
        # what we call there seems to raise it, and a lock that we take stays taken. So callbacks only append.
        self._fatal = (confluent_kafka.KafkaException, SystemError)
        self._reports: deque[tuple[int, Any]] = deque()
        self._errors: deque[Any] = deque(maxlen=1)
        self._broken = False
        self._settings = connection.client() | {
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "queue.buffering.max.kbytes": queued_mb << 10,
            "message.max.bytes": 64 << 20,  # the brokers know what they take
            "compression.type": "lz4",
            "error_cb": self._errors.append,
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
        self._renew()
        number = self._written
        self._unconfirmed[number] = self._entry(topic, message)
        self._written += 1
        try:
            self._send(number)
        except UndeliveredError:
            del self._unconfirmed[number]
            raise

    def flush(self, timeout_s: float) -> None:
        """Wait until the brokers have confirmed all that was written.

        Raises:
            UndeliveredError: If they have not within the time; what they refused is sent again next time.
        """
        self._renew()
        for number in list(self._refused):
            self._send(number)
        try:
            waiting = self._producer.flush(timeout_s)
        except self._fatal as error:
            self._break(error)
        else:
            self._read_reports()
            if not waiting:  # what nobody has told about is sent again, too
                self._refused = dict.fromkeys(self._unconfirmed)
        if self._unconfirmed:
            raise UndeliveredError(
                f"{len(self._unconfirmed)} messages are not confirmed, {len(self._refused)} of them were "
                f"refused: {self.last_failure or 'no error yet'}"
            )

    def close(self, *, timeout_s: float = _CLOSE_S) -> None:
        """Send what waits to be sent, for so long at most; the rest is lost."""
        with contextlib.suppress(*self._fatal):
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

    def _send(self, number: int) -> None:
        """Queue an entry.

        Raises:
            UndeliveredError: If there is no room for it.
        """
        entry = self._unconfirmed[number]
        reports = self._reports
        try:
            self._producer.produce(
                entry.topic,
                bytes(entry.value),
                entry.key,
                headers=entry.headers,
                on_delivery=lambda error, _message: reports.append((number, error)),
            )
            self._refused.pop(number, None)
            self._producer.poll(0.0)
            self._read_reports()
        except BufferError:
            self._producer.poll(_ROOM_S)  # until one is confirmed
            raise UndeliveredError(f"no room: {len(self._producer)} messages wait to be sent") from None
        except self._fatal as error:
            if isinstance(error, self._kafka.KafkaException) and not _ends(error):
                self._refuse(number, error.args[0])
            else:
                self._break(error)

    def _read_reports(self) -> None:
        """Note what became of what was sent."""
        if self._errors:
            self._report(self._errors.pop())
        while self._reports:
            number, error = self._reports.popleft()
            if error is not None:
                self._refuse(number, error)
            elif self._unconfirmed.pop(number, None) is not None:
                self._refused.pop(number, None)
                self.counts.add("confirmed")

    def _refuse(self, number: int, error: Any) -> None:
        """Keep what was refused, to be sent again."""
        entry = self._unconfirmed.get(number)
        if entry is None:
            return
        self._report(error)
        self.counts.add("refused")
        if error.code() == self._kafka.KafkaError.MSG_SIZE_TOO_LARGE and entry.headers and entry.value:
            self.counts.add("left_out")
            left_out = ("left_out", b"%d" % len(entry.value))
            self._unconfirmed[number] = entry._replace(value=b"", headers=[*entry.headers, left_out])
        self._refused[number] = None

    def _report(self, error: Any) -> None:
        self.last_failure = f"Kafka: {error.str()}"

    def _break(self, error: BaseException) -> None:
        """Note that the producer sends nothing any more, and may not tell what it has sent."""
        self._read_reports()
        self._broken = True
        self.last_failure = f"Kafka: {error.__cause__ or error}"

    def _renew(self) -> None:
        """Replace a producer that sends nothing any more; all that it had is sent again."""
        if self._broken:
            self._producer = self._kafka.Producer(self._settings)
            self._broken = False
            self._refused = dict.fromkeys(self._unconfirmed)


def _ends(error: Any) -> bool:
    """Return whether an error ends a producer."""
    return bool(error.args[0].fatal()) or error.args[0].name() == "_FATAL"
