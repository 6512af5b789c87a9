# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Publishes over Zenoh what `transport.zmq.publisher` publishes over ZeroMQ."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.bag.framing import pack
from lowlat_nodes.transport.zenoh.keys import ALIVE, HEARTBEAT, SCHEME, check_key
from lowlat_nodes.transport.zmq.frames import encode_header, inline, take_apart

if TYPE_CHECKING:
    import zenoh

_LOOPS = 16  # whose last heartbeat is kept
_ORIGINS = 64  # whose last message of a latched topic is kept


@dataclass(slots=True)
class _Topic:
    """One topic on the wire.

    Attributes:
        key: Its key expression.
        publisher: Sends what is published.
        latched: Answers newcomers; None where they get nothing.
        published: How many messages it had.
        last: The last message of each origin, packed for newcomers, where it is latched.
    """

    key: str
    publisher: Any
    latched: Any = None
    published: int = 0
    last: dict[bytes, bytes] = field(default_factory=dict)


class ZenohPublisher:
    """A sink whose messages go to all who subscribe to its prefix, directly or over routers.

    It never waits: where a link is slower, messages are dropped, and subscribers see by the sequence numbers
    what they have lost. What nobody subscribes to is not encoded. Methods may be called from any thread.

    Args:
        session: Of `open_session`; stays open.
        prefix: Stands for this publisher; `PREFIX/TOPIC` is the key expression of a topic.
        outputs: The topic on the wire by the topic of the messages, a processor's output names.
        latched: Topics on the wire whose last message a newcomer gets at once.

    Attributes:
        endpoint: `zenoh://PREFIX`.
        counts: What did not go out, by reason; nothing that is known here.

    Raises:
        ConfigurationError: If the prefix or a topic cannot be a key expression.
    """

    def __init__(
        self,
        session: zenoh.Session,
        prefix: str,
        outputs: Mapping[str, str],
        *,
        latched: Collection[str] = (),
    ) -> None:
        import zenoh

        self.counts = Counters()
        self.endpoint = f"{SCHEME}{check_key(prefix)}"
        self._session = session
        self._epoch = time.time_ns()
        self._beats = 0
        self._last_beats: dict[str, tuple[Heartbeat, int]] = {}
        self._lock = threading.RLock()  # a subscriber of the same session hears within `put`
        self._closed = False
        keys = {topic: f"{prefix}/{check_key(topic)}" for topic in outputs.values()}

        def declare(key: str) -> Any:  # the stubs of Zenoh are behind it
            return session.declare_publisher(
                key, congestion_control=zenoh.CongestionControl.DROP, express=True
            )

        topics = {topic: _Topic(key, declare(key)) for topic, key in keys.items()}
        self._outputs = {output: topics[topic] for output, topic in outputs.items()}
        heartbeat = f"{prefix}/{HEARTBEAT}"
        self._heart = declare(heartbeat)
        self._repeats: Any = session.declare_queryable(heartbeat, self._repeat)
        for topic in latched:
            self._latch(topics[topic])
        # Last, because whoever sees it asks at once for what is latched.
        self._token: Any = session.liveliness().declare_token(f"{prefix}/{ALIVE}")

    def wanted(self, output: str) -> bool:
        """Return whether anybody subscribes to an output."""
        return bool(self._outputs[output].publisher.matching_status.matching)

    def latch(self, output: str) -> None:
        """Have newcomers get the last messages of an output that are written from now on."""
        self._latch(self._outputs[output])

    def forget(self, output: str, origin: bytes) -> None:
        """Give newcomers nothing any more of what somebody wrote who has gone."""
        with self._lock:
            self._outputs[output].last.pop(origin, None)

    def write(
        self, message: Message, *, budget_ns: int = 0, via: Sequence[str] = (), origin: bytes = b""
    ) -> None:
        """Publish a message; see `Publisher.write` of ZeroMQ for the arguments.

        Raises:
            UnknownOutput: If no output has the message's topic.
            WireError: If the payload has no form on the wire.
        """
        topic = self._outputs.get(message.topic)
        if topic is None:
            raise UnknownOutput(message.topic, self._outputs)
        with self._lock:
            sequence, topic.published = topic.published, topic.published + 1
            wanted = topic.publisher.matching_status.matching
            if not (wanted or topic.latched):
                return
            content = take_apart(message.payload)

            def packed(*, kept: bool) -> bytes:
                header = encode_header(
                    message, content, sequence, epoch=self._epoch, budget_ns=budget_ns, via=via, kept=kept
                )
                return pack([header, *inline(content)])

            if topic.latched:
                topic.last.pop(origin, None)
                topic.last[origin] = packed(kept=True)
                if len(topic.last) > _ORIGINS:
                    del topic.last[next(iter(topic.last))]
            if wanted:
                topic.publisher.put(packed(kept=False))

    def beat(self, heartbeat: Heartbeat) -> None:
        """Tell whoever listens that the processing loop turns; to be called from within that loop."""
        with self._lock:
            self._last_beats.pop(heartbeat.name, None)
            self._last_beats[heartbeat.name] = heartbeat, time.monotonic_ns()
            if len(self._last_beats) > _LOOPS:
                del self._last_beats[next(iter(self._last_beats))]
            if self._heart.matching_status.matching:
                self._heart.put(self._encoded(heartbeat))

    def close(self) -> None:
        """Withdraw everything; the session stays open."""
        if self._closed:
            return
        self._closed = True
        self._token.undeclare()
        self._repeats.undeclare()
        self._heart.undeclare()
        for topic in {id(topic): topic for topic in self._outputs.values()}.values():
            topic.publisher.undeclare()
            if topic.latched is not None:
                topic.latched.undeclare()

    def _latch(self, topic: _Topic) -> None:
        if topic.latched is None:

            def answer(query: zenoh.Query) -> None:
                with self._lock:
                    kept = list(topic.last.values())
                for each in kept:
                    query.reply(topic.key, each)

            topic.latched = self._session.declare_queryable(topic.key, answer)

    def _repeat(self, query: zenoh.Query) -> None:
        """Tell a newcomer the last heartbeats with their age: of a loop that hangs, no other ones come."""
        now_ns = time.monotonic_ns()
        with self._lock:
            repeated = [
                self._encoded(replace(heartbeat, age_ns=max(1, now_ns - beat_ns)))
                for heartbeat, beat_ns in self._last_beats.values()
            ]
        for each in repeated:
            query.reply(query.key_expr, each)

    def _encoded(self, heartbeat: Heartbeat) -> bytes:
        message = Message("", heartbeat)
        message.trace.published_ns = time.time_ns()
        self._beats += 1
        return pack([encode_header(message, take_apart(heartbeat), self._beats, epoch=self._epoch)])
