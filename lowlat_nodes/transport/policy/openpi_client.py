# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A client of openpi's policy servers, and of whatever else speaks their protocol."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lowlat_nodes.stream.requester import AnswerRefused, RequestLate, ServerError, ServerGone
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError
from lowlat_nodes.transport.policy import openpi
from lowlat_nodes.transport.policy.websocket import bound_sends, require_websockets

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection

_DESCRIBE_NS = 10_000_000_000
_RETRY_NS = 100_000_000  # between two attempts to connect
_CLOSE_S = 1.0
_SILENT_REQUESTS = 3  # before the connection is given up
_TOO_BIG = 1009


class OpenpiClient:
    """Asks one server over one connection, which is opened when needed, and again after a loss.

    The protocol has no numbers that tie an answer to its request, only the order. So at most one request is
    ever unanswered: after a missed deadline the next request first waits for the overdue answer, discards it,
    and is sent only then. A request that could not be sent by its own deadline is late too; nothing piles up
    in a slow server. A server that stays silent for three requests in a row, or sends an answer that nobody
    asked for, is connected to anew.

    Args:
        address: `ws://host:port`, `wss://host:port` or `host:port`; port 8000 where none is given.
        token: Sent as `Authorization: Api-Key TOKEN`, if any.
        max_bytes: Largest answer that is taken.

    Raises:
        ConfigurationError: If the address is none.
        MissingExtra: If the library is not installed.
    """

    def __init__(self, address: str, *, token: str = "", max_bytes: int = MAX_MESSAGE) -> None:
        require_websockets()
        self._uri = openpi.split_address(address).geturl()
        self._headers = {openpi.AUTHORIZATION: openpi.api_key(token)} if token else {}
        self._max_bytes = max_bytes
        self._connection: ClientConnection | None = None
        self._opened = contextlib.ExitStack()  # ends it
        self._metadata: dict[str, Any] = {}
        self._owed = False  # an answer may still come
        self._silent = 0  # requests in a row without a sign of life
        self._retry_ns = 0  # no attempt to connect before
        self._problem = ""

    def describe(self) -> Mapping[str, Any]:
        """Return the server's metadata, of the present connection or a new one."""
        self._connected(time.monotonic_ns() + _DESCRIBE_NS)
        return self._metadata

    def request(self, observation: Mapping[str, Any], *, deadline_ns: int) -> Mapping[str, Any]:
        """Send an observation and return the answer to it; see `Requester`."""
        data = openpi.encode(observation)
        connection = self._connected(deadline_ns)
        self._settle(connection, deadline_ns)
        self._send(connection, data, deadline_ns)
        answer = self._receive(connection, deadline_ns)
        try:
            return openpi.decode(answer, max_bytes=self._max_bytes)
        except WireError as error:
            raise AnswerRefused(f"{self._uri}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._connection = None
        self._opened.close()

    def _connected(self, deadline_ns: int) -> ClientConnection:
        from websockets.protocol import State

        if self._connection is not None and self._connection.state is not State.OPEN:
            self._drop()
        return self._connection or self._open(deadline_ns)

    def _open(self, deadline_ns: int) -> ClientConnection:
        """Connect, and hear what the server is."""
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        now_ns = time.monotonic_ns()
        if now_ns < self._retry_ns:
            raise ServerGone(self._problem)
        try:
            opened = connect(
                self._uri,
                additional_headers=self._headers,
                compression=None,
                proxy=None,
                open_timeout=max(deadline_ns - now_ns, 0) * 1e-9,
                close_timeout=_CLOSE_S,
                ping_interval=None,  # deadlines tell sooner, and some servers answer none while they infer
                max_size=self._max_bytes,
                max_queue=2,
            )
            self._connection = self._opened.enter_context(opened)
        except (OSError, EOFError, UnicodeError, WebSocketException) as error:
            raise self._no_server(f"no connection to {self._uri}: {_reason(error)}") from error
        self._owed = True
        try:
            self._metadata = openpi.decode(self._receive(self._connection, deadline_ns))
        except WireError as error:
            self._drop()
            raise AnswerRefused(f"{self._uri}: metadata: {error}") from error
        except RequestLate as error:
            self._drop()
            raise self._no_server(f"{self._uri} lets us connect, but does not say what it is") from error
        return self._connection

    def _no_server(self, problem: str) -> ServerGone:
        """Put off the next attempt, and return the error of all requests until then."""
        self._retry_ns = time.monotonic_ns() + _RETRY_NS
        self._problem = problem
        return ServerGone(problem)

    def _settle(self, connection: ClientConnection, deadline_ns: int) -> None:
        """Get rid of what belongs to former requests."""
        if self._owed:
            self._receive(connection, deadline_ns)
        if self._has_message(connection):
            self._drop()
            raise AnswerRefused(f"{self._uri} sent an answer that nobody asked for")

    def _has_message(self, connection: ClientConnection) -> bool:
        from websockets.exceptions import ConnectionClosed

        try:
            connection.recv(0)
        except (TimeoutError, ConnectionClosed):  # sending will find out about the latter
            return False
        return True

    def _send(self, connection: ClientConnection, data: bytes, deadline_ns: int) -> None:
        from websockets.exceptions import ConnectionClosed

        left_ns = deadline_ns - time.monotonic_ns()
        if left_ns <= 0:
            raise RequestLate(f"{self._uri} answered the request before too late to send another one")
        bound_sends(connection.socket, left_ns)
        try:
            connection.send(data)
        except ConnectionClosed as error:
            self._drop()
            if isinstance(error.__cause__, BlockingIOError):
                raise RequestLate(f"{self._uri} does not take what is sent") from error
            raise ServerGone(f"{self._uri} closed the connection: {error}") from error
        self._owed = True

    def _receive(self, connection: ClientConnection, deadline_ns: int) -> bytes:
        """Wait for the answer that is owed."""
        from websockets.exceptions import ConnectionClosed

        try:
            message = connection.recv((deadline_ns - time.monotonic_ns()) * 1e-9)
        except TimeoutError as error:
            self._silent += 1
            if self._silent >= _SILENT_REQUESTS:
                self._drop()
            raise RequestLate(f"{self._uri} did not answer in time") from error
        except ConnectionClosed as error:
            self._drop()
            if error.sent is not None and error.sent.code == _TOO_BIG:
                raise AnswerRefused(f"{self._uri}: expected at most {self._max_bytes} bytes") from error
            raise ServerGone(f"{self._uri} closed the connection: {error}") from error
        self._owed = False
        self._silent = 0
        if isinstance(message, str):
            self._drop()
            raise ServerError(message)
        return message

    def _drop(self) -> None:
        """Let go of the connection at once, without a farewell that the server may not answer."""
        connection, self._connection = self._connection, None
        self._owed = False
        self._silent = 0
        self._opened.pop_all()
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.socket.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    """Return why there is no connection, and what to do where that is known."""
    from websockets.exceptions import InvalidStatus

    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 401:
            return "it refuses our token; give the one that the server was started with"
        return f"it answers with HTTP status {status}; expected a server of openpi's protocol"
    return str(error) or type(error).__name__
