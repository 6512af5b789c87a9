# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes messages to whoever subscribes, in the frames of docs/stream_protocol.md."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import zmq
from numpy.typing import DTypeLike

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.shm.backend import SharedWriter, open_writer
from lowlat_nodes.transport.shm.host import host_token
from lowlat_nodes.transport.shm.loan import Loan
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.connections import connection_of, hang_up
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.frames import Content, encode_header, inline, take_apart
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.options import (
    MAX_SUBSCRIPTION,
    WAITING_MESSAGES,
    bound_subscriptions,
    probe,
)
from lowlat_nodes.transport.zmq.refusals import RefusalLog
from lowlat_nodes.transport.zmq.subscriptions import (
    HEARTBEAT,
    WELCOME,
    Demand,
    Subscriptions,
    alias,
    asks_for_heartbeats,
)

_LINGER_MS = 200  # for the last messages

# Plain numbers: to combine flags takes as long as to send.
_LAST = int(zmq.NOBLOCK)
_MORE = int(zmq.NOBLOCK | zmq.SNDMORE)
_EVENTS, _READABLE = int(zmq.EVENTS), int(zmq.POLLIN)

_LOOPS = 16  # whose last heartbeat is kept
_ORIGINS = 1000  # of a latched topic

SHARED_FROM = 1 << 16
"""Bytes of a payload from which shared memory is faster than frames."""


@dataclass(slots=True)
class _Topic:
    """One topic on the wire.

    Attributes:
        name: As in the frames.
        alias: The topic that stands for it by shared memory.
        latched: Whether newcomers get its last message.
        published: How many messages it had.
        slots: Its shared memory, once it was wanted.
        last: Its last message of each origin, where it is latched; the newest at the end.
    """

    name: bytes
    alias: bytes
    latched: bool
    published: int = 0
    slots: SharedWriter | None = None
    last: dict[bytes, _Sent] = field(default_factory=dict)


@dataclass(slots=True)
class _Sent:
    """A message as it was published, and where it lies if it is in shared memory."""

    message: Message
    content: Content
    sequence: int
    budget_ns: int
    via: Sequence[str]
    place: Place | None


