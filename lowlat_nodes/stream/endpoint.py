# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where messages come from and go to; implemented by the transports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.message import Message

Deliver = Callable[[Message], None]


class Source(Protocol):
    """Turns bytes from somewhere into messages."""

    def start(self, deliver: Deliver) -> None:
        """Begin to call `deliver` with each message, from any thread, until `stop`."""
        ...

    def stop(self) -> None:
        """Deliver nothing any more once this returns."""
        ...


class Sink(Protocol):
    """Turns messages into bytes for somewhere."""

    def write(self, message: Message) -> None:
        """Send one message; may raise, which the pipeline counts."""
        ...

    def close(self) -> None:
        """Flush and release; nothing is written afterwards."""
        ...


class UnknownOutput(LowlatError):
    """A result for a topic that its sink was not given.

    Args:
        topic: Of the result.
        known: What the sink was given.
    """

    def __init__(self, topic: str, known: Iterable[str]) -> None:
        super().__init__(f"expected a message for {', '.join(known) or 'nothing'}; got one for {topic!r}")
