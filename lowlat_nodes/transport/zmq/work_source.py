# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes messages of a `WorkSink` and tells it when they are done with."""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import zmq

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.recent import Recent
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.zmq import work
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.frames import MAX_FRAMES, decode
from lowlat_nodes.transport.zmq.options import receive
from lowlat_nodes.transport.zmq.server_link import ServerLink

_WORD_NS = 200_000_000  # how often the sink hears of us, at least
_NOTES = 64  # how many of them may wait, either way
_LINGER_MS = 500
_MOST_WAITING = 2 * work.MAX_CREDIT

_Id = tuple[int, int]


class WorkSource:
    """A `PullSource` that takes its part of the messages of a `WorkSink`.

    It asks for as many messages as `poll` was last asked for, so that the next ones come while those are
    processed. The sink hears of it within `poll` only: a process whose loop stands still counts as dead, and
    its work goes to others. What comes twice it drops, as far as it knows.

    Args:
        endpoint: Address of the sink; it need not be there yet, and may come back.
        clock: Stamps the receipt.
        topic: Of the messages.
        keys: Keys of CURVE; None for a connection in the clear.
        silent_after_s: Longest time between two calls of `poll`; after it others get the work.
        prefetch: How many messages may come while others are processed; None for as many as `poll` was last
            asked for.
        remember: How many messages that are done with are remembered, to know them when they come again; no
            more come again than the `window` of the sink.
        max_bytes: Largest frame of a message; a larger one breaks the connection.

    Attributes:
        name: What the sink calls this worker.
        link: Whether the connection stands.
        drops: Messages that came `again`, that were `malformed`, which the sink is told, and that came far
            beyond what was asked for (`unasked`).
        last_failure: Why the newest of these was refused, or what keeps the link from standing.

    Raises:
        ConfigurationError: If the endpoint is none, has no address, or an argument is out of range.
    """

    def __init__(
        self,
        endpoint: str,
        clock: Clock,
        *,
        topic: str = "work",
        keys: ClientKeys | None = None,
        silent_after_s: float = 1.5,
        prefetch: int | None = None,
        remember: int = 4096,
        max_bytes: int = MAX_MESSAGE,
    ) -> None:
        self._silent_ns = round(silent_after_s * 1e9)
        if not work.LEAST_SILENCE_NS <= self._silent_ns <= work.LONGEST_SILENCE_NS:
            raise ConfigurationError(f"expected silent_after_s from 0.05 to 3600, got {silent_after_s:g}")
        if prefetch is not None and not 0 <= prefetch <= work.MAX_CREDIT:
            raise ConfigurationError(f"expected prefetch from 0 to {work.MAX_CREDIT}, got {prefetch}")
        self.name = secrets.token_hex(8)
        self.drops = Counters()
        self.last_failure = ""
        self._clock = clock
        self._topic = topic
        self._prefetch = prefetch
        self._word_ns = min(_WORD_NS, self._silent_ns // 4)
        self._waiting: deque[tuple[_Id, Message]] = deque()
        self._polled: list[_Id] = []
        self._held: set[_Id] = set()  # both of these
        self._done: deque[_Id] = deque()  # the sink was not told yet
        self._refused: deque[tuple[_Id, str]] = deque(maxlen=_MOST_WAITING)  # likewise
        self._remembered = Recent(remember)
        self._session = 0
        self._got = 0  # in this session
        self._asked = 0  # what the sink was told as the limit
        self._received = 0
        self._lag: int | None = None
        self._spoke_ns = 0
        self._hello_due = True
        self._sink = ServerLink(
            endpoint, keys, max_bytes=max_bytes, sending=_NOTES, receiving=work.MAX_CREDIT + _NOTES
        )
        self.link = self._sink.link

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return up to `most` messages, those that wait already or the first that come; empty on time-out."""
        most = min(most, work.MAX_CREDIT)
        now_ns = time.monotonic_ns()
        deadline_ns = now_ns + round(timeout_s * 1e9)
        self._hear()
        self._speak(most)
        while most and not self._waiting:
            now_ns = time.monotonic_ns()
            if now_ns >= deadline_ns:
                break
            wake_ns = min(deadline_ns, self._spoke_ns + self._word_ns)
            awaited = zmq.POLLIN | zmq.POLLOUT if self._hello_due else zmq.POLLIN
            self._sink.wait(max(1, (wake_ns - now_ns) // 1_000_000), awaited)
            self._hear()
            self._speak(most)
        messages: list[Message] = []
        while self._waiting and len(messages) < most:
            name, message = self._waiting.popleft()
            self._polled.append(name)
            messages.append(message)
        if messages:
            self._speak(most if self._prefetch is None else self._prefetch)
        return messages

    def commit(self) -> None:
        """Tell the sink that everything that `poll` has returned is done with."""
        for name in self._polled:
            self._held.discard(name)
            self._remembered.add(name)
        self._done.extend(self._polled)
        self._polled.clear()
        self._tell()

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Do nothing: what goes to another worker does so while this one is not heard."""

    @property
    def exhausted(self) -> bool:
        """Return False: more work may always come."""
        return False

    @property
    def lag(self) -> int | None:
        """Return how many messages wait at the sink and here, None before it has said so."""
        return None if self._lag is None else self._lag + len(self._waiting)

    def close(self) -> None:
        """Tell the sink what is done with and that the rest is for others, and disconnect."""
        self._tell()
        self._say(work.encode_note(work.BYE))
        self._sink.close(_LINGER_MS)

    def _follow(self) -> None:
        """Take note of what happened to the connection."""
        if self._sink.follow():
            self._hello_due = True
        if self.link.trouble:
            self.last_failure = f"{self._sink.endpoint}: {self.link.trouble}"

    def _hear(self) -> None:
        """Take what came."""
        self._follow()
        while (frames := receive(self._sink.socket, 1 + MAX_FRAMES)) is not None:
            try:
                kind, fields = work.decode_note(frames[0])
            except WireError as error:
                self._refuse(str(error))
                continue
            if kind == work.WORK:
                self._take(fields, frames[1:])
            elif kind == work.PING:
                self._lag = fields["waiting"]
            elif kind == work.WHO:
                self._hello_due = True

    def _take(self, fields: dict[str, Any], frames: list[zmq.Frame]) -> None:
        name = (fields["epoch"], fields["seq"])
        if fields["session"] == self._session:
            self._got += 1
        if name in self._held:
            self.drops.add("again")
            return
        if name in self._remembered:
            self.drops.add("again")
            self._done.append(name)
            return
        if len(self._waiting) >= _MOST_WAITING:  # no sink of ours sends so much
            self.drops.add("unasked")
            return
        try:
            message = decode(frames).message
        except WireError as error:
            self._refuse(str(error))
            self._refused.append((name, str(error)))
            return
        message.topic = self._topic
        message.sequence = self._received  # the sink's begin anew when it does
        message.trace = Trace(message.trace.capture_ns, self._clock.now_ns())
        self._received += 1
        self._held.add(name)
        self._waiting.append((name, message))

    def _refuse(self, why: str) -> None:
        self.drops.add("malformed")
        self.last_failure = f"{self._sink.endpoint}: {why}"

    def _speak(self, most: int) -> None:
        """Say what is to be said: who we are, what is done, and how much we can take."""
        now_ns = time.monotonic_ns()
        if self._hello_due:
            self._spoke_ns = now_ns
            if not self._greet(most):
                return
        self._tell()
        limit = self._got - len(self._waiting) + most
        if limit > self._asked or now_ns - self._spoke_ns >= self._word_ns:
            self._spoke_ns = now_ns
            self._asked = max(self._asked, limit)
            self._say(work.encode_note(work.WANT, session=self._session, limit=self._asked))

    def _greet(self, most: int) -> bool:
        held = list(work.ranges(sorted(self._held)))[: work.MAX_RANGES]
        self._session += 1
        self._got = 0
        self._asked = max(0, most - len(self._waiting))
        self._hello_due = not self._say(
            work.encode_note(
                work.HELLO,
                worker=self.name,
                session=self._session,
                limit=self._asked,
                silent_ns=self._silent_ns,
                held=held,
            )
        )
        return not self._hello_due

    def _tell(self) -> None:
        """Tell the sink what is done, and what cannot be."""
        while self._done:
            some = list(work.ranges(sorted(self._done)))[: work.MAX_RANGES]
            if not self._say(work.encode_note(work.DONE, ids=some)):
                return
            told = {(epoch, number) for epoch, first, last in some for number in range(first, last + 1)}
            self._done = deque(name for name in self._done if name not in told)
        while self._refused:
            (epoch, number), why = self._refused[0]
            reason = why[: work.MAX_REASON]
            if not self._say(work.encode_note(work.REFUSE, epoch=epoch, seq=number, reason=reason)):
                return
            self._refused.popleft()

    def _say(self, note: bytes) -> bool:
        try:
            self._sink.socket.send(note, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True
