# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where messages come from and go to; implemented by the transports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, runtime_checkable

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.message import Message

Deliver = Callable[[Message], None]
"""Takes one message; called by a source, in a thread of its own."""


class Source(Protocol):
    """Turns bytes from somewhere into messages."""

    def start(self, deliver: Deliver) -> None:
        """Begin to call `deliver` with each message, from any thread, until `stop`."""
        ...

    def stop(self) -> None:
        """Deliver nothing any more once this returns."""
        ...


class PullSource(Protocol):
    """Hands out messages when asked, and keeps in mind which of them need not come again.

    Nothing is lost: what was not committed comes again after a restart where the source can do that (Kafka,
    files), and what is not asked for waits with the sender. All methods are for one thread.

    Attributes:
        drops: What never comes out of `poll`, by reason.
        last_failure: The text of the newest error of the source, empty if there was none.
    """

    drops: Counters
    last_failure: str

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` messages, those that wait already or the first that come; empty on time-out.

        With `most` 0 nothing is asked for, and the source does what it must to keep its place.
        """
        ...

    def commit(self) -> None:
        """Note that everything that `poll` has returned is done with."""
        ...

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Have `settle` called, within `poll`, when what is not committed is to go to another consumer.

        It may commit.
        """
        ...

    @property
    def exhausted(self) -> bool:
        """Return whether nothing will ever come any more, as at the end of files."""
        ...

    @property
    def lag(self) -> int | None:
        """Return how many messages wait to be polled, None where nobody knows; from any thread."""
        ...

    def close(self) -> None:
        """Let go; what was not committed counts as not done."""
        ...


class Sink(Protocol):
    """Turns messages into bytes for somewhere."""

    def write(self, message: Message) -> None:
        """Send one message; may raise, which the pipeline counts."""
        ...

    def close(self) -> None:
        """Flush and release; nothing is written afterwards."""
        ...


@runtime_checkable
class DurableSink(Sink, Protocol):
    """A sink that can say when what was written is safe.

    What `write` took is the sink's to keep and to try again until it is safe. Where `write` raises, it took
    nothing: `UndeliveredError` and `OSError` mean that it may take the message later, and any other error
    that it never will.
    """

    def flush(self, timeout_s: float) -> None:
        """Wait until all that was written is safe; called again after it raised, it tries again.

        Raises:
            UndeliveredError: If some of it is not, or not yet.
        """
        ...


class UndeliveredError(LowlatError):
    """What was written to a sink is not safe (yet)."""


class UnknownOutput(LowlatError):
    """A result for a topic that its sink was not given.

    Args:
        topic: Of the result.
        known: What the sink was given.
    """

    def __init__(self, topic: str, known: Iterable[str]) -> None:
        super().__init__(f"expected a message for {', '.join(known) or 'nothing'}; got one for {topic!r}")
