# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A ZeroMQ publisher as a place to play a bag to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.bag import Recorded, Topic
from lowlat_nodes.transport.bag.framing import unpack
from lowlat_nodes.transport.zmq.frames import encode_topic
from lowlat_nodes.transport.zmq.replayer import Replayer
from lowlat_nodes.transport.zmq.subscriptions import RESERVED

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag.player import Schedule

_PATIENCE_S = 5.0


class ZmqOutlet:
    """Publishes topics that were recorded from ZeroMQ.

    At full speed it waits for subscribers that do not keep up; once one did not move for long, no more.

    Args:
        replayer: Publishes; the caller closes it.
        topics: Those of the bag that go there; None for all.
        published_now: Whether stamps move so that messages were published when they are played.
    """

    def __init__(
        self, replayer: Replayer, topics: Collection[Topic] | None = None, *, published_now: bool = False
    ) -> None:
        self._replayer = replayer
        self._topics = topics
        self._published_now = published_now
        self._patience_s = _PATIENCE_S

    def takes(self, topic: Topic) -> bool:
        """Return whether a topic goes there."""
        return topic.framed and (self._topics is None or topic in self._topics)

    def lane(self, topic: Topic, name: str, *, full_speed: bool) -> ZmqLane | str:
        """Return the way out of a topic, or why there is none."""
        if name.encode().startswith(RESERVED):
            return f"cannot be published: expected a topic that is not the protocol's own, got {name!r}"
        try:
            encode_topic(name or topic.wire_name)
        except WireError as error:
            return f"cannot be published: {error}"
        return ZmqLane(self, name or topic.wire_name, full_speed=full_speed)

    def advance(self, _stamp_ns: int, _schedule: Schedule) -> bool:
        """Publish nothing besides the messages; return that playing goes on."""
        return True

    def heard(self, topic: str) -> bool:
        """Return whether somebody listens to a topic."""
        return self._replayer.heard(topic)

    def send(self, topic: str, data: bytes, *, full_speed: bool) -> bool:
        """Publish a recorded message; return whether all subscribers kept up, as far as they are waited for.

        Raises:
            LowlatError: If it is no message.
        """
        kept_up = self._replayer.send(
            topic,
            unpack(data),
            patience_s=self._patience_s if full_speed else 0.0,
            published_now=self._published_now,
        )
        if not kept_up:
            self._patience_s = 0.0
        return kept_up


class ZmqLane:
    """The way out of one topic."""

    def __init__(self, outlet: ZmqOutlet, name: str, *, full_speed: bool) -> None:
        self.name = name
        self._outlet = outlet
        self._full_speed = full_speed
        self._kept_up = True

    def publish(self, recorded: Recorded) -> str:
        """Publish a message; return why it was not, empty if it was."""
        try:
            self._kept_up &= self._outlet.send(self.name, recorded.data, full_speed=self._full_speed)
        except LowlatError as error:
            return f"malformed: {error}"
        return ""

    def heard(self) -> bool:
        """Return whether somebody listens."""
        return self._outlet.heard(self.name)

    def confirmed(self, _timeout_s: float) -> bool:
        """Return whether every subscriber kept up; the socket itself sends what waits before it closes."""
        return self._kept_up
