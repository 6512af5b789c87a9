# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Listens to a publisher from outside: every message, as it came, with its receipt."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple

import zmq

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError, decode_array
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint
from lowlat_nodes.transport.zmq.frames import MAX_FRAMES, MAX_TOPIC, decode_topic
from lowlat_nodes.transport.zmq.header import Header, unpack
from lowlat_nodes.transport.zmq.joining import join
from lowlat_nodes.transport.zmq.lane import Lane
from lowlat_nodes.transport.zmq.link import WATCHED, Link
from lowlat_nodes.transport.zmq.options import receive
from lowlat_nodes.transport.zmq.subscriptions import HEARTBEAT, RESERVED

MAX_TOPICS = 1024
"""How many topics of a publisher are followed; what it publishes under more of them is left out."""

_WAITING = 1000  # messages in the socket, while another thread has the interpreter; their taker never waits
_SCHEMA = 64  # characters


class Tapped(NamedTuple):
    """One message as it came.

    Attributes:
        topic: On the wire.
        header: What it says of itself.
        frames: What came, byte for byte.
        received_ns: When, in the clock of the tap.
        lost: How many of its topic were lost on the way just before it.
    """

    topic: str
    header: Header
    frames: list[zmq.Frame]
    received_ns: int
    lost: int


@dataclass(frozen=True)
class _Connection:
    """A socket and its monitor."""

    socket: zmq.Socket[bytes]
    monitor: zmq.Socket[bytes]

    def close(self) -> None:
        self.monitor.close(linger=0)
        self.socket.close(linger=0)


