# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The client for openpi's servers: what it makes of servers that are late, wrong, dead or back again."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from openpi_peers import Doubler, asking, in_ms, scripted, serving, soon, state, until

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import (
    AnswerRefused,
    RequestLate,
    ServerError,
    ServerGone,
)
from lowlat_nodes.transport.policy import openpi
from lowlat_nodes.transport.policy.connect import connect
from lowlat_nodes.transport.policy.openpi_client import OpenpiClient

pytestmark = pytest.mark.remote

ARRAY = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [2]}


def answer(message: bytes) -> bytes:
    """Return the answer of a well-behaved server: what it was asked."""
    return openpi.encode({"actions": openpi.decode(message)["state"]})


def number(given: Any) -> float:
    return float(given["actions"].flat[0])


def test_a_request_has_its_answer() -> None:
    with serving(Doubler()) as server, asking(server.address) as client:
        assert client.describe()["robot"] == "doubler"
        assert client.describe()["pose"].tolist() == [0.0, 1.0, 2.0]
        for index in range(20):
            actions = client.request(state(index), deadline_ns=soon())["actions"]
            assert actions.tolist() == [[2.0 * index, 2.0]] * 2
        assert server.counts() == {"connections": 1, "requests": 20}


def test_images_survive_the_way() -> None:
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    seen = []

    class Camera(Doubler):
        def respond(self, request: Any, _client: str = "") -> Any:
            seen.append(request["images"]["front"])
            return {"actions": request["images"]["front"][:, :, 0]}

    with serving(Camera()) as server, asking(server.address) as client:
        reply = client.request({"images": {"front": image}}, deadline_ns=soon())
    assert np.array_equal(seen[0], image)
    assert np.array_equal(reply["actions"], image[:, :, 0])


def test_a_late_answer_is_never_that_of_the_next_request() -> None:
    responder = Doubler()
    with serving(responder) as server, asking(server.address) as client:
        client.describe()
        responder.go.clear()
        with pytest.raises(RequestLate):
            client.request(state(1), deadline_ns=in_ms(500))
        assert responder.begun.acquire(timeout=30)
        with pytest.raises(RequestLate):  # not even sent: the server is still at the first
            client.request(state(2), deadline_ns=in_ms(20))
        responder.go.set()
        assert number(client.request(state(3), deadline_ns=soon())) == 6.0
        assert number(client.request(state(4), deadline_ns=soon())) == 8.0
        assert [float(request["state"][0]) for request in responder.requests] == [1.0, 3.0, 4.0]
        assert server.counts()["connections"] == 1


def test_answers_twice() -> None:
    sent = threading.Event()

    def twice(connection: Any) -> None:
        for message in connection:
            connection.send(answer(message))
            if not sent.is_set():
                connection.send(answer(message))
                assert connection.ping().wait(30)  # the client's pong comes after it has taken both
                sent.set()

    with scripted(twice) as address, asking(address) as client:
        assert number(client.request(state(1), deadline_ns=soon())) == 1.0
        assert sent.wait(30)
        with pytest.raises(AnswerRefused, match="nobody asked for"):
            client.request(state(2), deadline_ns=soon())
        assert number(client.request(state(3), deadline_ns=soon())) == 3.0


def test_never_answers() -> None:
    connections = []

    def silent(connection: Any) -> None:
        connections.append(connection)
        for _ in connection:
            pass

    def asked_anew() -> bool:
        with pytest.raises((RequestLate, ServerGone)):  # the latter where connecting takes too long
            client.request(state(1), deadline_ns=in_ms(200))
        return len(connections) == 2

    with scripted(silent) as address, asking(address) as client:
        client.describe()
        until(lambda: connections)
        for _ in range(3):
            assert len(connections) == 1
            with pytest.raises(RequestLate):
                client.request(state(1), deadline_ns=in_ms(20))
        until(asked_anew)


def test_says_nothing_at_all() -> None:
    with (
        scripted(lambda connection: connection.recv(), metadata=None) as address,
        asking(address) as client,
        pytest.raises(ServerGone, match=r"does not say what it is|no connection"),
    ):
        client.request(state(1), deadline_ns=in_ms(500))


def test_text_is_the_error_of_the_server() -> None:
    def fails(connection: Any) -> None:
        connection.recv()
        connection.send("Traceback (most recent call last):\n  \x1b[31m" + "x" * 5000 + "\nKeyError: 'state'")
        connection.close(1011, "Internal server error. Traceback included in previous frame.")

    with scripted(fails) as address, asking(address) as client:
        for _ in range(2):  # and it is asked again
            with pytest.raises(ServerError) as caught:
                client.request(state(1), deadline_ns=soon())
            text = str(caught.value)
            assert text.startswith("the server failed: Traceback")
            assert text.endswith("KeyError: 'state'")
            assert text.isprintable()
            assert len(text) < 1100


