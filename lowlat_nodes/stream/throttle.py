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


class Pace:
    """Says of each event whether it may happen, so that no more than `max_hz` do.

    Over a long time the rate is `max_hz` whatever the rate of the events: the next is due one period after
    the last was due, not after it happened. A clock that jumps back, or far ahead, starts anew.
    """

    def __init__(self, max_hz: float) -> None:
        self._period_ns = round(_S / max_hz)
        self._due_ns: int | None = None

    def change(self, max_hz: float) -> None:
        """Take another rate, infinite for any, from the next event on."""
        period_ns = round(_S / max_hz)
        if self._due_ns is not None:  # one period after the last, by the new one
            self._due_ns += period_ns - self._period_ns
        self._period_ns = period_ns

    def wait_ns(self, now_ns: int) -> int:
        """Return after what time an event may happen; 0 for now."""
        wait_ns = 0 if self._due_ns is None else self._due_ns - now_ns
        return wait_ns if 0 < wait_ns <= self._period_ns else 0

    def admits(self, now_ns: int) -> bool:
        """Return whether an event of now may happen, which then has."""
        period_ns = self._period_ns
        due_ns = now_ns if self._due_ns is None else self._due_ns
        if not due_ns - period_ns <= now_ns < due_ns + period_ns:
            due_ns = now_ns  # a gap or a jump
        if now_ns < due_ns:
            return False
        self._due_ns = due_ns + period_ns
        return True


class Throttle(Processor):
    """Forwards the messages of each topic at the `Pace` of `max_hz`, by the time of receipt."""

    def __init__(self, config: ThrottleConfig) -> None:
        self.inputs = config.topics
        self.outputs = tuple(topic + config.suffix for topic in config.topics)
        self._suffix = config.suffix
        self._max_hz = config.max_hz
        self._paces: dict[str, Pace] = {}

    def process(self, message: Message) -> Sequence[Message]:
        """Return the message under its output's name, or nothing."""
        pace = self._paces.get(message.topic)
        if pace is None:
            pace = self._paces[message.topic] = Pace(self._max_hz)
        if not pace.admits(message.trace.received_ns):
            return ()
        return (message.derive(message.topic + self._suffix, message.payload),)
