# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The asking end of request and reply: one connection, a deadline for every call, nothing that wedges."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import RequestLate, ServerGone
from lowlat_nodes.transport.zmq.curve import ClientKeys
from lowlat_nodes.transport.zmq.options import receive
from lowlat_nodes.transport.zmq.server_link import ServerLink

T = TypeVar("T")

_ROOM_NS = 1_000_000  # how long to wait for room in the socket; a connection that takes requests has some
_LOOK_MS = 100  # how often a refused connection is looked at


class Dealer:
    """A DEALER socket that asks one ROUTER or REP socket; used by one thread.

    A request goes out over a connection that stands, or not at all; it is never kept for a later one. A
    connection that breaks while an answer is due ends the call. A server that is cut off or was stopped is
    found out within 0.6 s, and the connection made anew.

    Args:
        endpoint: Address of the server; it need not be there yet.
        max_bytes: Largest frame of an answer; a larger one breaks the connection.
        max_frames: Most frames of an answer; what is beyond is dropped, and with it the answer.
        keys: Keys of CURVE, None for a connection in the clear.
        counts: Where `late` answers are counted.

    Raises:
        ConfigurationError: If the endpoint is none.
    """

    def __init__(
        self, endpoint: str, *, max_bytes: int, max_frames: int, keys: ClientKeys | None, counts: Counters
    ) -> None:
        self._server = ServerLink(endpoint, keys, max_bytes=max_bytes, sending=1)
        self._max_frames = max_frames
        self._counts = counts
        self._asked = 0

    def connect(self, deadline_ns: int) -> None:
        """Wait until the server is there.

        Raises:
            ServerGone: If it is not by the deadline (CLOCK_MONOTONIC).
        """
        self._server.follow()
        while not self._server.guarded:
            wait_ms = _milliseconds(deadline_ns)
            if not self._server.wait_for_event(min(wait_ms, _LOOK_MS)) and wait_ms <= _LOOK_MS:
                if self._server.link.stands:
                    return
                raise self._gone()
            self._server.follow()

    def ask(
        self,
        encode: Callable[[int, int], Sequence[bytes | memoryview]],
        read: Callable[[int, list[zmq.Frame]], T | None],
        *,
        deadline_ns: int,
    ) -> T:
        """Send a request under a number of its own, and wait for the answer that has it.

        Args:
            encode: Gets the number and the time in ns that is left, and returns the request.
            read: Gets the number and each message that comes; as for `call`.
            deadline_ns: As for `call`, which tells what is raised.
        """
        left_ns = deadline_ns - time.monotonic_ns()
        if left_ns <= 0:
            raise RequestLate("the deadline had passed before the request went out")
        self._asked += 1
        number = self._asked
        return self.call(
            encode(number, left_ns), lambda answer: read(number, answer), deadline_ns=deadline_ns
        )

    def call(
        self,
        frames: Sequence[bytes | memoryview],
        read: Callable[[list[zmq.Frame]], T | None],
        *,
        deadline_ns: int,
    ) -> T:
        """Send a request and wait for its answer.

        Args:
            frames: The request; copied, so that the caller may change arrays afterwards.
            read: Gets each message that comes and returns the answer, or None for a message that answers an
                earlier request. What it raises ends the call.
            deadline_ns: CLOCK_MONOTONIC time at which the call ends.

        Raises:
            RequestLate: If there was no answer by then.
            ServerGone: If there is no connection, or it broke while waiting.
        """
        self._server.follow()
        self._forget(deadline_ns)
        self._send(frames, deadline_ns)
        while True:
            if not self._server.wait(_milliseconds(deadline_ns)):
                raise RequestLate(f"{self._server.endpoint}: no answer by the deadline")
            while (message := self._receive()) is not None:
                answer = read(message)
                if answer is not None:
                    return answer
                self._counts.add("late")
                if time.monotonic_ns() > deadline_ns:
                    break
            if self._server.follow():
                raise self._gone()

    def close(self) -> None:
        """Close the connection."""
        self._server.close()

    def _send(self, frames: Sequence[bytes | memoryview], deadline_ns: int) -> None:
        socket = self._server.socket
        try:
            socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            room_ns = min(time.monotonic_ns() + _ROOM_NS, deadline_ns)
            if not socket.poll(_milliseconds(room_ns), zmq.POLLOUT):
                self._server.follow()
                raise self._gone() from None
            with contextlib.suppress(zmq.Again):
                socket.send_multipart(frames, zmq.NOBLOCK)
                return
            raise self._gone() from None

    def _forget(self, deadline_ns: int) -> None:
        """Drop what came after its call had ended."""
        while self._receive() is not None:
            self._counts.add("late")
            if time.monotonic_ns() > deadline_ns:
                break

    def _receive(self) -> list[zmq.Frame] | None:
        return receive(self._server.socket, self._max_frames)

    def _gone(self) -> ServerGone:
        why = self._server.link.trouble or "it does not take requests any more"
        return ServerGone(f"no connection to the server at {self._server.endpoint}: {why}")


def _milliseconds(deadline_ns: int) -> int:
    """Return the time left, rounded up so that a poll does not spin through the last millisecond."""
    return max(0, -((time.monotonic_ns() - deadline_ns) // 1_000_000))
