# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A processor that thins out its inputs: at most so many messages a second from each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lowlat_nodes.stream.config import setting
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor

_S = 1_000_000_000


@dataclass(frozen=True)
class ThrottleConfig:
    """How much a `Throttle` lets through."""

    max_hz: float = setting(doc="Most messages a second of each topic.", unit="Hz", low=1e-3, high=1e6)
    topics: tuple[str, ...] = setting((), doc="The topics to take; empty takes all.")
    suffix: str = setting("", doc="Appended to a topic's name to name the output; empty keeps the name.")


class Throttle(Processor):
    """Forwards a message if the last one of its topic went a period or more ago, by the time of receipt.

    Over a long time the rate is `max_hz` whatever the rate of the input: the next message is due one period
    after the last was due, not after it went. A clock that jumps back, or far ahead, starts anew.
    """

    def __init__(self, config: ThrottleConfig) -> None:
        self.inputs = config.topics
        self.outputs = tuple(topic + config.suffix for topic in config.topics)
        self._suffix = config.suffix
        self._period_ns = round(_S / config.max_hz)
        self._due_ns: dict[str, int] = {}

    def process(self, message: Message) -> Sequence[Message]:
        """Return the message under its output's name, or nothing."""
        now_ns, period_ns = message.trace.received_ns, self._period_ns
        due_ns = self._due_ns.get(message.topic, now_ns)
        if not due_ns - period_ns <= now_ns < due_ns + period_ns:
            due_ns = now_ns  # a gap or a jump
        if now_ns < due_ns:
            return ()
        self._due_ns[message.topic] = due_ns + period_ns
        return (message.derive(message.topic + self._suffix, message.payload),)
