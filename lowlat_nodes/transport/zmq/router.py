# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The answering end of request and reply: a ROUTER socket with a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.heartbeat import IDLE, RUNNING, STOPPED
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.transport.zmq.curve import ServerKeys
from lowlat_nodes.transport.zmq.doorbell import Doorbell
from lowlat_nodes.transport.zmq.inbox import Arrival, Inbox
from lowlat_nodes.transport.zmq.listening import listen, stop_listening
from lowlat_nodes.transport.zmq.options import give_up, probe, receive

_LINGER_MS = 200  # for the last answers
_IDLE_S = 1.0
_CLIENTS = 64
_WAITING_BYTES = 256 << 20


class Router:
    """A ROUTER socket whose requests wait in an `Inbox` for the thread that takes them.

    The thread of the socket stamps requests as they come, however long the last one takes to answer. It ends
    with `close`.

    Args:
        endpoint: Where to listen; port 0 takes a free one.
        per_client: How many requests of one client may wait; the newest stay.
        max_bytes: Largest frame of a request; a larger one breaks the connection.
        max_frames: Most frames of a request, routing aside.
        keys: Keys of CURVE; None listens in the clear, on this machine only.
        counts: Where drops, answers that could not be sent (`unreachable`), and clients that did not get in
            are counted; see `Gate` for those.
        options: Where the user gives keys, for the messages.
        in_the_clear: Listen to other machines without keys.

    Raises:
        ConfigurationError: If the endpoint is none or cannot be had, or others could reach it without keys.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        per_client: int,
        max_bytes: int,
        max_frames: int,
        keys: ServerKeys | None,
        counts: Counters,
        options: str = "",
        in_the_clear: bool = False,
    ) -> None:
        self._max_frames = max_frames
        self._counts = counts
        self._inbox = Inbox(per_client=per_client, clients=_CLIENTS, max_bytes=_WAITING_BYTES, counts=counts)
        self._outbox: deque[tuple[bytes, Sequence[bytes | memoryview]]] = deque()
        self._closed = False
        self._bell = Doorbell()
        self._socket = socket = zmq.Context().socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.RCVHWM, 2 * per_client)
        socket.setsockopt(zmq.SNDHWM, 2 * per_client)
        probe(socket)
        give_up(socket)
        try:
            self.endpoint = listen(
                socket,
                endpoint,
                keys=keys,
                counts=counts,
                max_bytes=max_bytes,
                options=options,
                in_the_clear=in_the_clear,
            )
        except BaseException:
            stop_listening(socket)
            self._bell.close()
            raise
        self._thread = threading.Thread(target=self._run, name="router", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float | None = None) -> Arrival | None:
        """Wait for a request and take it; None on time-out, or once closed."""
        return self._inbox.take(timeout_s)

    def arrivals(self, pulse: Pulse) -> Iterator[Arrival]:
        """Yield request after request until closed; the loop that works on them beats."""
        done = latency_ns = 0
        pulse.begin(lambda _error: self._counts.add("beats_failed"))
        while not self._inbox.closed:
            pulse.turn(IDLE, done, latency_ns)
            arrival = self._inbox.take(pulse.wait_s(_IDLE_S))
            if arrival is not None:
                pulse.turn(RUNNING, done, latency_ns)
                yield arrival
                done, latency_ns = done + 1, time.monotonic_ns() - arrival.received_ns
        pulse.end(STOPPED, done, latency_ns)

    def send(self, route: bytes, frames: Sequence[bytes | memoryview]) -> None:
        """Send a message to a client if it is still there; from any thread, without waiting."""
        self._outbox.append((route, frames))
        self._bell.ring()

    def close(self) -> None:
        """Send what waits to be sent and stop; safe in signal handlers, and does not wait."""
        self._closed = True
        self._inbox.close()
        self._bell.ring()

    def join(self) -> None:
        """Wait until a closed socket has let go of its address."""
        self._thread.join()
        self._bell.close()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._inbox.close()
            stop_listening(self._socket)

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._bell, zmq.POLLIN)
        poller.register(self._socket, zmq.POLLIN)
        while not self._closed:
            ready = {socket for socket, _ in poller.poll()}
            if self._bell.fileno() in ready:
                self._bell.answer()
            self._send_waiting()
            if self._socket in ready:
                self._take_requests()
        self._send_waiting()

    def _take_requests(self) -> None:
        # A flood must not keep answers from going out.
        for _ in range(_CLIENTS):
            frames = receive(self._socket, self._max_frames + 1)
            if frames is None:
                return
            route = frames.pop(0).bytes
            self._inbox.put(Arrival(route, frames, time.monotonic_ns()))

    def _send_waiting(self) -> None:
        while self._outbox:
            route, frames = self._outbox.popleft()
            try:
                self._socket.send_multipart([route, *frames], zmq.NOBLOCK)
            except zmq.ZMQError:  # gone, or it does not read
                self._counts.add("unreachable")
