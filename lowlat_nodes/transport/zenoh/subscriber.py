# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscribes to a `ZenohPublisher`, or to anything else that sends what docs/zenoh.md says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import Deliver
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.peer import Peer
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.bag.errors import BagError
from lowlat_nodes.transport.bag.framing import unpack
from lowlat_nodes.transport.zenoh.keys import ALIVE, HEARTBEAT, SCHEME, check_key
from lowlat_nodes.transport.zmq.frames import Received, decode
from lowlat_nodes.transport.zmq.lane import Lane

if TYPE_CHECKING:
    import zenoh

_ANSWER_S = 5.0


class Presence:
    """Whether a publisher is there, as its liveliness token tells.

    Attributes:
        stands: Whether it is.
        broken: How many times it went.
        trouble: What is known while it is not.
    """

    def __init__(self) -> None:
        self.stands = False
        self.broken = 0
        self.trouble = "no publisher with this prefix was seen"

    def note(self, *, stands: bool) -> None:
        """Take note that it came or went."""
        if self.stands and not stands:
            self.broken += 1
            self.trouble = "it ended, or there is no way to it any more"
        self.stands = stands


class ZenohSubscriber:
    """A source of the messages of one publisher, which need not be there yet and may come back.

    Messages are read and delivered in a thread of Zenoh: while `deliver` takes its time, everything that the
    session hears waits, and beyond some messages the publishers drop. What waits for a slower consumer is up
    to the mailbox that it delivers into.

    Args:
        session: Of `open_session`; stays open.
        prefix: Of the publisher.
        inputs: The topic on the wire by the topic of the delivered messages, a processor's input names.
        clock: Stamps the receipt; the clock of the publisher's stamps.
        admit: Asked of each message that is neither lost, repeated nor expired, with the bridges that it has
            passed; false keeps it from being delivered, uncounted. None admits all.

    Attributes:
        received: How many messages of the topics came, malformed ones included.
        drops: What was not delivered: `malformed`; `lost` on the way, as sequence numbers tell; `expired`.
        last_failure: Why the newest malformed message was refused.
        link: Whether the publisher is there.
        peer: The same, and what the heartbeats of its loops say.
        in_place: 0; there is no shared memory here.

    Raises:
        ConfigurationError: If the prefix or a topic cannot be a key expression, or two inputs have one topic.
    """

    def __init__(
        self,
        session: zenoh.Session,
        prefix: str,
        inputs: Mapping[str, str],
        *,
        clock: Clock,
        admit: Callable[[Received], bool] | None = None,
    ) -> None:
        self.received = 0
        self.drops = Counters()
        self.last_failure = ""
        self.link = Presence()
        self.peer = Peer(time.monotonic_ns())
        self.in_place = 0
        self._session = session
        self._endpoint = f"{SCHEME}{check_key(prefix)}"
        self._prefix = prefix
        self._lanes = {
            f"{prefix}/{check_key(topic)}": Lane(name, topic.encode()) for name, topic in inputs.items()
        }
        if len(self._lanes) < len(inputs):
            raise ConfigurationError(f"expected a different topic for each input, got {dict(inputs)}")
        self._clock = clock
        self._admit = admit
        self._deliver: Deliver | None = None
        self._declared: list[Any] = []
        # Held while a message is delivered, so that `stop` can wait for that.
        self._lock = threading.RLock()

    def start(self, deliver: Deliver) -> None:
        """Subscribe and deliver from threads of Zenoh."""
        import zenoh

        def directly(hear: Callable[[zenoh.Sample], None]) -> Any:
            # Zenoh's own queue before a callback holds hundreds of messages, oldest first.
            return zenoh.handlers.Callback(hear, indirect=False)

        for lane in self._lanes.values():
            lane.forget()
        self.link, self.peer = Presence(), Peer(time.monotonic_ns())
        self._deliver = deliver
        declare = self._session.declare_subscriber
        self._declared = [declare(key, directly(self._hear)) for key in self._lanes]
        self._declared.append(declare(f"{self._prefix}/{HEARTBEAT}", directly(self._hear_heart)))
        self._declared.append(
            self._session.liveliness().declare_subscriber(
                f"{self._prefix}/{ALIVE}", self._hear_token, history=True
            )
        )

    def stop(self) -> None:
        """Unsubscribe; nothing is delivered any more once this returns."""
        with self._lock:
            self._deliver = None
        declared, self._declared = self._declared, []
        for each in declared:
            each.undeclare()
        self.link.note(stands=False)
        self.peer.link_down(time.monotonic_ns(), self.link.trouble)

    def _hear_token(self, sample: zenoh.Sample) -> None:
        import zenoh

        stands = sample.kind == zenoh.SampleKind.PUT
        self.link.note(stands=stands)
        if not stands:
            self.peer.link_down(time.monotonic_ns(), self.link.trouble)
            return
        self.peer.link_up(time.monotonic_ns())
        for key in self._lanes:
            self._ask(key, self._hear)
        self._ask(f"{self._prefix}/{HEARTBEAT}", self._hear_heart)

    def _ask(self, key: str, hear: Callable[[zenoh.Sample], None]) -> None:
        """Have a newcomer's share of a key: what is latched, or the last heartbeats."""
        import zenoh

        def take(reply: zenoh.Reply) -> None:
            if reply.ok is not None:
                hear(reply.ok)

        # Otherwise only one of the answers would come.
        each = zenoh.ConsolidationMode.NONE
        self._session.get(key, take, consolidation=each, timeout=_ANSWER_S)

    def _hear(self, sample: zenoh.Sample) -> None:
        now_ns = self._clock.now_ns()
        with self._lock:
            if self._deliver is None:
                return
            lane = self._lanes.get(str(sample.key_expr))
            if lane is None:
                return
            self.received += 1
            received = self._read(lane.topic, sample)
            if received is None:
                return
            message = received.message
            missing = lane.lost(received.epoch, message.sequence, kept=received.kept)
            if missing < 0:
                self.received -= 1
                return  # one that was kept, and had come already
            if missing:
                self.drops.add("lost", missing)
            trace = message.trace
            if received.budget_ns and now_ns - trace.published_ns > received.budget_ns:
                self.drops.add("expired")
                return
            message.topic = lane.name
            if self._admit is not None and not self._admit(received):
                return
            message.trace = Trace(trace.capture_ns, now_ns)
            self._deliver(message)

    def _hear_heart(self, sample: zenoh.Sample) -> None:
        with self._lock:
            received = self._read(HEARTBEAT.encode(), sample)
        if received is not None and isinstance(received.message.payload, Heartbeat):
            self.peer.hear(received.message.payload, time.monotonic_ns())

    def _read(self, topic: bytes, sample: zenoh.Sample) -> Received | None:
        try:
            return decode([topic, *unpack(sample.payload.to_bytes())])
        except (BagError, WireError) as error:
            self.drops.add("malformed")
            self.last_failure = f"{self._endpoint}: {error}"
            return None
