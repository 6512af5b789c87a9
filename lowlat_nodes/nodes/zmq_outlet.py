# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A ZeroMQ publisher as a place to play a bag to."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.transport.bag import Recorded, Topic
from lowlat_nodes.transport.bag.framing import unpack
from lowlat_nodes.transport.zmq.frames import encode_topic
from lowlat_nodes.transport.zmq.replayer import Replayer

if TYPE_CHECKING:
    from lowlat_nodes.nodes.bag_player import Schedule

_PATIENCE_S = 5.0


class ZmqOutlet:
    """Publishes topics that were recorded from ZeroMQ.

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

    def takes(self, topic: Topic) -> bool:
        """Return whether a topic goes there."""
        return topic.framed and (self._topics is None or topic in self._topics)

    def lane(self, topic: Topic, name: str, *, full_speed: bool) -> ZmqLane | str:
        """Return the way out of a topic, or why there is none."""
        try:
            encode_topic(name or topic.wire_name)
        except LowlatError as error:
            return f"cannot be published: {error}"
        patience_s = _PATIENCE_S if full_speed else 0.0
        return ZmqLane(self._replayer, name or topic.wire_name, patience_s, self._published_now)

    def advance(self, _stamp_ns: int, _schedule: Schedule) -> bool:
        """Publish nothing besides the messages; return that playing goes on."""
        return True


class ZmqLane:
    """The way out of one topic.

    At full speed it waits for subscribers that do not keep up; once one did not move for long, no more.
    """

    def __init__(self, replayer: Replayer, name: str, patience_s: float, published_now: bool) -> None:
        self.name = name
        self._replayer = replayer
        self._patience_s = patience_s
        self._published_now = published_now
        self._kept_up = True

    def publish(self, recorded: Recorded) -> str:
        """Publish a message; return why it was not, empty if it was."""
        try:
            kept_up = self._replayer.send(
                self.name,
                unpack(recorded.data),
                patience_s=self._patience_s,
                published_now=self._published_now,
            )
        except LowlatError as error:
            return f"malformed: {error}"
        if not kept_up:
            self._kept_up = False
            self._patience_s = 0.0
        return ""

    def heard(self) -> bool:
        """Return whether somebody listens."""
        return self._replayer.heard(self.name)

    def confirmed(self, _timeout_s: float) -> bool:
        """Return whether every subscriber kept up; the socket itself sends what waits before it closes."""
        return self._kept_up
