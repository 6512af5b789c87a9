# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A server for openpi's clients, and for whatever else speaks their protocol."""

from __future__ import annotations

import hmac
import http
import queue
import socket
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import IDLE, RUNNING, STOPPED
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.stream.requester import RequestRefused, Responder
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.loopback import is_loopback
from lowlat_nodes.transport.policy import openpi
from lowlat_nodes.transport.policy.websocket import bound_sends, require_websockets

if TYPE_CHECKING:
    from websockets.http11 import Request, Response
    from websockets.sync.server import ServerConnection

MAX_CLIENTS = 16

_IDLE_S = 1.0
_OPEN_S = 5.0
_CLOSE_S = 0.5
_PING_S = 20.0
_PONG_S = 60.0
_SEND_NS = 5_000_000_000
_GOING_AWAY, _TOO_BIG, _FAILED, _TRY_LATER = 1001, 1009, 1011, 1013


class _Stopped(Exception):
    """The server stops before a request was answered."""


@dataclass(eq=False)
class _Job:
    """A request that waits for its turn; the future gives the answer and how long it took."""

    connection: ServerConnection
    request: Mapping[str, Any]
    result: Future[tuple[Mapping[str, Any], int]] = field(default_factory=Future)


class OpenpiServer:
    """Serves a responder to several clients: a thread for each connection, and one inference at a time.

    The responder runs in the thread that calls `serve`, request after request in the order in which they
    came; pings and `GET /healthz` are answered meanwhile. Requests of clients that have gone are not worked
    on. Browsers are kept out: a page from anywhere could otherwise talk to this machine.

    Args:
        responder: Answers.
        address: Where to listen: `ws://host:port`; port 0 takes a free one.
        token: What clients must send as `Authorization: Api-Key TOKEN`, empty for nothing.
        insecure_bind: Listen to other machines too, although the protocol is in the clear.
        max_bytes: Largest request that is taken.

    Raises:
        ConfigurationError: If the address cannot be had, or other machines could reach it.
        MissingExtra: If the library is not installed.
    """

    def __init__(
        self,
        responder: Responder,
        *,
        address: str,
        token: str = "",
        insecure_bind: bool = False,
        max_bytes: int = MAX_MESSAGE,
    ) -> None:
        require_websockets()
        from websockets.sync.server import serve

        self._responder = responder
        self._metadata = openpi.encode(responder.describe())
        self._key = openpi.api_key(token).encode() if token else b""
        self._counters = Counters()
        self._problem = ""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._connections: set[ServerConnection] = set()
        self._closing = False
        self._stopped = False
        listener, self._address = _listen(address, insecure_bind)
        self._server = serve(
            self._converse,
            sock=listener,
            origins=[None],  # only browsers send an origin
            process_request=self._admit,
            compression=None,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
            ping_interval=_PING_S,
            ping_timeout=_PONG_S,
            max_size=max_bytes,
            max_queue=1,
        )

    @property
    def address(self) -> str:
        """Return where clients find it."""
        return self._address

    def counts(self) -> dict[str, int]:
        """Return how many connections and requests there were, and what became of them."""
        return self._counters.snapshot()

    def serve(self, pulse: Pulse | None = None) -> None:
        """Answer requests in this thread until `close`; beats there."""
        pulse = pulse or Pulse("policy")
        done = took_ns = 0
        accepting = threading.Thread(target=self._server.serve_forever, name="openpi_accept")
        accepting.start()
        try:
            pulse.begin(lambda _error: self._counters.add("beats_failed"))
            while not self._closing:
                pulse.turn(IDLE, done, took_ns)
                try:
                    job = self._jobs.get(timeout=pulse.wait_s(_IDLE_S))
                except queue.Empty:
                    continue
                if job is not None:
                    pulse.turn(RUNNING, done, took_ns)
                    took_ns = self._answer(job)
                    done += 1
            pulse.end(STOPPED, done, took_ns)
        finally:
            with self._lock:
                self._stopped = True
                connections = list(self._connections)
            while not self._jobs.empty():
                waiting = self._jobs.get()
                if waiting is not None:
                    waiting.result.set_exception(_Stopped())
            for connection in connections:
                connection.close(_GOING_AWAY, "the server stops")
            self._server.shutdown()
            accepting.join()

    def close(self) -> None:
        """Let `serve` return, once the inference that runs has ended."""
        self._closing = True
        self._jobs.put(None)

    def _answer(self, job: _Job) -> int:
        """Work on a request, in the thread of `serve`; return how long it took, 0 without an answer."""
        from websockets.protocol import State

        if job.connection.state is not State.OPEN:
            self._counters.add("abandoned")
            job.result.set_exception(_Stopped())
            return 0
        started_ns = time.monotonic_ns()
        try:
            answer = self._responder.respond(job.request, _host(job.connection))
        except Exception as error:  # a policy is foreign code
            job.result.set_exception(error)
        except BaseException:
            job.result.set_exception(_Stopped())
            raise
        else:
            took_ns = time.monotonic_ns() - started_ns
            job.result.set_result((answer, took_ns))
            return took_ns
        return 0

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer what is no WebSocket, and turn away who does not know the token."""
        if request.path == openpi.HEALTH_PATH:
            return connection.respond(http.HTTPStatus.OK, "OK\n")
        if self._key:
            given = request.headers.get_all(openpi.AUTHORIZATION)
            known = [hmac.compare_digest(value.encode("utf-8", "replace"), self._key) for value in given]
            if known != [True]:
                self._counters.add("unauthorized")
                return connection.respond(
                    http.HTTPStatus.UNAUTHORIZED, "expected the header Authorization: Api-Key TOKEN\n"
                )
        return None

    def _converse(self, connection: ServerConnection) -> None:
        """Serve one client, in its thread."""
        from websockets.exceptions import ConnectionClosed

        with self._lock:
            room = len(self._connections) < MAX_CLIENTS and not self._stopped
            if room:
                self._connections.add(connection)
        if not room:
            self._counters.add("turned_away")
            connection.close(_TRY_LATER, f"expected at most {MAX_CLIENTS} clients")
            return
        self._counters.add("connections")
        bound_sends(connection.socket, _SEND_NS)
        try:
            connection.send(self._metadata)
            previous_ns = 0
            while True:
                began_ns = time.monotonic_ns()
                reply = self._reply(connection, connection.recv(), previous_ns)
                connection.send(reply)
                if isinstance(reply, str):
                    connection.close(_FAILED, "the request failed")
                    return
                previous_ns = time.monotonic_ns() - began_ns
        except ConnectionClosed as error:
            if error.sent is not None and error.sent.code == _TOO_BIG:
                self._counters.add("oversized")
        except _Stopped:
            pass
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _reply(self, connection: ServerConnection, message: str | bytes, previous_ns: int) -> bytes | str:
        """Return the answer to a message: bytes, or the text of an error."""
        self._counters.add("requests")
        try:
            answer, took_ns = self._ask(connection, message)
            timing = {"infer_ms": took_ns * 1e-6}
            if previous_ns:
                timing["prev_total_ms"] = previous_ns * 1e-6
            return openpi.encode({**answer, "server_timing": timing})
        except _Stopped:
            raise
        except RequestRefused as error:
            self._counters.add("refused")
            return f"request refused: {error}"
        except Exception as error:  # whatever the policy raised; clients are not shown where
            self._counters.add("failed")
            self._complain(f"the policy failed: {type(error).__name__}: {error}")
            return f"the policy failed with {type(error).__name__}; the log of the server says more"

    def _ask(self, connection: ServerConnection, message: str | bytes) -> tuple[Mapping[str, Any], int]:
        """Let `serve` work on a message; return the answer and how long it took."""
        if isinstance(message, str):
            raise RequestRefused(f"expected a binary message, got text of {len(message)} characters")
        try:
            job = _Job(connection, openpi.decode(message))
        except WireError as error:
            raise RequestRefused(str(error)) from error
        with self._lock:
            if self._stopped:
                raise _Stopped
            self._jobs.put(job)
        return job.result.result()

    def _complain(self, problem: str) -> None:
        """Print what is new."""
        if problem != self._problem:
            print(problem, file=sys.stderr, flush=True)
        self._problem = problem


def _host(connection: ServerConnection) -> str:
    """Return the address of a client's machine."""
    address = connection.remote_address
    return str(address[0]) if isinstance(address, tuple) and address else ""


def _listen(address: str, insecure_bind: bool) -> tuple[socket.socket, str]:
    """Return a socket that listens, and its address for clients."""
    parts = openpi.split_address(address)
    host, port = parts.hostname or "", parts.port or 0
    if parts.scheme != "ws":
        raise ConfigurationError(f"expected to listen at ws://host:port, got {address!r}; a proxy can do TLS")
    if not insecure_bind and not is_loopback(host):
        raise ConfigurationError(
            f"{address}: other machines can reach this address, and the protocol is in the clear; expected a "
            f"loopback address"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(f"expected an address to listen at, got {address!r}: {error}") from error
    return listener, f"ws://{openpi.netloc(host, listener.getsockname()[1])}"
