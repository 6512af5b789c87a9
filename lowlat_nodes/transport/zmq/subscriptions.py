# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who wants which topic in which form, as the subscriptions that a publisher hears of tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

RESERVED = b"@"
"""Topics that begin so are the protocol's own."""

WELCOME = b"@lowlat/1/"
"""What a publisher tells everyone who connects: the version, and the token of its host."""

HEARTBEAT = b"@heartbeat"

MOST_STRANGE = 1 << 17
"""Bytes of subscriptions to what is not published, of all connections together.

libzmq takes 48 bytes to keep one of them: whoever may come in could take all memory.
"""

_OVERHEAD = 16  # of each of them, in such bytes

_SUBSCRIBE = 1


def alias(token: str, topic: bytes) -> bytes:
    """Return the topic that stands for another one by shared memory on the host of that token."""
    return b"@" + token.encode() + b"/" + topic


def asks_for_heartbeats(event: bytes) -> bool:
    """Return whether this is somebody who subscribes to heartbeats."""
    return event[:1] == bytes([_SUBSCRIBE]) and HEARTBEAT.startswith(event[1:])


@dataclass(frozen=True, slots=True)
class Demand:
    """In which forms a topic is wanted.

    Attributes:
        inline: Whether anybody wants the arrays as frames.
        shared: Whether anybody wants them in shared memory.
    """

    inline: bool
    shared: bool

    def __bool__(self) -> bool:
        return self.inline or self.shared


class Subscriptions:
    """Keeps the subscriptions of an XPUB socket.

    Args:
        topics: What is published.
        token: Of this host.
    """

    def __init__(self, topics: list[bytes], token: str) -> None:
        self._aliases = {topic: alias(token, topic) for topic in topics}
        # What we send begins like one of these.
        self._sent = [*topics, *self._aliases.values(), HEARTBEAT, WELCOME + token.encode()]
        self._known: set[bytes] = set()
        self._strange: dict[bytes, int] = {}  # the connection
        self._weight = 0
        self._demands: dict[bytes, Demand] = {}

    def take(self, event: bytes, connection: int = 0) -> dict[bytes, Demand]:
        """Note that somebody subscribed or that nobody does any more.

        Args:
            event: As it came.
            connection: Over which it came, 0 where that is not known.

        Returns:
            What the newcomer wants by topic; nothing for one who left.
        """
        if not event or event[0] > _SUBSCRIBE:
            return {}  # a message, which an XPUB socket passes up as well
        subscription = event[1:]
        self._demands = {}
        if event[0] != _SUBSCRIBE:
            self._known.discard(subscription)
            if self._strange.pop(subscription, None) is not None:
                self._weight -= len(subscription) + _OVERHEAD
            return {}
        if not any(topic.startswith(subscription) for topic in self._sent):
            if subscription not in self._strange:
                self._weight += len(subscription) + _OVERHEAD
            self._strange[subscription] = connection
            return {}
        self._known.add(subscription)
        return {topic: demand for topic in self._aliases if (demand := self._demand(topic, {subscription}))}

    def demand(self, topic: bytes) -> Demand:
        """Return in which forms a topic is wanted."""
        found = self._demands.get(topic)
        if found is None:
            found = self._demands[topic] = self._demand(topic, self._known)
        return found

    def crowd(self) -> int | None:
        """Return the connection that has most subscriptions to what is not published, if those are too many.

        They are forgotten: it is for the caller to cut it.
        """
        if self._weight <= MOST_STRANGE:
            return None
        weights: Counter[int] = Counter()
        for subscription, connection in self._strange.items():
            weights[connection] += len(subscription) + _OVERHEAD
        ((crowd, weight),) = weights.most_common(1)
        self._strange = {
            each: connection for each, connection in self._strange.items() if connection != crowd
        }
        self._weight -= weight
        return crowd

    def heartbeats(self) -> bool:
        """Return whether anybody wants heartbeats."""
        return any(HEARTBEAT.startswith(each) for each in self._known)

    def _demand(self, topic: bytes, subscriptions: set[bytes]) -> Demand:
        # A subscription is to all topics that begin like it; shared memory takes the exact alias.
        return Demand(
            inline=any(topic.startswith(each) for each in subscriptions),
            shared=self._aliases[topic] in subscriptions,
        )
