# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls methods of a `Responder` in another process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import (
    AnswerRefused,
    RequestError,
    RequestLate,
    ServerError,
    ServerGone,
    foreign_text,
)
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.zmq import call
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.doorbell import Doorbell
from lowlat_nodes.transport.zmq.options import receive
from lowlat_nodes.transport.zmq.server_link import ServerLink

_ROOM_MS = 50  # how long a connection that stands may take to make room for a call
_LOOK_MS = 100  # how often a refused connection is looked at


class CallFailed(ServerError):
    """The server says why a call has no reply.

    Args:
        text: What it says, from outside.

    Attributes:
        text: The same, cut short, and without control characters.
    """

    reason = "call_failed"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = foreign_text(text)


@dataclass(slots=True, eq=False)
class _Pending:
    """A call whose thread waits."""

    frames: call.Content
    sent: bool = False
    reply: list[memoryview] | None = None
    error: RequestError | None = None

    @property
    def over(self) -> bool:
        return self.reply is not None or self.error is not None


class Caller:
    """Calls methods by name over one connection; any number of threads may, side by side.

    A call goes out once, over a connection that stands, or not at all. Where none is answered in time, or the
    connection breaks, the method may have run or not: at most once, whatever happens. Only the caller can
    know whether it may be called again.

    There is no thread here: of those that wait for replies one serves the socket for all.

    Args:
        endpoint: Address of the server; it need not be there yet, and may come back.
        keys: Keys of CURVE; None for a connection in the clear.
        max_bytes: Largest frame of a reply; a larger one breaks the connection.
        at_once: How many calls may be under way; more wait for their turn.

    Attributes:
        counts: Replies that came `late`, or were `malformed`.

    Raises:
        ConfigurationError: If the endpoint is none, or an argument is out of range.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        keys: ClientKeys | None = None,
        max_bytes: int = MAX_MESSAGE,
        at_once: int = 16,
    ) -> None:
        if at_once < 1:
            raise ConfigurationError(f"expected at least 1 call at once, got {at_once}")
        self.counts = Counters()
        self._at_once = at_once
        self._number = 0
        self._pending: dict[int, _Pending] = {}
        self._unsent: deque[_Pending] = deque()
        self._changed = threading.Condition()  # guards these
        self._served = False  # whether a thread serves the socket
        self._closed = False
        self._bell = Doorbell()
        try:
            self._server = ServerLink(
                endpoint, keys, max_bytes=max_bytes, sending=at_once, wakers=[self._bell.fileno()]
            )
        except ConfigurationError:
            self._bell.close()
            raise

    def connect(self, timeout_s: float) -> None:
        """Wait until the server is there.

        Raises:
            ServerGone: If it is not within the time.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        connected = self._serve_until(lambda: self._server.guarded, deadline_ns)
        if not connected and not self._server.link.stands:
            raise self._gone()

    def call(self, method: str, content: call.Content, timeout_s: float) -> list[memoryview]:
        """Call a method and return its reply.

        Args:
            method: Its name.
            content: At most 16 frames, such as one with a CDR message, or those of a message of a stream.
            timeout_s: After this time the reply is of no use; the server skips the call then.

        Raises:
            RequestLate: If there was no reply by then.
            ServerGone: If there is no connection, or it broke while waiting.
            CallFailed: If the server says why there is no reply.
            AnswerRefused: If what the server says cannot be read.
            WireError: If the call has no form on the wire.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        with self._changed:
            self._changed.wait_for(self._has_room, max(0.0, timeout_s))
            if self._closed:
                raise _closed_here()
            left_ns = deadline_ns - time.monotonic_ns()
            if left_ns <= 0 or not self._has_room():
                raise RequestLate(
                    f"{self._server.endpoint}: the deadline had passed before the call went out"
                )
            self._number += 1
            number = self._number
            pending = _Pending(call.encode_call(number, method, content, budget_ns=left_ns))
            self._pending[number] = pending
            self._unsent.append(pending)
            if self._served:
                self._bell.ring()
        try:
            if not self._serve_until(lambda: pending.over, deadline_ns):
                raise RequestLate(f"{self._server.endpoint}: no reply by the deadline")
        finally:
            with self._changed:
                del self._pending[number]
                if not pending.sent and pending in self._unsent:
                    self._unsent.remove(pending)
                self._changed.notify_all()
        if pending.error is not None:
            raise pending.error
        assert pending.reply is not None
        return pending.reply

    def close(self) -> None:
        """End the calls that are under way, and close the connection."""
        with self._changed:
            self._closed = True
            self._end_all(_closed_here, unsent=True)
            self._bell.ring()
            self._changed.wait_for(lambda: not self._served)
        self._server.close()
        self._bell.close()

    def _has_room(self) -> bool:
        return len(self._pending) < self._at_once

    def _is_closed(self) -> bool:
        return self._closed

    def _serve_until(self, over: Callable[[], bool], deadline_ns: int) -> bool:
        """Serve the socket, or wait while another thread does; return False on time-out."""
        while True:
            with self._changed:
                left_s = (deadline_ns - time.monotonic_ns()) * 1e-9
                self._changed.wait_for(lambda: over() or not self._served, max(0.0, left_s))
                if over():
                    return True
                if self._served or self._closed or time.monotonic_ns() >= deadline_ns:
                    return False
                self._served = True
            try:
                while not (over() or self._is_closed() or time.monotonic_ns() >= deadline_ns):
                    self._serve(over, deadline_ns)
            finally:
                with self._changed:
                    self._served = False
                    self._changed.notify_all()

    def _serve(self, over: Callable[[], bool], deadline_ns: int) -> None:
        """Send what waits to be sent, take what came, and wait for more."""
        guarded = self._server.guarded
        broke = self._server.follow()
        with self._changed:
            if broke:
                self._end_all(self._gone)
            elif self._server.guarded != guarded:
                self._changed.notify_all()
        self._send()
        while (frames := receive(self._server.socket, call.MAX_FRAMES)) is not None:
            self._take(frames)
            if time.monotonic_ns() > deadline_ns:
                return
        if over():
            return
        left_ms = max(0, -((time.monotonic_ns() - deadline_ns) // 1_000_000))
        if self._server.wait(left_ms if self._server.link.stands else min(left_ms, _LOOK_MS)):
            self._bell.answer()

    def _send(self) -> None:
        while True:
            with self._changed:
                if not self._unsent:
                    return
                pending = self._unsent.popleft()
                pending.sent = True
            socket = self._server.socket
            if socket.poll(_ROOM_MS if self._server.link.stands else 0, zmq.POLLOUT):
                with contextlib.suppress(zmq.Again):
                    socket.send_multipart(pending.frames, zmq.NOBLOCK)
                    continue
            self._server.follow()
            with self._changed:
                pending.error = self._gone()
                self._changed.notify_all()

    def _take(self, frames: list[zmq.Frame]) -> None:
        """Give a reply to the thread that waits for it."""
        try:
            header = call.decode_header(frames)
        except WireError as error:  # nobody can tell whose reply that is
            self.counts.add("malformed")
            text = f"the reply cannot be used: {error}"
            with self._changed:
                self._end_all(lambda: AnswerRefused(text))
            return
        with self._changed:
            pending = self._pending.get(header.number)
            if pending is None or pending.over:
                self.counts.add("late")
                return
            if header.kind == call.REPLY:
                pending.reply = call.content(frames)
            elif header.kind == call.ERROR:
                pending.error = CallFailed(header.text)
            else:
                pending.error = AnswerRefused(f"expected a reply, got a message of kind {header.kind!r}")
            self._changed.notify_all()

    def _end_all(self, error: Callable[[], RequestError], *, unsent: bool = False) -> None:
        for pending in self._pending.values():
            if (pending.sent or unsent) and not pending.over:
                pending.error = error()
        self._changed.notify_all()

    def _gone(self) -> ServerGone:
        why = self._server.link.trouble or "it does not take calls any more"
        return ServerGone(f"no connection to the server at {self._server.endpoint}: {why}")


def _closed_here() -> ServerGone:
    return ServerGone("the connection was closed here")
