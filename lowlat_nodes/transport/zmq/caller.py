# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Calls methods of a `Responder` in another process."""

from __future__ import annotations

import threading
import time

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import AnswerRefused, RequestLate, ServerError, foreign_text
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.zmq import call
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.dealer import Dealer


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


class Caller:
    """Calls methods by name over one connection, one call at a time; threads take turns.

    A call goes out once, over a connection that stands, or not at all. Where none is answered in time, or the
    connection breaks, the method may have run or not: at most once, whatever happens. Only the caller can
    know whether it may be called again.

    Args:
        endpoint: Address of the server; it need not be there yet, and may come back.
        keys: Keys of CURVE; None for a connection in the clear.
        max_bytes: Largest frame of a reply; a larger one breaks the connection.

    Attributes:
        counts: Replies that came `late`, and are dropped.

    Raises:
        ConfigurationError: If the endpoint is none.
    """

    def __init__(
        self, endpoint: str, *, keys: ClientKeys | None = None, max_bytes: int = MAX_MESSAGE
    ) -> None:
        self.counts = Counters()
        self._endpoint = endpoint
        self._turn = threading.Lock()
        self._dealer = Dealer(
            endpoint, max_bytes=max_bytes, max_frames=call.MAX_FRAMES, keys=keys, counts=self.counts
        )

    def connect(self, timeout_s: float) -> None:
        """Wait until the server is there.

        Raises:
            RequestLate: If other threads call all the while.
            ServerGone: If it is not within the time.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        self._take_turn(timeout_s)
        try:
            self._dealer.connect(deadline_ns)
        finally:
            self._turn.release()

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
            AnswerRefused: If the reply is malformed.
            WireError: If the call is.
        """
        deadline_ns = time.monotonic_ns() + round(timeout_s * 1e9)
        self._take_turn(timeout_s)
        try:
            return self._dealer.ask(
                lambda number, left_ns: call.encode_call(number, method, content, budget_ns=left_ns),
                _read,
                deadline_ns=deadline_ns,
            )
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close the connection, once the call in hand has ended."""
        with self._turn:
            self._dealer.close()

    def _take_turn(self, timeout_s: float) -> None:
        if not self._turn.acquire(timeout=max(0.0, timeout_s)):
            raise RequestLate(f"{self._endpoint}: another call took all the time")


def _read(number: int, frames: list[zmq.Frame]) -> list[memoryview] | None:
    """Return the content of the reply to a call, None if the message answers another one."""
    try:
        header = call.decode_header(frames)
    except WireError as error:
        raise AnswerRefused(f"the reply cannot be used: {error}") from error
    if header.number != number:
        return None
    if header.kind == call.ERROR:
        raise CallFailed(header.text)
    if header.kind != call.REPLY:
        raise AnswerRefused(f"expected a reply, got a message of kind {header.kind!r}")
    return call.content(frames)
