# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A registry on loopback, and everything that may be wrong with one."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lowlat_nodes.alerts.registry import SchemaRegistry, UnknownSchema
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.schema_registry import MOST_BYTES, HttpSchemaRegistry

ANSWERS = {
    1: (200, json.dumps({"schema": '"long"'})),
    2: (200, json.dumps({"schema": '"long"', "schemaType": "AVRO", "references": []})),
    3: (200, json.dumps({"schema": "message", "schemaType": "PROTOBUF"})),
    4: (200, json.dumps({"schema": '"other"', "references": [{"name": "other"}]})),
    5: (200, "<html>"),
    6: (200, json.dumps({"schema": 6})),
    7: (500, json.dumps({"error_code": 50001})),
    8: (200, " " * (MOST_BYTES + 1)),
    9: (200, "[" * 100_000),
}


class Registry(BaseHTTPRequestHandler):
    """Answers as a registry does."""

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        number = int(self.path.removeprefix("/base/schemas/ids/"))
        status, text = ANSWERS.get(number, (404, json.dumps({"error_code": 40403})))
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def client(server: ThreadingHTTPServer) -> HttpSchemaRegistry:
    return HttpSchemaRegistry(f"http://127.0.0.1:{server.server_port}/base/")


@pytest.mark.parametrize("number", [1, 2])
def test_schemas(server: ThreadingHTTPServer, number: int) -> None:
    assert client(server)(number) == b'"long"'
    assert server.asked == [f"/base/schemas/ids/{number}"]


@pytest.mark.parametrize(
    ("number", "error", "reason"),
    [
        (3, LookupError, "without references"),
        (4, LookupError, "without references"),
        (5, OSError, "<html>"),
        (6, OSError, "with a schema"),
        (7, OSError, "500"),
        (8, LookupError, "more than"),
        (9, OSError, "with a schema"),
        (4_294_967_295, LookupError, "does not have it"),
    ],
)
def test_what_is_no_schema(
    server: ThreadingHTTPServer, number: int, error: type[Exception], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        client(server)(number)


def test_nobody_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(OSError, match="refused"):
        HttpSchemaRegistry(f"http://127.0.0.1:{port}")(1)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"", "without response|reset"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", "with a schema"),
    ],
)
def test_no_registry_there(monkeypatch: pytest.MonkeyPatch, said: bytes, reason: str) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(OSError, match=reason):
            HttpSchemaRegistry(f"http://127.0.0.1:{server.getsockname()[1]}")(1)
        thread.join()


def test_a_registry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(OSError, match="timed out"):
        HttpSchemaRegistry(f"http://127.0.0.1:{server.getsockname()[1]}", timeout_s=0.1)(1)


def test_a_registry_of_alerts_asks_once_for_what_there_is_not(server: ThreadingHTTPServer) -> None:
    registry = SchemaRegistry(fetch=client(server))
    assert registry.by_number(1) == b'"long"'
    for _ in range(3):
        with pytest.raises(UnknownSchema, match="unknown schema 77: the registry does not have it"):
            registry.by_number(77)
    assert server.asked == ["/base/schemas/ids/1", "/base/schemas/ids/77"]


@pytest.mark.parametrize("url", ["", "registry:8081", "file:///etc/passwd", "http://", "ftp://registry"])
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(ConfigurationError, match="URL"):
        HttpSchemaRegistry(url)
