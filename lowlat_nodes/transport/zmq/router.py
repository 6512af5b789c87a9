# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The answering end of request and reply: a ROUTER socket with a thread of its own."""

from __future__ import annotations

import contextlib
import socket as sockets
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

import zmq

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.zmq.curve import ZAP_ENDPOINT, ServerKeys, answer_zap, secure_server
from lowlat_nodes.transport.zmq.endpoint import allow_ipv6, check_endpoint
from lowlat_nodes.transport.zmq.inbox import Arrival, Inbox
from lowlat_nodes.transport.zmq.options import REFUSED_HANDSHAKES, keep_alive, receive

_LINGER_MS = 200  # for the last answers
_CLIENTS = 64
_WAITING_BYTES = 256 << 20


class Router:
    """A ROUTER socket whose requests wait in an `Inbox` for the thread that takes them.

    The thread of the socket stamps requests as they come, however long the last one takes to answer, and
    lets clients in by their keys. It ends with `close`.

    Args:
        endpoint: Where to listen; port 0 takes a free one.
        per_client: How many requests of one client may wait; the newest stay.
        max_bytes: Largest frame of a request; a larger one breaks the connection.
        max_frames: Most frames of a request, routing aside.
        keys: Keys of CURVE; None listens in the clear.
        counts: Where drops, refused handshakes (`handshakes_refused`) and answers that could not be sent
            (`unreachable`) are counted.

    Raises:
        ConfigurationError: If the endpoint is none, or cannot be had.
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
    ) -> None:
        check_endpoint(endpoint)
        self._max_frames = max_frames
        self._keys = keys
        self._counts = counts
        self._inbox = Inbox(per_client=per_client, clients=_CLIENTS, max_bytes=_WAITING_BYTES, counts=counts)
        self._outbox: deque[tuple[bytes, Sequence[bytes | memoryview]]] = deque()
        self._closed = False
        self._wake, self._woken = sockets.socketpair()
        for end in (self._wake, self._woken):
            end.setblocking(False)
        self._context = zmq.Context()
        self._socket = socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.LINGER, _LINGER_MS)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
        socket.setsockopt(zmq.RCVHWM, 2 * per_client)
        socket.setsockopt(zmq.SNDHWM, 2 * per_client)
        keep_alive(socket)
        allow_ipv6(socket, endpoint)
        self._zap: zmq.Socket[bytes] | None = None
        if keys is not None:
            self._zap = self._context.socket(zmq.REP)
            self._zap.bind(ZAP_ENDPOINT)
            secure_server(socket, keys)
        self._monitor = socket.get_monitor_socket(REFUSED_HANDSHAKES)
        try:
            socket.bind(endpoint)
            if endpoint.startswith("ipc://"):
                Path(endpoint.removeprefix("ipc://")).chmod(0o600)
        except (zmq.ZMQError, OSError) as error:
            self._let_go()
            self._hang_up()
            raise ConfigurationError(f"cannot listen at {endpoint!r}: {error}") from error
        self.endpoint: str = socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._thread = threading.Thread(target=self._run, name="router", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float | None = None) -> Arrival | None:
        """Wait for a request and take it; None on time-out, or once closed."""
        return self._inbox.take(timeout_s)

    def send(self, route: bytes, frames: Sequence[bytes | memoryview]) -> None:
        """Send a message to a client if it is still there; from any thread, without waiting."""
        self._outbox.append((route, frames))
        self._ring()

    def close(self) -> None:
        """Send what waits to be sent and stop; safe in signal handlers, and does not wait."""
        self._closed = True
        self._inbox.close()
        self._ring()

    def join(self) -> None:
        """Wait until a closed socket has let go of its address."""
        self._thread.join()
        self._hang_up()

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # full: it will wake up as it is; closed: nobody is there to wake
            self._wake.send(b"\0")

    def _hang_up(self) -> None:
        self._wake.close()
        self._woken.close()

    def _run(self) -> None:
        try:
            self._serve()
        finally:
            self._inbox.close()
            self._let_go()

    def _serve(self) -> None:
        poller = zmq.Poller()
        poller.register(self._woken, zmq.POLLIN)
        for socket in (self._socket, self._monitor, self._zap):
            if socket is not None:
                poller.register(socket, zmq.POLLIN)
        while not self._closed:
            ready = {socket for socket, _ in poller.poll()}
            if self._woken.fileno() in ready:
                self._woken.recv(4096)
            self._send_waiting()
            if self._socket in ready:
                self._take_requests()
            if self._zap in ready:
                self._let_in()
            if self._monitor in ready:
                self._monitor.recv_multipart()
                self._counts.add("handshakes_refused")
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

    def _let_in(self) -> None:
        assert self._zap is not None
        assert self._keys is not None
        reply, known = answer_zap(self._zap.recv_multipart(), self._keys.allowed)
        if not known:
            self._counts.add("keys_refused")
        self._zap.send_multipart(reply)

    def _let_go(self) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        if self._zap is not None:
            self._zap.close()
        self._context.term()
