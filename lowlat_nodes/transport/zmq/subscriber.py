# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a `Publisher`, or to anything else that sends the frames of docs/stream_protocol.md."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import zmq

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import Deliver
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.zmq.curve import ClientKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.frames import MAX_FRAMES, MAX_TOPIC, decode, decode_topic
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES, probe, receive

_RECONNECT_MS = 20
_RECONNECT_MAX_MS = 200


class Subscriber:
    """A SUB socket as a source: a thread takes messages as they come, so that old ones never wait in it.

    What waits for a slower consumer is up to the mailbox that it delivers into.

    Args:
        endpoint: Address of the publisher; it need not be there yet, and may come back.
        inputs: The topic on the wire by the topic of the delivered messages, a processor's input names.
        clock: Stamps the receipt; the clock of the publisher's stamps.
        keys: Keys of CURVE; None for a connection in the clear.
        max_bytes: Largest frame; a larger one breaks the connection.
        waiting: How many messages wait in the socket while `deliver` takes its time.

    Attributes:
        received: How many messages of the topics came, malformed ones included.
        drops: What was not delivered: `malformed`, or `lost` on the way, as sequence numbers tell.
        last_failure: Why the newest malformed message was refused.

    Raises:
        ConfigurationError: If the endpoint is none, or two inputs have one topic.
    """

    def __init__(
        self,
        endpoint: str,
        inputs: Mapping[str, str],
        *,
        clock: Clock,
        keys: ClientKeys | None = None,
        max_bytes: int = MAX_MESSAGE,
        waiting: int = WAITING_MESSAGES,
    ) -> None:
        self.received = 0
        self.drops = Counters()
        self.last_failure = ""
        self._endpoint = check_endpoint(endpoint)
        self._names = {topic: name for name, topic in inputs.items()}
        if len(self._names) < len(inputs) or not all(
            0 < len(topic.encode()) <= MAX_TOPIC for topic in self._names
        ):
            raise ConfigurationError(
                f"expected a different topic of 1 to {MAX_TOPIC} bytes for each input, got {dict(inputs)}"
            )
        self._clock = clock
        self._keys = keys
        self._max_bytes = max_bytes
        self._waiting = waiting
        self._newest: dict[str, int] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._thread: threading.Thread | None = None

    def start(self, deliver: Deliver) -> None:
        """Connect and deliver from a thread.

        Raises:
            ConfigurationError: If the endpoint cannot be connected to, such as a host that has no address.
        """
        self._newest.clear()  # what came in the meantime is not lost on the way
        self._context = zmq.Context()
        socket = self._context.socket(zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, self._waiting)
        socket.setsockopt(zmq.MAXMSGSIZE, self._max_bytes)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        probe(socket)
        allow_ipv6(socket, self._endpoint)
        if self._keys is not None:
            secure_client(socket, self._keys)
        for topic in self._names:
            socket.subscribe(topic)
        try:
            socket.connect(self._endpoint)
        except zmq.ZMQError as error:
            socket.close()
            self.stop()
            raise ConfigurationError(f"cannot connect to {self._endpoint!r}: {error}") from error
        self._thread = threading.Thread(
            target=self._run, args=(socket, deliver), name="subscriber", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Disconnect; nothing is delivered any more once this returns."""
        if self._context is not None:
            self._context.term()
            self._context = None
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _run(self, socket: zmq.Socket[bytes], deliver: Deliver) -> None:
        try:
            while True:
                socket.poll()
                while (frames := receive(socket, MAX_FRAMES)) is not None:
                    message = self._read(frames)
                    if message is not None:
                        deliver(message)
        except zmq.ContextTerminated:
            pass
        finally:
            socket.close()

    def _read(self, frames: list[zmq.Frame]) -> Message | None:
        now_ns = self._clock.now_ns()
        try:
            topic = decode_topic(frames[0])
            if topic not in self._names:  # ZeroMQ subscribes to all that begin like it
                return None
            self.received += 1
            message = decode(frames).message
        except WireError as error:
            self.drops.add("malformed")
            self.last_failure = f"{self._endpoint}: {error}"
            return None
        missing = message.sequence - self._newest.get(topic, message.sequence) - 1
        if missing > 0:  # with a new publisher numbers begin anew
            self.drops.add("lost", missing)
        self._newest[topic] = message.sequence
        message.topic = self._names[topic]
        message.trace = Trace(message.trace.capture_ns, now_ns)
        return message
