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
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestLate, ServerGone
from lowlat_nodes.transport.zmq.curve import ClientKeys, secure_client
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.lifeline import Lifeline
from lowlat_nodes.transport.zmq.link import WATCHED, Link
from lowlat_nodes.transport.zmq.options import probe, receive

T = TypeVar("T")

_ROOM_NS = 1_000_000  # how long to wait for room in the socket; a connection that takes requests has some
_RECONNECT_MS = 20
_RECONNECT_MAX_MS = 200

_LOOK_MS = 100  # how often a refused connection is looked at


class Dealer:
    """A DEALER socket that asks one ROUTER or REP socket; used by one thread.

    A request goes out over a connection that stands, or not at all; it is never kept for a later one. A
    connection that breaks while an answer is due ends the call. A server that is cut off or was stopped is
    found out by its `Lifeline` within 0.6 s, and the connection made anew.

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
        self._endpoint = check_endpoint(endpoint)
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._keys = keys
        self._counts = counts
        self._link = Link(self._endpoint, keys)
        self._lifeline: Lifeline | None = None  # while the link stands
        self._asked = 0
        self._context = zmq.Context()
        try:
            self._open()
        except zmq.ZMQError as error:
            self._context.destroy(linger=0)
            raise ConfigurationError(f"cannot connect to {endpoint!r}: {error}") from error

    def connect(self, deadline_ns: int) -> None:
        """Wait until the server is there.

        Raises:
            ServerGone: If it is not by the deadline (CLOCK_MONOTONIC).
        """
        self._follow()
        while not (self._link.stands and self._lifeline is not None and self._lifeline.stands):
            wait_ms = _milliseconds(deadline_ns)
            if not self._events.poll(min(wait_ms, _LOOK_MS)) and wait_ms <= _LOOK_MS:
                if self._link.stands:
                    return
                raise self._gone()
            self._follow()

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
        self._follow()
        self._forget(deadline_ns)
        self._send(frames, deadline_ns)
        while True:
            wait_ms = _milliseconds(deadline_ns)
            if not self._everything.poll(wait_ms):
                raise RequestLate(f"{self._endpoint}: no answer by the deadline")
            while (message := self._receive()) is not None:
                answer = read(message)
                if answer is not None:
                    return answer
                self._counts.add("late")
                if time.monotonic_ns() > deadline_ns:
                    break
            if self._follow():
                raise self._gone()

    def close(self) -> None:
        """Close the connection."""
        self._hang_up()
        self._context.destroy(linger=0)

    def _open(self) -> None:
        """Begin to connect."""
        self._socket = socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, self._max_bytes)
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        probe(socket)
        allow_ipv6(socket, self._endpoint)
        if self._keys is not None:
            secure_client(socket, self._keys)
        self._monitor = socket.get_monitor_socket(WATCHED)
        self._listen_to(None)
        socket.connect(self._endpoint)

    def _listen_to(self, lifeline: Lifeline | None) -> None:
        """Take a lifeline, or let go of it."""
        if self._lifeline is not None:
            self._lifeline.close()
        self._lifeline = lifeline
        self._events = zmq.Poller()
        self._everything = zmq.Poller()
        self._everything.register(self._socket, zmq.POLLIN)
        for monitor in (self._monitor, *([lifeline.monitor] if lifeline is not None else [])):
            self._events.register(monitor, zmq.POLLIN)
            self._everything.register(monitor, zmq.POLLIN)

    def _hang_up(self) -> None:
        self._listen_to(None)
        while _readable(self._monitor):  # one that nobody reads holds up libzmq, and with it what comes next
            self._link.note(self._monitor.recv_multipart())
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)

    def _send(self, frames: Sequence[bytes | memoryview], deadline_ns: int) -> None:
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            room_ns = min(time.monotonic_ns() + _ROOM_NS, deadline_ns)
            if not self._socket.poll(_milliseconds(room_ns), zmq.POLLOUT):
                self._follow()
                raise self._gone() from None
            with contextlib.suppress(zmq.Again):
                self._socket.send_multipart(frames, zmq.NOBLOCK)
                return
            raise self._gone() from None

    def _forget(self, deadline_ns: int) -> None:
        """Drop what came after its call had ended."""
        while self._receive() is not None:
            self._counts.add("late")
            if time.monotonic_ns() > deadline_ns:
                break

    def _receive(self) -> list[zmq.Frame] | None:
        return receive(self._socket, self._max_frames)

    def _follow(self) -> bool:
        """Take note of what happened to the connection; return whether it broke since the last look."""
        before = self._link.broken
        while _readable(self._monitor):
            self._link.note(self._monitor.recv_multipart())
        cut = self._lifeline is not None and self._lifeline.follow()
        if cut or self._link.due:
            # A connection that was cut may look sound for long, and what was sent over it comes too late.
            self._hang_up()
            self._link.lost()
            self._link.renewed()
            self._open()
        if self._link.stands and self._lifeline is None:
            self._listen_to(Lifeline(self._context, self._endpoint, self._keys))
        elif not self._link.stands and self._lifeline is not None:
            self._listen_to(None)
        return self._link.broken > before

    def _gone(self) -> ServerGone:
        why = self._link.trouble or "it does not take requests any more"
        return ServerGone(f"no connection to the server at {self._endpoint}: {why}")


def _readable(socket: zmq.Socket[bytes]) -> bool:
    """Return whether a message waits; a tenth of the price of a poll."""
    return bool(int(socket.getsockopt(zmq.EVENTS)) & zmq.POLLIN)


def _milliseconds(deadline_ns: int) -> int:
    """Return the time left, rounded up so that a poll does not spin through the last millisecond."""
    return max(0, -((time.monotonic_ns() - deadline_ns) // 1_000_000))