@pytest.mark.parametrize(
    "wrong",
    [
        b"",
        b"garbage",
        msgpack.packb("text"),
        msgpack.packb([1, 2]),
        msgpack.packb({"actions": {**ARRAY, b"shape": [10**9]}}),
        msgpack.packb({"actions": {**ARRAY, b"dtype": "|O"}}),
        msgpack.packb({"actions": {**ARRAY, b"shape": [3]}}),
        msgpack.packb({"actions": b"bytes"}),
        b"\xdd\xff\xff\xff\xff",
    ],
)
def test_an_answer_that_cannot_be_decoded(wrong: bytes) -> None:
    def once(connection: Any) -> None:
        connection.recv()
        connection.send(wrong)
        for message in connection:
            connection.send(answer(message))

    with scripted(once) as address, asking(address) as client:
        with pytest.raises(AnswerRefused):
            client.request(state(1), deadline_ns=soon())
        assert number(client.request(state(2), deadline_ns=soon())) == 2.0


def test_an_oversized_answer() -> None:
    def large(connection: Any) -> None:
        connection.recv()
        connection.send(bytes(5000))
        connection.recv()

    with (
        scripted(large) as address,
        asking(address, max_bytes=4000) as client,
        pytest.raises(AnswerRefused, match="at most 4000 bytes"),
    ):
        client.request(state(1), deadline_ns=soon())


@pytest.mark.parametrize("metadata", [b"garbage", msgpack.packb([1])])
def test_metadata_that_cannot_be_decoded(metadata: bytes) -> None:
    with (
        scripted(lambda connection: connection.recv(), metadata=metadata) as address,
        asking(address) as client,
        pytest.raises(AnswerRefused, match="metadata"),
    ):
        client.describe()


def test_a_server_that_dies_in_a_request_and_comes_back() -> None:
    turns = itertools.count()

    def dies_once(connection: Any) -> None:
        for message in connection:
            if next(turns) == 0:
                connection.socket.shutdown(socket.SHUT_RDWR)
            else:
                connection.send(answer(message))

    with scripted(dies_once) as address, asking(address) as client:
        with pytest.raises(ServerGone, match="closed the connection"):
            client.request(state(1), deadline_ns=soon())
        assert number(client.request(state(2), deadline_ns=soon())) == 2.0


def test_a_dead_server_is_told_at_once_and_a_new_one_is_found() -> None:
    with serving(Doubler()) as server:
        address = server.address
        client = OpenpiClient(address)
        client.request(state(1), deadline_ns=soon())
    try:
        for _ in range(3):  # long before the deadline
            with pytest.raises(ServerGone):
                client.request(state(1), deadline_ns=soon())
        with serving(Doubler(), address):
            until(lambda: _answers(client))
    finally:
        client.close()


def _answers(client: OpenpiClient) -> bool:
    try:
        return number(client.request(state(5), deadline_ns=soon())) == 10.0
    except ServerGone:
        return False


def test_a_server_that_does_not_read_cannot_hold_a_request_up() -> None:
    stuck = threading.Event()

    def deaf(connection: Any) -> None:
        connection.recv_flow_control.acquire()  # its thread reads no more
        stuck.wait(30)
        connection.recv_flow_control.release()

    large = {"state": np.zeros(30_000_000, np.uint8)}
    with scripted(deaf) as address, asking(address) as client:
        client.describe()
        started = time.monotonic()
        with pytest.raises((RequestLate, ServerGone)):
            client.request(large, deadline_ns=in_ms(200))
        assert time.monotonic() - started < 20.0
        stuck.set()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP status 404"),
        (b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", "refuses our token"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no connection"),
        (b"", "no connection"),
    ],
)
def test_a_server_of_another_kind(reply: bytes, why: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            connection.recv(4096)
            connection.sendall(reply)
            connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        with asking(f"127.0.0.1:{listener.getsockname()[1]}") as client, pytest.raises(ServerGone, match=why):
            client.request(state(1), deadline_ns=soon())
        thread.join(30)


def test_a_host_that_takes_connections_and_nothing_else() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        asking(f"127.0.0.1:{listener.getsockname()[1]}") as client,
        pytest.raises(ServerGone),
    ):
        client.request(state(1), deadline_ns=in_ms(100))


@pytest.mark.parametrize("make", [lambda: connect("openpy", "x"), lambda: connect("openpi", "http://x")])
def test_wrong_names_and_addresses_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"openpi|ws://"):
        make()