class Publisher:
    """An XPUB socket as a sink. It never waits: what a subscriber does not take, it alone loses.

    Subscribers see by the sequence numbers, which count the messages of a topic, what they have lost. The
    arrays of large messages go through shared memory to subscribers on this host that ask for that. What
    nobody wants is not even encoded. `write`, `loan` and `beat` may be called from any thread.

    Args:
        endpoint: Where to listen: `tcp://HOST:PORT` (port 0 takes a free one) or `ipc:///PATH`.
        outputs: The topic on the wire by the topic of the messages, a processor's output names.
        keys: Keys of CURVE and the subscribers that may come in; None publishes in the clear, on this machine
            only.
        waiting: How many messages wait for each subscriber, beside what is on its way; more where results
            come in bursts and each of them counts.
        latched: Topics on the wire whose last message a newcomer gets at once, as with transient-local topics
            of ROS.
        slots: How many messages of a topic shared memory holds: two for each subscriber and two more. Who
            falls further behind loses the oldest of them.
        memory: What shared memory is made with: `auto`, `slots` or `iceoryx2`; see `transport.shm.backend`.

    Attributes:
        endpoint: Where it listens.
        counts: Messages that shared memory had no room for and that went as frames (`inline`), and
            subscribers that did not get in; see `Gate` for those.

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
        latched: Collection[str] = (),
        slots: int = 8,
        memory: str = "auto",
    ) -> None:
        self.counts = Counters()
        token = host_token()
        self._epoch = time.time_ns()
        open_writer(memory, slots=slots).close()  # what is wrong is told now, not with the first message
        self._slots, self._backend = slots, memory
        topics = {
            topic: _Topic(topic.encode(), alias(token, topic.encode()), topic in latched)
            for topic in outputs.values()
        }
        self._outputs = {output: topics[topic] for output, topic in outputs.items()}
        self._by_name = {topic.name: topic for topic in topics.values()}
        self._subscriptions = Subscriptions(list(self._by_name), token)
        self._log = RefusalLog()
        self._beats = 0
        self._last_beats: dict[str, tuple[Heartbeat, int]] = {}
        # The socket is used by one thread at a time, whichever holds the lock.
        self._lock = threading.Lock()
        self._socket = socket = zmq.Context().socket(zmq.XPUB)
        socket.setsockopt(zmq.XPUB_VERBOSE, 1)
        socket.setsockopt(zmq.XPUB_WELCOME_MSG, WELCOME + token.encode())
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.SNDHWM, waiting)
        bound_subscriptions(socket)
        probe(socket)
        self._attendant: threading.Thread | None = None
        self._closing = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            self.endpoint = listen(
                socket, endpoint, keys=keys, counts=self.counts, max_bytes=MAX_SUBSCRIPTION
            )
        except BaseException:
            self.close()
            raise
        self._log.where = self.endpoint
        self._attendant = threading.Thread(target=self._attend, name="publisher", daemon=True)
        self._attendant.start()

    def wanted(self, output: str) -> bool:
        """Return whether anybody subscribes to an output."""
        with self._lock:
            return bool(self._subscriptions.demand(self._outputs[output].name))

    def latch(self, output: str) -> None:
        """Have newcomers get the last messages of an output that are written from now on."""
        self._outputs[output].latched = True

    def forget(self, output: str, origin: bytes) -> None:
        """Give newcomers nothing any more of what somebody wrote who has gone."""
        with self._lock:
            self._outputs[output].last.pop(origin, None)

    def loan(self, output: str, shape: Sequence[int], dtype: DTypeLike) -> Loan | None:
        """Lend memory that subscribers on this host read in place, for a camera or decoder to write into.

        `write` a message whose payload holds `Loan.array`, as it is, and it is not copied any more. A loan
        that is not written is given back at the end of its `with` block.

        Returns:
            The loan; None where nobody would read it in place, or no room is free.
        """
        topic = self._outputs[output]
        with self._lock:
            if not self._subscriptions.demand(topic.name).shared:
                return None
            return self._memory(topic).loan(tuple(shape), dtype)

    def write(
        self, message: Message, *, budget_ns: int = 0, via: Sequence[str] = (), origin: bytes = b""
    ) -> None:
        """Publish a message to those who subscribe to its topic now.

        Args:
            message: Its payload is read until the next message of a latched topic, and must not change.
            budget_ns: How long from `published` on the message is of use; 0: for ever.
            via: The bridges that passed it on.
            origin: Whom it is from, where a latched topic has several writers: newcomers get the last message
                of each.

        Raises:
            UnknownOutput: If no output has the message's topic.
            WireError: If the payload has no form on the wire.
        """
        topic = self._outputs.get(message.topic)
        if topic is None:
            raise UnknownOutput(message.topic, self._outputs)
        with self._lock:
            demand = self._subscriptions.demand(topic.name)
            if demand or topic.latched:
                content = take_apart(message.payload)
                sent = _Sent(message, content, topic.published, budget_ns, via, _lent(topic, content))
                self._send(topic, sent, demand)
                if topic.latched:
                    self._keep(topic, origin, sent)
            topic.published += 1
            self._hear()  # sending may have taken the signal that the attendant waits for

    def beat(self, heartbeat: Heartbeat) -> None:
        """Tell whoever listens that the processing loop turns; to be called from within that loop."""
        with self._lock:
            self._last_beats.pop(heartbeat.name, None)
            self._last_beats[heartbeat.name] = heartbeat, time.monotonic_ns()
            if len(self._last_beats) > _LOOPS:
                self._last_beats.pop(next(iter(self._last_beats)))
            if self._subscriptions.heartbeats():
                self._send_beat(heartbeat)
                self._hear()

    def close(self) -> None:
        """Send what waits to be sent, for 200 ms at most, and let go of the address."""
        if self._closing < 0:
            return
        os.eventfd_write(self._closing, 1)
        if self._attendant is not None:
            self._attendant.join()
        os.close(self._closing)
        self._closing = -1
        stop_listening(self._socket)
        for topic in self._by_name.values():
            if topic.slots is not None:
                topic.slots.close()

    def _send(self, topic: _Topic, sent: _Sent, demand: Demand, *, kept: bool = False) -> None:
        content = sent.content
        if demand.shared:
            if sent.place is not None:
                self._put(topic.alias, self._header(sent, kept, sent.place))
            elif content.nbytes < SHARED_FROM or not self._share(topic, sent, kept):
                self._put(topic.alias, self._header(sent, kept), *inline(content))
        if demand.inline:
            self._put(topic.name, self._header(sent, kept), *inline(content))

    def _share(self, topic: _Topic, sent: _Sent, kept: bool) -> bool:
        """Put a message into shared memory, and tell subscribers while it is on its way there."""

        def announce(place: Place) -> None:
            self._put(topic.alias, self._header(sent, kept, place))

        memory = self._memory(topic)
        if topic.latched and not memory.retains:
            return False
        sent.place = memory.put(sent.content.arrays, announce)
        if sent.place is None:
            self.counts.add("inline")
        return sent.place is not None

    def _send_beat(self, heartbeat: Heartbeat) -> None:
        message = Message("", heartbeat)
        message.trace.published_ns = time.time_ns()
        header = encode_header(message, take_apart(heartbeat), self._beats, epoch=self._epoch)
        self._beats += 1
        self._put(HEARTBEAT, header)

    def _header(self, sent: _Sent, kept: bool, place: Place | None = None) -> bytes:
        return encode_header(
            sent.message,
            sent.content,
            sent.sequence,
            epoch=self._epoch,
            budget_ns=sent.budget_ns,
            via=sent.via,
            kept=kept,
            place=place,
        )

    def _put(self, *frames: bytes | memoryview) -> None:
        send = self._socket.send
        for frame in frames[:-1]:
            send(frame, _MORE)
        send(frames[-1], _LAST)

    def _keep(self, topic: _Topic, origin: bytes, sent: _Sent) -> None:
        """Keep a message of a latched topic for newcomers; only the newest stays in shared memory."""
        topic.last.pop(origin, None)
        for former in topic.last.values():
            former.place = None
        topic.last[origin] = sent
        if len(topic.last) > _ORIGINS:
            del topic.last[next(iter(topic.last))]
        if topic.slots is not None:
            topic.slots.retain(sent.place)

    def _memory(self, topic: _Topic) -> SharedWriter:
        if topic.slots is None:
            topic.slots = open_writer(self._backend, slots=self._slots, name_hint=topic.name.decode())
        return topic.slots

    def _hear(self) -> None:
        """Take note of subscriptions, and give newcomers the last message of latched topics.

        They get the last heartbeats with their age, too: of a loop that hangs, no other ones will come.
        """
        while int(self._socket.getsockopt(_EVENTS)) & _READABLE:
            frame = self._socket.recv(copy=False)
            event = frame.bytes
            if asks_for_heartbeats(event):
                now_ns = time.monotonic_ns()
                for heartbeat, beat_ns in self._last_beats.values():
                    self._send_beat(replace(heartbeat, age_ns=max(1, now_ns - beat_ns)))
            for name, demand in self._subscriptions.take(event, connection_of(frame)).items():
                topic = self._by_name[name]
                for origin, sent in list(topic.last.items()):
                    self._send(topic, sent, demand, kept=True)
                    self._keep(topic, origin, sent)

            crowd = self._subscriptions.crowd()
            if crowd is not None and (address := hang_up(crowd, self.endpoint)):
                self.counts.add("connections_cut")
                self._log.server(address, "crowd", "it subscribes to too much that is not published")

    def _attend(self) -> None:
        poll = select.poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        poll.register(self._closing, select.POLLIN)
        while self._closing not in (ready := dict(poll.poll())):
            if ready:
                with self._lock, contextlib.suppress(zmq.ZMQError):
                    self._hear()


def _lent(topic: _Topic, content: Content) -> Place | None:
    """Return the place of a payload that was written into memory on loan."""
    if topic.slots is None or len(content.arrays) != 1:
        return None
    loan = topic.slots.place_of(content.arrays[0])
    return None if loan is None else topic.slots.commit(loan)
