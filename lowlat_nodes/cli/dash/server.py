# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP server of the page: it only answers GET, and only for what the page needs."""

from __future__ import annotations

import contextlib
import errno
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from lowlat_nodes.cli.dash.access import Access
from lowlat_nodes.cli.dash.assets import Asset
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.stream.errors import ConfigurationError, LowlatError

MOST_CONNECTIONS = 48
MOST_STREAMS = 16
PATIENCE_S = 15.0
"""How long a request may take to come, a connection to have the next one, and an answer to be taken."""

_CAMERA = re.compile(r"/camera/(\d{1,3})\.jpg\Z")
_SEND_BUFFER = 1 << 17  # what a slow reader of snapshots finds old
_TURN_S = 1.0
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class PictureLike(Protocol):
    """A JPEG file."""

    @property
    def data(self) -> bytes:
        """Return its bytes."""
        ...


class DashServer(ThreadingHTTPServer):
    """Serves one page and its data, with a thread for each connection and a bound on how many there are.

    Args:
        host: Address to listen at.
        port: Where; 0 takes a free one.
        token: What others must bring, empty for none.
        assets: The files of the page by path.
        feed: The snapshots.
        history: Returns the history as JSON.
        picture: Returns the newest picture of a camera; None without one. May raise `LowlatError`.

    Attributes:
        port: Where it listens.
        access: Who may read.

    Raises:
        ConfigurationError: If it cannot listen there, or the token does not do.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = 32

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        *,
        assets: Mapping[str, Asset],
        feed: Feed,
        history: Callable[[], bytes],
        picture: Callable[[int], PictureLike | None],
    ) -> None:
        Access(host, port, token)  # before anybody can connect
        self.assets, self.feed, self.history, self.picture = assets, feed, history, picture
        self.streams = threading.Semaphore(MOST_STREAMS)
        self._deadlines: dict[socket.socket, float] = {}
        self._lock = threading.Lock()
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self.address_family = family
            super().__init__(address, _Handler)  # type: ignore[arg-type]
        except (OSError, OverflowError) as error:
            raise ConfigurationError(_cannot_listen(host, port, error)) from error
        self.port: int = self.server_address[1]
        self.access = Access(host, self.port, token)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.2,), name="dash http", daemon=True)

    def server_bind(self) -> None:
        """Bind without a look-up of this machine's name, which may take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Answer no more, and end all connections."""
        self.feed.close()
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join()
        self.server_close()
        with self._lock:
            left = list(self._deadlines)
        for connection in left:
            _end(connection)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or refuse it where there are too many."""
        with self._lock:
            admitted = len(self._deadlines) < MOST_CONNECTIONS
            if admitted:
                self._deadlines[request] = time.monotonic() + PATIENCE_S
        if admitted:
            super().process_request(request, client_address)
            return
        with contextlib.suppress(OSError):
            request.setblocking(False)
            request.send(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        self.shutdown_request(request)

    def shutdown_request(self, request: Any) -> None:
        """Forget a connection."""
        with self._lock:
            self._deadlines.pop(request, None)
        super().shutdown_request(request)

    def service_actions(self) -> None:
        """End connections whose next request takes too long to come, a byte at a time or not at all."""
        now_s = time.monotonic()
        with self._lock:
            late = [connection for connection, end_s in self._deadlines.items() if end_s < now_s]
        for connection in late:
            _end(connection)

    def expect(self, connection: socket.socket, within_s: float) -> None:
        """Give a connection so much time for what comes next."""
        with self._lock:
            if connection in self._deadlines:
                self._deadlines[connection] = time.monotonic() + within_s

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say what went wrong in an answer, unless the other side just went away."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            print(f"lowlat dash: a request failed: {type(error).__name__}: {error}", file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: DashServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "lowlat", ""
    timeout = PATIENCE_S
    disable_nagle_algorithm = True
    _fresh = False  # whether this request brought the token

    def handle_one_request(self) -> None:
        self._fresh = False
        self.server.expect(self.connection, PATIENCE_S)
        super().handle_one_request()

    def do_GET(self) -> None:
        self.server.expect(self.connection, float("inf"))
        if self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            self.send_error(HTTPStatus.BAD_REQUEST, "expected a request without a body")
            return
        try:
            url = urlsplit(self.path)
            token = parse_qs(url.query, max_num_fields=8).get("token", [None])[0]
        except ValueError:
            self.send_error(HTTPStatus.BAD_REQUEST, "expected an address that can be read")
            return
        hosts = self.headers.get_all("Host") or []
        admitted = len(hosts) == 1 and self.server.access.admits(
            host=hosts[0], cookies=self.headers.get("Cookie"), token=token
        )
        if not admitted:
            self.send_error(HTTPStatus.FORBIDDEN, "open the address that lowlat dash has printed")
            return
        self._fresh = self.server.access.by_token(token)
        self._answer(url.path)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Refuse in plain text; a method other than GET is not allowed, whatever it is called."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        if status is not HTTPStatus.FORBIDDEN and status is not HTTPStatus.NOT_FOUND:
            self.close_connection = True  # what follows may be the body of what was refused
        text = status.phrase if status is HTTPStatus.METHOD_NOT_ALLOWED else message or status.phrase
        body = f"{int(status)} {text}\n".encode("utf-8", "replace")
        more = {"Allow": "GET"} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
        self._send(status, body, "text/plain; charset=utf-8", more)

    def version_string(self) -> str:
        return self.server_version

    def log_message(self, *_: Any) -> None:
        """Write nothing: a page asks several times a second."""

    def _answer(self, path: str) -> None:
        camera = _CAMERA.match(path)
        if path == "/events":
            self._events()
        elif path == "/history.json":
            self._send(HTTPStatus.OK, self.server.history(), "application/json")
        elif camera:
            self._camera(int(camera.group(1)))
        elif path in self.server.assets:
            self._asset(self.server.assets[path])
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _asset(self, asset: Asset) -> None:
        more = {"ETag": asset.tag, "Cache-Control": "no-cache"}
        if self.headers.get("If-None-Match") == asset.tag:
            self._send(HTTPStatus.NOT_MODIFIED, b"", "", more)
        else:
            self._send(HTTPStatus.OK, asset.data, asset.content_type, more)

    def _camera(self, index: int) -> None:
        try:
            picture = self.server.picture(index)
        except LowlatError:  # the snapshot says what is wrong
            picture = None
        if picture is None:
            self._send(HTTPStatus.NO_CONTENT, b"", "")
        else:
            self._send(HTTPStatus.OK, picture.data, "image/jpeg")

    def _events(self) -> None:
        if not self.server.streams.acquire(blocking=False):
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, f"{MOST_STREAMS} pages are open already")
            return
        try:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
            self._head(HTTPStatus.OK, {"Content-Type": "text/event-stream", "Connection": "close"})
            with self.server.feed.reading():
                self._follow(self.server.feed)
        finally:
            self.server.streams.release()

    def _follow(self, feed: Feed) -> None:
        """Send each snapshot that is the newest when the one before it was taken."""
        sequence = 0
        while feed.is_open:
            newer = feed.next(sequence, _TURN_S)
            if newer is None:
                self.wfile.write(b":\n\n")  # finds out whether anybody is there
                continue
            sequence, data = newer
            self.wfile.write(b"data: " + data + b"\n\n")

    def _send(
        self, status: HTTPStatus, body: bytes, content_type: str, more: Mapping[str, str] | None = None
    ) -> None:
        headers = dict(more or {})
        if content_type:
            headers["Content-Type"] = content_type
        if status not in {HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED}:
            headers["Content-Length"] = str(len(body))
        if self.close_connection:
            headers["Connection"] = "close"
        self._head(status, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Cache-Control": "no-store", **_HEADERS, **headers}.items():
            self.send_header(name, value)
        if self._fresh:
            self.send_header("Set-Cookie", self.server.access.cookie())
        self.end_headers()


def _end(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def _cannot_listen(host: str, port: int, error: Exception) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return (
            f"port {port} of {host} is taken, perhaps by another lowlat dash; take another with --port, or a "
            f"free one with --port 0 (`ss -ltnp 'sport = :{port}'` says who has it)"
        )
    if number == errno.EACCES:
        return f"port {port} is not for ordinary users; take one above 1023 with --port"
    if number == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"--host: expected an address of this machine, got {host!r} ({error})"
    return f"cannot listen at {host}:{port}: {error}"