class Tap:
    """A SUB socket with a thread, for recorders and for looking at what a publisher says.

    It subscribes to plain topics, whose messages have their arrays with them: a place in shared memory is
    gone when somebody looks at a recording. A tap that is slow loses messages itself and slows down nobody:
    the publisher drops what waits for it beyond a bound, and others do not notice.

    Args:
        endpoint: Address of the publisher; it need not be there yet, and may come back.
        topics: Topics on the wire; empty takes all that are not the protocol's own (they begin with `@`).
        clock: Stamps the receipt.
        keys: Keys of CURVE; None for a connection in the clear.
        heartbeats: Whether `@heartbeat` is taken too.
        max_bytes: Largest frame; a larger one breaks the connection.

    Attributes:
        endpoint: As given.
        topics: As given.
        counts: Messages by fate: `taken`; `malformed`; `lost` on the way, as sequence numbers tell;
            `repeated` for somebody who came late; `beyond` the number of topics that are followed.
        last_failure: Why the newest malformed message was refused.
        link: Whether the connection stands, and if not, why.

    Raises:
        ConfigurationError: If the endpoint or a topic is none.
    """

    def __init__(
        self,
        endpoint: str,
        topics: Collection[str] = (),
        *,
        clock: Clock,
        keys: ClientKeys | None = None,
        heartbeats: bool = False,
        max_bytes: int = MAX_MESSAGE,
    ) -> None:
        self.counts = Counters()
        self.last_failure = ""
        self.endpoint = check_endpoint(endpoint)
        for topic in topics:
            if not 0 < len(topic.encode()) <= MAX_TOPIC or topic.encode().startswith(RESERVED):
                raise ConfigurationError(
                    f"expected topics of 1 to {MAX_TOPIC} bytes that do not begin with "
                    f"{RESERVED.decode()!r}, got {topic!r}"
                )
        self.topics = frozenset(topics)
        self.link = Link(self.endpoint, keys)
        self._wanted = frozenset(topic.encode() for topic in topics)
        self._heartbeats = heartbeats
        self._clock = clock
        self._keys = keys
        self._max_bytes = max_bytes
        self._lanes: dict[str, Lane] = {}
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._thread: threading.Thread | None = None

    def start(self, deliver: Callable[[Tapped], None]) -> None:
        """Connect and deliver from a thread.

        Raises:
            ConfigurationError: If the endpoint cannot be connected to, such as a host that has no address.
        """
        self.link = Link(self.endpoint, self._keys)
        self._context = zmq.Context()
        try:
            connection = self._connect(self._context)
        except zmq.ZMQError as error:
            self.stop()
            raise ConfigurationError(f"cannot connect to {self.endpoint!r}: {error}") from error
        self._thread = threading.Thread(
            target=self._run, args=(self._context, connection, deliver), name="tap", daemon=True
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

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]]) -> _Connection:
        socket = context.socket(zmq.SUB)
        connection = _Connection(socket, socket.get_monitor_socket(WATCHED))
        try:
            for topic in self.topics or {""}:
                socket.subscribe(topic)
            if self.topics and self._heartbeats:
                socket.subscribe(HEARTBEAT)
            join(socket, self.endpoint, self._keys, waiting=_WAITING, max_bytes=self._max_bytes)
        except zmq.ZMQError:
            connection.close()
            raise
        return connection

    def _run(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        connection: _Connection,
        deliver: Callable[[Tapped], None],
    ) -> None:
        try:
            while True:
                self._drain(connection, deliver)
                self.link.renewed()
                connection.close()
                connection = self._connect(context)
        except zmq.ContextTerminated:
            pass
        finally:
            connection.close()

    def _drain(self, connection: _Connection, deliver: Callable[[Tapped], None]) -> None:
        """Deliver what comes until the connection is to be made anew."""
        while True:
            frames = receive(connection.socket, MAX_FRAMES, wait=True)
            if frames is not None:
                tapped = self._read(frames)
                if tapped is not None:
                    deliver(tapped)
            if frames is None or not self.link.stands:
                while (event := receive(connection.monitor, MAX_FRAMES)) is not None:
                    self.link.note([frame.bytes for frame in event])
                if self.link.due:
                    return

    def _read(self, frames: list[zmq.Frame]) -> Tapped | None:
        now_ns = self._clock.now_ns()
        try:
            if not self._wants(frames[0].bytes):
                return None
            topic = decode_topic(frames[0])
            if topic not in self._lanes and len(self._lanes) >= MAX_TOPICS:
                self.counts.add("beyond")
                return None
            header = _checked(frames)
        except WireError as error:
            self.counts.add("malformed")
            self.last_failure = f"{self.endpoint}: {error}"
            return None
        lane = self._lanes.get(topic)
        if lane is None:
            lane = self._lanes[topic] = Lane(topic, frames[0].bytes)
        lost = lane.lost(header.epoch, header.sequence, kept=header.kept)
        if lost < 0:
            self.counts.add("repeated")
            return None
        self.counts.add("taken")
        if lost:
            self.counts.add("lost", lost)
        return Tapped(topic, header, frames, now_ns, lost)

    def _wants(self, topic: bytes) -> bool:
        if topic == HEARTBEAT and self._heartbeats:
            return True
        return topic in self._wanted if self._wanted else not topic.startswith(RESERVED)


def _checked(frames: list[zmq.Frame]) -> Header:
    """Return the header of a message that is whole, whatever its schema: newer ones are taken too.

    Raises:
        WireError: If it is not.
    """
    if not 2 <= len(frames) <= MAX_FRAMES:
        raise WireError(f"expected 2 to {MAX_FRAMES} frames, got {len(frames)}")
    header = unpack(frames[1], len(frames) - 2)
    if header.place is not None:
        raise WireError("header: expected arrays as frames under a plain topic, got a place in shared memory")
    if not isinstance(header.schema, str) or not 0 < len(header.schema) <= _SCHEMA:
        raise WireError(f"header: expected 'schema' as text of 1 to {_SCHEMA} characters")
    for (dtype, shape), frame in zip(header.forms, frames[2:], strict=True):
        decode_array(dtype, shape, frame.buffer)
    return header
