# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a `Publisher`, or to anything else that sends the frames of docs/stream_protocol.md."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import zmq

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.doubt import Doubt
from lowlat_nodes.stream.endpoint import Deliver
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.peer import Peer
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.shm.backend import AnyReader
from lowlat_nodes.transport.shm.errors import Overwritten, SegmentGone, SegmentRefused, Unfinished
from lowlat_nodes.transport.shm.host import host_token
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.endpoint import check_endpoint, is_local
from lowlat_nodes.transport.zmq.frames import MAX_FRAMES, MAX_TOPIC, Received, decode
from lowlat_nodes.transport.zmq.joining import TURN_MS, join
from lowlat_nodes.transport.zmq.lane import Lane
from lowlat_nodes.transport.zmq.link import WATCHED, Link
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES, receive
from lowlat_nodes.transport.zmq.subscriptions import HEARTBEAT, RESERVED, WELCOME, alias

_NO_ANSWER = "nothing comes from it, nor does it answer: it was cut off, stopped or lost its power"


@dataclass(slots=True)
class _Connection:
    """A socket, its monitor, one for heartbeats alone, and whether it subscribes by shared memory."""

    socket: zmq.Socket[bytes]
    monitor: zmq.Socket[bytes]
    pulse: zmq.Socket[bytes] | None
    sharing: bool = False

    def close(self) -> None:
        for socket in (self.monitor, self.socket, self.pulse):
            if socket is not None:
                socket.close(linger=0)


