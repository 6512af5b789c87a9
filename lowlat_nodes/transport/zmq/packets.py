# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets of other systems over ZeroMQ: one packet is one message of `[packet]` or `[key, packet]`.

With PUSH and PULL nothing is dropped: where the receiver is slower, the sender waits. A SUB socket takes what
any publisher sends, `[topic, packet]` or `[topic, key, packet]`; whoever falls behind a publisher loses
packets, and as they have no numbers nobody can tell how many.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import zmq

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.fleeting import Fleeting
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.link import Connector
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.options import come_back, probe, receive

WAITING_PACKETS = 128
"""How many packets wait at either end: 6 to 10 MB of alerts; more make nothing faster, be they small."""

_MAX_BYTES = 16 << 20
_BATCH_BYTES = 32 << 20

_TURN_S = 0.1  # how often a connection is looked at while there is no room
_MS = 1000.0


class PacketReceiver(Fleeting):
    """A PULL or a SUB socket as a source of packets that is asked.

    Packets that waited in the socket when the process died are gone: a source that gives them again needs a
    broker, or files.

    Args:
        endpoint: Where to listen (PULL: `tcp://HOST:PORT`, port 0 takes a free one, or `ipc:///PATH`), or the
            address of the publisher (SUB).
        clock: Stamps the receipt.
        topic: Of the messages.
        subscribe: Prefix of the topics on the wire to take from a publisher, b"" for all; None pulls.
        server: Keys of CURVE and the senders that may come in, to pull; None listens in the clear, on this
            machine only.
        client: Keys of CURVE, to subscribe.
        max_bytes: Largest packet; a larger one breaks the connection.
        waiting: How many packets of each peer wait in the socket.

    Attributes:
        endpoint: Where it listens, or what it is connected to.
        drops: Messages of too many or too few frames (`malformed`), and senders that did not get in; see
            `Gate` for those.
        last_failure: Why the newest message was refused, or what keeps the publisher from letting us in.

    Raises:
        ConfigurationError: If the endpoint cannot be had, or other machines could reach it without keys.
    """

    def __init__(
        self,
        endpoint: str,
        clock: Clock,
        *,
        topic: str = "packets",
        subscribe: bytes | None = None,
        server: ServerKeys | None = None,
        client: ClientKeys | None = None,
        max_bytes: int = _MAX_BYTES,
        waiting: int = WAITING_PACKETS,
    ) -> None:
        endpoint = check_endpoint(endpoint)
        self.drops = Counters()
        self.last_failure = ""
        self._topic = topic
        self._clock = clock
        self._skip = 0 if subscribe is None else 1  # the topic on the wire
        self._received = 0
        self._connector: Connector | None = None
        self._socket = socket = zmq.Context().socket(zmq.PULL if subscribe is None else zmq.SUB)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVHWM, waiting)
        probe(socket)
        try:
            if subscribe is None:
                listen(socket, endpoint, keys=server, counts=self.drops, max_bytes=max_bytes)
            else:
                allow_ipv6(socket, endpoint)
                socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
                come_back(socket)
                if client is not None:
                    secure_client(socket, client)
                socket.subscribe(subscribe)
                self._connector = Connector(socket, endpoint, client)
        except ConfigurationError:
            self.close()
            raise
        self.endpoint: str = socket.getsockopt_string(zmq.LAST_ENDPOINT)

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` packets, those that wait or the first that come in time, or 32 MB of them."""
        messages: list[Message] = []
        size = 0
        if self._connector is not None:
            self._connector.follow()
            if self._connector.link.refused:
                self.last_failure = self._connector.trouble or self.last_failure
        if most <= 0 or not self._socket.poll(round(timeout_s * _MS)):
            return messages
        now_ns, skip = self._clock.now_ns(), self._skip
        while (
            len(messages) < most
            and size < _BATCH_BYTES
            and (frames := receive(self._socket, skip + 2)) is not None
        ):
            body = frames[skip:]
            if len(body) == 1:
                packet = Packet(body[0].buffer)
            elif len(body) == 2:
                packet = Packet(body[1].buffer, body[0].bytes)
            else:
                self.drops.add("malformed")
                self.last_failure = f"expected {skip + 1} or {skip + 2} frames, got {len(frames)}"
                continue
            messages.append(Message(self._topic, packet, Trace(received_ns=now_ns), self._received))
            self._received += 1
            size += len(packet.data)
        return messages

    def close(self) -> None:
        """Let go of the address; what waits in the socket is lost."""
        if self._connector is not None:
            self._connector.close()
        stop_listening(self._socket)


class PacketSender:
    """A PUSH socket that sends packets to a `PacketReceiver`, and waits where that is slower.

    Args:
        endpoint: Address of the receiver; it need not be there yet, and may come back.
        keys: Keys of CURVE; None for a connection in the clear.
        waiting: How many packets wait in the socket.

    Raises:
        ConfigurationError: If the endpoint is none, or has no address.
    """

    def __init__(
        self, endpoint: str, *, keys: ClientKeys | None = None, waiting: int = WAITING_PACKETS
    ) -> None:
        endpoint = check_endpoint(endpoint)
        self._context = zmq.Context()
        self._socket = socket = self._context.socket(zmq.PUSH)
        socket.setsockopt(zmq.SNDHWM, waiting)
        socket.setsockopt(zmq.IMMEDIATE, 1)  # nothing is queued for who is not there
        come_back(socket)
        probe(socket)
        allow_ipv6(socket, endpoint)
        if keys is not None:
            secure_client(socket, keys)
        try:
            self._connector = Connector(socket, endpoint, keys)
        except ConfigurationError:
            socket.close()
            self._context.term()
            raise

    def send(self, packet: Packet, timeout_s: float = 10.0) -> None:
        """Send a packet, waiting for room.

        Raises:
            UndeliveredError: If no receiver has room for it within the time; nothing was sent.
        """
        frames = [packet.key, packet.data] if packet.key else [packet.data]
        ends_s = time.monotonic() + timeout_s
        while not self._sent(frames):  # once more where the receiver that had room has gone since
            self._wait_for_room(ends_s, timeout_s)

    def _sent(self, frames: Sequence[bytes | memoryview]) -> bool:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def _wait_for_room(self, ends_s: float, timeout_s: float) -> None:
        while True:
            self._connector.follow()
            left_s = ends_s - time.monotonic()
            if self._socket.poll(round(max(0.0, min(left_s, _TURN_S)) * _MS), zmq.POLLOUT):
                return
            if left_s <= 0:
                trouble = self._connector.trouble
                raise UndeliveredError(
                    f"no receiver had room for a packet for {timeout_s:g} s"
                    + (f": {trouble}" if trouble else "")
                )

    def close(self, *, linger_s: float = 10.0) -> None:
        """Send what waits to be sent, for so long at most, and disconnect."""
        self._connector.close()
        self._socket.close(linger=round(linger_s * _MS))
        self._context.term()
