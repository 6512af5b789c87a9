# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The server over real sockets, with clients that behave and others."""

from __future__ import annotations

import contextlib
import errno
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lowlat_nodes.cli.dash import server as serving
from lowlat_nodes.cli.dash.assets import read_assets
from lowlat_nodes.cli.dash.feed import Feed
from lowlat_nodes.cli.dash.server import DashServer
from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.stream.errors import ConfigurationError

PATIENCE_S = 60.0
TOKEN = "a-token-of-24-characters"
JPEG = b"\xff\xd8 a picture \xff\xd9"


class Served:
    """A server, and a client for each request."""

    def __init__(self, folder: Path, token: str = "", port: int = 0) -> None:
        self.feed = Feed()
        self.asked: list[int] = []
        self.server = DashServer(
            "127.0.0.1",
            port,
            token,
            assets=read_assets(folder),
            feed=self.feed,
            history=lambda: b'{"at":[],"nodes":{}}',
            picture=self._picture,
        )
        self.port = self.server.port
        self.server.start()

    def _picture(self, index: int) -> Any:
        self.asked.append(index)
        if index == 1:
            raise BadImage("no picture")
        return SimpleNamespace(data=JPEG) if index == 0 else None

    def get(
        self, path: str, method: str = "GET", headers: dict[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        ) as client:
            client.request(method, path, headers=headers or {})
            response = client.getresponse()
            return response, response.read()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)

    def send(self, data: bytes) -> bytes:
        """Send bytes as they are and return everything that comes until the server closes."""
        with self.connect() as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while more := client.recv(1 << 16):
            found += more
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    (folder / "index.html").write_text("<!doctype html><title>dash</title>")
    (folder / "dash.js").write_text("'use strict';")
    (folder / "secret.py").write_text("secret")
    return folder


@pytest.fixture(scope="module")
def shared(page: Path) -> Iterator[Served]:
    """For tests that leave nothing behind."""
    made = Served(page)
    yield made
    made.server.close()


@pytest.fixture
def served(page: Path) -> Iterator[Served]:
    made = Served(page)
    yield made
    made.server.close()


@pytest.fixture
def guarded(page: Path) -> Iterator[Served]:
    made = Served(page, TOKEN)
    yield made
    made.server.close()


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def test_everything_that_the_page_needs_is_there(served: Served) -> None:
    for path, content_type, body in [
        ("/", "text/html; charset=utf-8", b"<!doctype html><title>dash</title>"),
        ("/?anything=1", "text/html; charset=utf-8", b"<!doctype html><title>dash</title>"),
        ("/assets/dash.js", "text/javascript; charset=utf-8", b"'use strict';"),
        ("/history.json", "application/json", b'{"at":[],"nodes":{}}'),
        ("/camera/0.jpg?s=17", "image/jpeg", JPEG),
    ]:
        response, found = served.get(path)
        assert (response.status, response.getheader("Content-Type"), found) == (200, content_type, body)
    assert served.get("/camera/7.jpg")[0].status == 204
    assert served.get("/camera/1.jpg")[0].status == 204
    assert served.asked == [0, 7, 1]


@pytest.mark.parametrize(
    "path",
    ["/assets/secret.py", "/assets/", "/assets/../secret.py", "/assets/%2e%2e/secret.py", "/../../etc/passwd",
     "//etc/passwd", "/camera/0.png", "/camera/-1.jpg", "/camera/1234.jpg", "/favicon.ico", "/events/x",
     "/index.html"],
)  # fmt: skip
def test_nothing_else_is(shared: Served, path: str) -> None:
    response, body = shared.get(path)
    assert (response.status, body) == (404, b"404 Not Found\n")


@pytest.mark.parametrize("path", ["/", "/assets/dash.js", "/nothing", "/camera/0.jpg", "/history.json"])
def test_every_answer_tells_the_browser_to_be_strict(shared: Served, path: str) -> None:
    response, _ = shared.get(path)
    policy = response.getheader("Content-Security-Policy") or ""
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Referrer-Policy") == "no-referrer"
    assert response.getheader("Cross-Origin-Resource-Policy") == "same-origin"
    assert response.getheader("Access-Control-Allow-Origin") is None
    assert response.getheader("Set-Cookie") is None


def test_an_unchanged_file_is_not_sent_again(shared: Served) -> None:
    tag = shared.get("/assets/dash.js")[0].getheader("ETag")
    response, body = shared.get("/assets/dash.js", headers={"If-None-Match": tag or ""})
    assert (response.status, body) == (304, b"")


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "FOO"]
)
def test_only_get_is_allowed(shared: Served, method: str) -> None:
    response, _ = shared.get("/", method)
    assert response.status == 405
    assert response.getheader("Allow") == "GET"


def test_several_requests_come_over_one_connection(shared: Served) -> None:
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", shared.port, timeout=PATIENCE_S)
    ) as client:
        for path, status in (("/", 200), ("/nothing", 404), ("/camera/7.jpg", 204), ("/assets/dash.js", 200)):
            client.request("GET", path)
            response = client.getresponse()
            response.read()
            assert response.status == status
            assert client.sock is not None  # it would be gone if the server had said that it closes


def test_a_name_that_was_made_to_mean_this_machine_is_refused(shared: Served) -> None:
    assert shared.get("/", headers={"Host": "evil.example"})[0].status == 403
    assert shared.get("/", headers={"Host": "localhost:1"})[0].status == 200
    assert b" 403 " in shared.send(b"GET / HTTP/1.1\r\n\r\n").split(b"\r\n")[0]
    twice = b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
    assert b" 403 " in shared.send(twice).split(b"\r\n")[0]


