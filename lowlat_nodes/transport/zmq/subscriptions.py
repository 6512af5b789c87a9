# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who wants which topic in which form, as the subscriptions that a publisher hears of tell."""

from __future__ import annotations

from dataclasses import dataclass

RESERVED = b"@"
"""Topics that begin so are the protocol's own."""

WELCOME = b"@lowlat/1/"
"""What a publisher tells everyone who connects: the version, and the token of its host."""

HEARTBEAT = b"@heartbeat"

_MOST = 4096  # subscriptions that are told apart; whoever has the keys could send any number
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
        self._known: set[bytes] = set()
        self._countless = False
        self._demands: dict[bytes, Demand] = {}

    def take(self, event: bytes) -> dict[bytes, Demand]:
        """Note that somebody subscribed or that nobody does any more.

        Returns:
            What the newcomer wants by topic; nothing for one who left.
        """
        if not event or event[0] > _SUBSCRIBE:
            return {}  # a message, which an XPUB socket passes up as well
        subscription = event[1:]
        self._demands = {}
        if event[0] != _SUBSCRIBE:
            self._known.discard(subscription)
            return {}
        if len(self._known) < _MOST:
            self._known.add(subscription)
        else:
            self._countless = True  # from now on everything counts as wanted by somebody
        return {topic: demand for topic in self._aliases if (demand := self._demand(topic, {subscription}))}

    def demand(self, topic: bytes) -> Demand:
        """Return in which forms a topic is wanted."""
        found = self._demands.get(topic)
        if found is None:
            found = self._demand(topic, self._known)
            if self._countless:
                found = Demand(inline=True, shared=found.shared)
            self._demands[topic] = found
        return found

    def heartbeats(self) -> bool:
        """Return whether anybody wants heartbeats."""
        return self._countless or any(HEARTBEAT.startswith(each) for each in self._known)

    def _demand(self, topic: bytes, subscriptions: set[bytes]) -> Demand:
        # A subscription is to all topics that begin like it; shared memory takes the exact alias.
        return Demand(
            inline=any(topic.startswith(each) for each in subscriptions),
            shared=self._aliases[topic] in subscriptions,
        )
