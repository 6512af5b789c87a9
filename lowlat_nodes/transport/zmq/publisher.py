# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes messages to whoever subscribes, in the frames of docs/stream_protocol.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zmq.curve import ServerKeys, check_exposure
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.gate import Gate
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES, probe

_LINGER_MS = 200  # for the last messages


class Publisher:
    """A PUB socket as a sink. It never waits: what a subscriber does not take, it alone loses.

    Subscribers see by the sequence numbers, which count the messages of a topic, what they have lost.
    `write` is for one thread at a time.

    Args:
        endpoint: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        outputs: The topic on the wire by the topic of the messages, a processor's output names.
        keys: Keys of CURVE and the subscribers that may come in; None publishes in the clear, on this machine
            only.
        waiting: How many messages wait for each subscriber, beside what is on its way; more where results
            come in bursts and each of them counts.

    Attributes:
        endpoint: Where it listens.
        counts: Subscribers whose keys are not allowed (`keys_refused`), and connections that fail otherwise
            (`handshakes_refused`).

    Raises:
        ConfigurationError: If the endpoint cannot be had, or other machines could reach it without keys.
    """

    def __init__(
        self,
        endpoint: str,
        outputs: Mapping[str, str],
        *,
        keys: ServerKeys | None = None,
        waiting: int = WAITING_MESSAGES,
    ) -> None:
        check_exposure(check_endpoint(endpoint), keys)
        self.counts = Counters()
        self._outputs = dict(outputs)
        self._published = dict.fromkeys(outputs.values(), 0)  # several outputs may share a topic
        self._context = zmq.Context()
        self._socket = socket = self._context.socket(zmq.PUB)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, waiting)
        socket.setsockopt(zmq.MAXMSGSIZE, 1 << 10)  # of subscriptions
        probe(socket)
        allow_ipv6(socket, endpoint)
        if keys is not None:
            Gate(socket, keys, self.counts)
        try:
            socket.bind(endpoint)
            if endpoint.startswith("ipc://"):
                Path(endpoint.removeprefix("ipc://")).chmod(0o600)
        except (zmq.ZMQError, OSError) as error:
            self.close()
            raise ConfigurationError(f"cannot listen at {endpoint!r}: {error}") from error
        self.endpoint: str = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def write(self, message: Message) -> None:
        """Publish a message to those who subscribe to its topic now.

        Raises:
            UnknownOutput: If no output has the message's topic.
            WireError: If the payload has no form on the wire.
        """
        topic = self._outputs.get(message.topic)
        if topic is None:
            raise UnknownOutput(message.topic, self._outputs)
        self._socket.send_multipart(encode(message, topic, self._published[topic]), zmq.NOBLOCK)
        self._published[topic] += 1

    def close(self) -> None:
        """Send what waits to be sent, for 200 ms at most, and let go of the address."""
        self._socket.disable_monitor()
        self._socket.close()
        self._context.term()