class Subscriber:
    """A SUB socket as a source: a thread takes messages as they come, so that old ones never wait in it.

    Over TCP heartbeats have a connection of their own, where they need not wait behind a message that takes
    long. Where neither a message nor the next heartbeat comes, both are made anew: a network that was cut
    looks like that.

    What waits for a slower consumer is up to the mailbox that it delivers into. From a publisher on this host
    that offers it, large arrays are taken out of shared memory, and stay where they are until the last view
    of them is gone.

    Args:
        endpoint: Address of the publisher; it need not be there yet, and may come back.
        inputs: The topic on the wire by the topic of the delivered messages, a processor's input names.
        clock: Stamps the receipt; the clock of the publisher's stamps.
        keys: Keys of CURVE; None for a connection in the clear.
        max_bytes: Largest frame; a larger one breaks the connection.
        waiting: How many messages wait in the socket while `deliver` takes its time.
        admit: Asked of each message that is neither lost, repeated nor expired, in the thread that delivers,
            with the bridges that it has passed; false keeps it from being delivered, uncounted. None admits
            all.
        shared_memory: Whether to take arrays out of shared memory where that can be done. It keeps a few
            messages only, however many may wait: who needs each of them does without.

    Attributes:
        received: How many messages of the topics came, malformed ones included.
        drops: What was not delivered: `malformed`; `lost` on the way, as sequence numbers tell; `expired`,
            older than its publisher finds useful; and what was gone from shared memory (`overwritten`).
        last_failure: Why the newest malformed message was refused, or what keeps the link from standing.
        link: Whether the connection stands.
        in_place: How many messages were taken out of shared memory.
        endpoint: Address of the publisher.
        peer: The publisher since `start`: whether it is there, and what the heartbeats of its loops say.
        heard_ns: CLOCK_MONOTONIC time at which anything new was heard from the publisher, 0 before.

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
        admit: Callable[[Received], bool] | None = None,
        shared_memory: bool = True,
    ) -> None:
        self.received = 0
        self.drops = Counters()
        self.last_failure = ""
        self.in_place = 0
        self.heard_ns = 0
        self.link = Link(check_endpoint(endpoint), keys)
        self.peer = Peer(time.monotonic_ns())
        self.endpoint = check_endpoint(endpoint)
        self._lanes = [Lane(name, topic.encode()) for name, topic in inputs.items()]
        topics = {lane.topic for lane in self._lanes}
        if len(topics) < len(inputs) or not all(
            0 < len(topic) <= MAX_TOPIC and not topic.startswith(RESERVED) for topic in topics
        ):
            raise ConfigurationError(
                f"expected a different topic of 1 to {MAX_TOPIC} bytes, not beginning with "
                f"{RESERVED.decode()}, for each input, got {dict(inputs)}"
            )
        self._clock = clock
        self._keys = keys
        self._max_bytes = max_bytes
        self._waiting = waiting
        self._admit = admit
        self._token = host_token() if shared_memory and is_local(endpoint) else ""
        self._by_topic: dict[bytes, Lane] = {}
        for lane in self._lanes:
            self._by_topic[lane.topic] = lane
            if self._token:
                self._by_topic[alias(self._token, lane.topic)] = lane
        self._memory = AnyReader()
        self._anew = False
        self._doubt = Doubt()
        self._cuttable = endpoint.startswith("tcp://")
        self._context: zmq.Context[zmq.Socket[bytes]] | None = None
        self._thread: threading.Thread | None = None

    def start(self, deliver: Deliver) -> None:
        """Connect and deliver from a thread.

        Raises:
            ConfigurationError: If the endpoint cannot be connected to, such as a host that has no address.
        """
        for lane in self._lanes:
            lane.forget()  # what came in the meantime is not lost on the way
        self.peer = Peer(time.monotonic_ns())
        self._context = zmq.Context()
        try:
            connection = self._connect(self._context)
        except zmq.ZMQError as error:
            self.stop()
            raise ConfigurationError(f"cannot connect to {self.endpoint!r}: {error}") from error
        self._thread = threading.Thread(
            target=self._run, args=(self._context, connection, deliver), name="subscriber", daemon=True
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

    def reconnect(self) -> None:
        """Have the connection made anew, from any thread: one that was cut may look alive for minutes."""
        self._anew = True

    def _connect(self, context: zmq.Context[zmq.Socket[bytes]]) -> _Connection:
        socket = context.socket(zmq.SUB)
        pulse = context.socket(zmq.SUB) if self._cuttable else None
        connection = _Connection(socket, socket.get_monitor_socket(WATCHED), pulse)
        try:
            (pulse or socket).subscribe(HEARTBEAT)
            socket.subscribe(WELCOME)
            for lane in self._lanes:
                socket.subscribe(lane.topic)
            for each in (socket, pulse):
                if each is not None:
                    join(each, self.endpoint, self._keys, waiting=self._waiting, max_bytes=self._max_bytes)
        except zmq.ZMQError:
            connection.close()
            raise
        return connection

    def _run(
        self, context: zmq.Context[zmq.Socket[bytes]], connection: _Connection, deliver: Deliver
    ) -> None:
        try:
            while True:
                self._drain(connection, deliver)
                self._anew = False
                self.peer.link_down(time.monotonic_ns(), self.link.trouble or _NO_ANSWER, doubted=True)
                self.link.lost()
                connection.close()
                connection = self._connect(context)
        except zmq.ContextTerminated:
            pass
        finally:
            self.link.lost()
            connection.close()

    def _drain(self, connection: _Connection, deliver: Deliver) -> None:
        """Deliver what comes until the connection is to be made anew."""
        look_ns = 0
        while not self._anew:
            # To wait here, and not for the monitor too, spares each message what it takes to poll both.
            frames = receive(connection.socket, MAX_FRAMES, wait=True)
            if frames is not None:
                message = self._read(connection, frames)
                if message is not None:
                    deliver(message)
                    del message  # or its memory would be in use until the next one comes
            if frames is None or self.heard_ns > look_ns or not self.link.stands:
                look_ns = time.monotonic_ns() + TURN_MS * 1_000_000
                self._listen(connection)
                self._follow(connection)
                if self.link.due:
                    self.link.renewed()
                    return
                if self._doubtful():
                    return

    def _doubtful(self) -> bool:
        """Return whether the connection looks as if it stood, and may have been cut."""
        return self._cuttable and self._doubt.due(
            time.monotonic_ns(),
            heard_ns=self.heard_ns,
            stands_ns=self.link.since_ns if self.link.stands else 0,
            patience_ns=self.peer.patience_ns(),
        )

    def _listen(self, connection: _Connection) -> None:
        """Take the heartbeats that have a connection of their own."""
        if connection.pulse is not None:
            while (frames := receive(connection.pulse, MAX_FRAMES)) is not None:
                self._hear(connection, frames)

    def _follow(self, connection: _Connection) -> None:
        """Take note of what happened to the connection."""
        while (event := receive(connection.monitor, MAX_FRAMES)) is not None:
            self._listen(connection)  # who ends says so, and hangs up then
            self.link.note([frame.bytes for frame in event])
            if self.link.trouble:
                self.last_failure = f"{self.endpoint}: {self.link.trouble}"
            if self.link.stands:
                self.peer.link_up(self.link.since_ns)
            else:
                self.peer.link_down(self.link.since_ns, self.link.trouble)
                self._take_inline(connection)  # who comes next may have no shared memory
                self._memory.sweep()  # and that of who left is of no use

    def _read(self, connection: _Connection, frames: Sequence[zmq.Frame]) -> Message | None:
        now_ns = self._clock.now_ns()
        lane = self._by_topic.get(frames[0].bytes)
        if lane is None:
            self._hear(connection, frames)
            return None
        try:
            received = decode(frames, attach=self._lease, topic=lane.name)
        except WireError as error:
            self.received += 1
            self.drops.add("malformed")
            self.last_failure = f"{self.endpoint}: {error}"
            return None
        except (Overwritten, Unfinished, SegmentGone):
            self.received += 1
            self.drops.add("overwritten")
            lane.skip()
            return None
        except SegmentRefused as error:
            self.last_failure = f"{self.endpoint}: {error}"
            self._token = ""
            self._take_inline(connection)
            return None
        message = received.message
        missing = lane.lost(received.epoch, message.sequence, kept=received.kept)
        if missing < 0:
            return None  # a latched message, or one in two forms
        self.heard_ns = time.monotonic_ns()
        if missing:
            self.drops.add("lost", missing)
        self.received += 1
        trace = message.trace
        if received.budget_ns and now_ns - trace.published_ns > received.budget_ns:
            self.drops.add("expired")
            return None
        if self._admit is not None and not self._admit(received):
            return None
        message.trace = Trace(trace.capture_ns, now_ns)
        return message

    def _lease(self, place: Place, sizes: Sequence[int]) -> Sequence[memoryview]:
        views = self._memory.lease(place, sizes)
        self.in_place += 1
        return views

    def _hear(self, connection: _Connection, frames: Sequence[zmq.Frame]) -> None:
        """Read what publishers say of themselves; other topics only begin like ours."""
        topic = frames[0].bytes
        if topic == HEARTBEAT:
            try:
                payload = decode(frames).message.payload
            except WireError as error:
                self.drops.add("malformed")
                self.last_failure = f"{self.endpoint}: heartbeat: {error}"
                return
            if isinstance(payload, Heartbeat):
                now_ns = time.monotonic_ns()
                self.peer.hear(payload, now_ns)
                if not payload.age_ns:
                    self.heard_ns = now_ns
        elif topic.startswith(WELCOME):
            self._follow(connection)  # that the one before broke must be known first
            if self._token.encode() == topic[len(WELCOME) :]:
                self._take_shared(connection)

    def _take_shared(self, connection: _Connection) -> None:
        if self._token and not connection.sharing:
            connection.sharing = True
            for lane in self._lanes:  # in this order, nothing is missed in between
                connection.socket.subscribe(alias(self._token, lane.topic))
                connection.socket.unsubscribe(lane.topic)

    def _take_inline(self, connection: _Connection) -> None:
        if connection.sharing:
            connection.sharing = False
            for lane in self._lanes:
                connection.socket.subscribe(lane.topic)
                connection.socket.unsubscribe(alias(host_token(), lane.topic))