def test_with_a_token_nothing_is_served_without_it_or_its_cookie(guarded: Served) -> None:
    for path in (
        "/",
        "/events",
        "/history.json",
        "/camera/0.jpg",
        "/assets/dash.js",
        "/nothing",
        "/?token=x",
    ):
        response, body = guarded.get(path)
        assert (response.status, response.getheader("Set-Cookie")) == (403, None)
        assert body == b"403 open the address that lowlat dash has printed\n"
    assert not guarded.asked
    response, _ = guarded.get(f"/?token={TOKEN}")
    assert response.status == 200
    cookie = (response.getheader("Set-Cookie") or "").partition(";")[0]
    response, body = guarded.get("/camera/0.jpg", headers={"Cookie": cookie, "Host": "robot.local"})
    assert (response.status, body, response.getheader("Set-Cookie")) == (200, JPEG, None)


def test_snapshots_are_streamed_and_the_newest_comes_first(served: Served) -> None:
    served.feed.publish(b'{"sequence":1}')
    served.feed.publish(b'{"sequence":2}')
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_S)
    ) as client:
        client.request("GET", "/events")
        response = client.getresponse()
        assert response.getheader("Content-Type") == "text/event-stream"
        assert response.readline() == b'data: {"sequence":2}\n'
        assert response.readline() == b"\n"
        served.feed.publish(b'{"sequence":3}')
        lines = iter(response.readline, b"")
        assert next(line for line in lines if line.startswith(b"data")) == b'data: {"sequence":3}\n'
        assert served.feed.watched


def test_a_reader_that_does_not_read_holds_up_nobody_and_misses_what_is_old(served: Served) -> None:
    large = b"x" * 500_000
    with served.connect() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
        slow.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        until(lambda: served.feed.watched)
        before = threading.active_count()
        for number in range(60):
            served.feed.publish(b"%06d" % number + large)
            assert served.get("/history.json")[0].status == 200
        until(lambda: threading.active_count() <= before)
        found = b""
        while b"data: 000059" not in found:
            found += slow.recv(1 << 20)
    assert found.count(b"data: ") < 40


def test_connections_that_say_nothing_are_ended(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE_S", 0.3)
    with served.connect() as silent, served.connect() as dripping:
        dripping.sendall(b"GET / HT")
        ended = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not ended.wait(0.05):
                    dripping.sendall(b"T")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            assert read_all(silent) == b""
            read_all(dripping)
        finally:
            ended.set()
            thread.join()


def test_there_is_a_bound_on_connections(served: Served) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(serving.MOST_CONNECTIONS):
            client = opened.enter_context(served.connect())
            client.sendall(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"404" in client.recv(100)
        refused = opened.enter_context(served.connect())
        assert b" 503 " in read_all(refused).split(b"\r\n")[0]
    until(lambda: not served.server._deadlines)
    assert served.get("/")[0].status == 200


def test_there_is_a_bound_on_streams(served: Served) -> None:
    served.feed.publish(b"{}")
    with contextlib.ExitStack() as opened:
        for _ in range(serving.MOST_STREAMS):
            client = opened.enter_context(served.connect())
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert b"200" in client.recv(100)
        assert served.get("/events")[0].status == 503
        assert served.get("/")[0].status == 200

    def is_free() -> bool:
        with served.connect() as client:
            client.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return b"200" in client.recv(100)

    until(is_free)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"",
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1 more\r\n\r\n",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\na: " + b"b" * 70_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nGET /",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[evil/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /?" + b"a=b&" * 50 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /\x00\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_no_request_is_refused_and_the_next_one_is_answered(
    shared: Served, request_bytes: bytes
) -> None:
    answer = shared.send(request_bytes)
    assert b" 200 " not in answer.split(b"\r\n")[0]
    assert b"Traceback" not in answer
    assert shared.get("/")[0].status == 200


@settings(max_examples=50)
@given(st.binary(max_size=300))
def test_no_bytes_end_the_server(shared: Served, data: bytes) -> None:
    for sent in (data, b"GET " + data, b"GET / HTTP/1.1\r\n" + data + b"\r\n\r\n"):
        shared.send(sent)
    assert shared.get("/")[0].status == 200


def test_an_answer_that_fails_is_told_and_the_next_one_comes(
    served: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails() -> bytes:
        raise KeyError("history")

    former, served.server.history = served.server.history, fails
    assert served.send(b"GET /history.json HTTP/1.1\r\nHost: localhost\r\n\r\n") == b""
    served.server.history = former
    assert served.get("/history.json")[0].status == 200
    until(lambda: "a request failed: KeyError" in capsys.readouterr().err)


def test_closing_ends_all_connections(page: Path) -> None:
    served = Served(page)
    served.feed.publish(b"{}")
    with served.connect() as stream, served.connect() as idle:
        stream.sendall(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert stream.recv(10)
        idle.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(10)
        served.server.close()
        read_all(stream)
        read_all(idle)
    with pytest.raises(OSError, match="refused"):
        served.connect()


def test_a_port_that_is_taken_is_told_with_what_to_do(page: Path, served: Served) -> None:
    with pytest.raises(ConfigurationError, match=rf"port {served.port} of 127.0.0.1 is taken.* --port"):
        Served(page, port=served.port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
def test_an_address_of_another_machine_is_told(page: Path, host: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an address of this machine"):
        DashServer(
            host, 0, TOKEN, assets=read_assets(page), feed=Feed(), history=bytes, picture=lambda _index: None
        )


def test_a_low_port_is_told() -> None:
    error = OSError(errno.EACCES, "denied")
    assert "take one above 1023" in serving._cannot_listen("127.0.0.1", 80, error)
