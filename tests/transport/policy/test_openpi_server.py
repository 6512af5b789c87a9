# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The server for openpi's clients: the conversation, and what strangers cannot do to it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
from openpi_peers import ANY, PATIENCE_S, Doubler, asking, serving, soon, state, until

from lowlat_nodes.control.policies.policy import Observation, PolicySpec
from lowlat_nodes.control.policies.remote import RemoteConfig, RemotePolicy
from lowlat_nodes.control.policies.serving import PolicyResponder
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import ServerError, ServerGone
from lowlat_nodes.transport.loopback import is_loopback
from lowlat_nodes.transport.policy import openpi
from lowlat_nodes.transport.policy.openpi_client import OpenpiClient
from lowlat_nodes.transport.policy.openpi_server import MAX_CLIENTS, OpenpiServer
from lowlat_nodes.transport.policy.serve import make_server

pytestmark = pytest.mark.remote

EVERYWHERE = "0.0.0.0"  # noqa: S104


@contextlib.contextmanager
def raw(server: OpenpiServer) -> Iterator[Any]:
    """Connect with the library alone, and pass the first message by."""
    from websockets.sync.client import connect

    with connect(server.address, compression=None, proxy=None, close_timeout=1.0) as connection:
        assert isinstance(connection.recv(PATIENCE_S), bytes)
        yield connection


def get(server: OpenpiServer, path: str) -> tuple[int, bytes]:
    client = http.client.HTTPConnection(openpi.split_address(server.address).netloc, timeout=PATIENCE_S)
    client.request("GET", path)
    response = client.getresponse()
    result = response.status, response.read()
    client.close()
    return result


def test_the_conversation() -> None:
    doubler = Doubler()
    with serving(doubler) as server:
        from websockets.sync.client import connect

        with connect(server.address, compression=None, proxy=None) as connection:
            metadata = openpi.decode(connection.recv(PATIENCE_S))
            assert metadata["robot"] == "doubler"
            for index in range(2):
                connection.send(openpi.encode(state(1)))
                reply = openpi.decode(connection.recv(PATIENCE_S))
                assert reply["actions"].tolist() == [[2.0, 2.0]] * 2
                timing = reply["server_timing"]
                assert timing["infer_ms"] >= 0.0
                assert ("prev_total_ms" in timing) == (index > 0)
    assert doubler.clients == ["127.0.0.1"] * 2


def test_the_plan_and_the_delay_come_along() -> None:
    class Continuing:
        spec = PolicySpec((), ("position",), {}, False, 3, 20_000_000, (False,), ("delay", "prefix"))

        def infer(self, observation: Observation) -> np.ndarray:
            self.seen = observation
            return np.zeros((3, 1))

    policy = Continuing()
    seen = Observation(
        np.zeros(1, np.float32), delay_rows=1.75, decided=np.array([[0.1], [0.2]]), committed=1
    )
    with (
        serving(PolicyResponder(policy, RemoteConfig().request_form({}))) as server,
        asking(server.address) as client,
    ):
        remote = RemotePolicy(client, RemoteConfig())
        assert remote.spec == policy.spec
        remote.infer(seen)
    assert (policy.seen.delay_rows, policy.seen.committed) == (1.75, 1)
    assert policy.seen.decided is not None
    assert policy.seen.decided.tolist() == [[0.1], [0.2]]


@pytest.mark.parametrize("made", [lambda: state(-1), lambda: {"state": 3}])
def test_a_failure_is_text_without_our_internals_and_the_end_of_the_connection(
    made: Callable[[], Any], capfd: pytest.CaptureFixture[str]
) -> None:
    with serving(Doubler()) as server, raw(server) as connection:
        connection.send(openpi.encode(made()))
        text = connection.recv(PATIENCE_S)
        assert isinstance(text, str)
        assert text.startswith("the policy failed with ")
        assert "secret" not in text
        assert "Traceback" not in text
        assert "lowlat_nodes" not in text
        until(lambda: connection.close_code is not None)
        assert connection.close_code == 1011
        assert server.counts()["failed"] == 1
    assert "the policy failed: " in capfd.readouterr().err


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (b"garbage", "expected msgpack"),
        (b"", "expected msgpack"),
        ("text", "expected a binary message"),
        (msgpack.packb([1]), "expected a map"),
        (msgpack.packb({"state": {b"__ndarray__": True}}), "expected the keys"),
        (
            msgpack.packb({"state": {b"__ndarray__": True, b"data": b"", b"dtype": "|O", b"shape": [10**9]}}),
            "expected a dtype",
        ),
        (
            msgpack.packb(
                {"state": {b"__ndarray__": True, b"data": b"", b"dtype": "<f4", b"shape": [10**9]}}
            ),
            "expected sizes",
        ),
        (
            msgpack.packb(
                {"state": {b"__ndarray__": True, b"data": b"", b"dtype": "<f4", b"shape": [10**5] * 2}}
            ),
            "takes 40000000000 bytes, 0 came with it",
        ),
        (openpi.encode({"other": 1}), "state: expected 2 numbers, got nothing"),
    ],
)
def test_garbage_is_refused_with_the_reason(message: bytes | str, why: str) -> None:
    responder = Doubler()
    with serving(responder) as server, asking(server.address) as good:
        with raw(server) as connection:
            connection.send(message)
            text = connection.recv(PATIENCE_S)
            assert isinstance(text, str)
            assert text.startswith("request refused: ")
            assert why in text
        assert server.counts()["refused"] == 1
        assert good.request(state(1), deadline_ns=soon())["actions"][0, 0] == 2.0


def test_an_oversized_message_ends_the_connection_only() -> None:
    with serving(Doubler(), max_bytes=4000) as server, asking(server.address) as good:
        with raw(server) as connection:
            connection.send(bytes(5000))
            until(lambda: connection.close_code is not None)
            assert connection.close_code == 1009
        until(lambda: server.counts().get("oversized") == 1)
        assert good.request(state(1), deadline_ns=soon())["actions"][0, 0] == 2.0


def test_garbage_instead_of_a_handshake() -> None:
    with serving(Doubler()) as server, asking(server.address) as good:
        parts = openpi.split_address(server.address)
        for junk in (
            b"\x00" * 10_000,
            b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000,
            b"POST / HTTP/1.1\r\n\r\n",
        ):
            with socket.create_connection((parts.hostname, parts.port), PATIENCE_S) as stranger:
                stranger.sendall(junk)
        assert good.request(state(1), deadline_ns=soon())["actions"][0, 0] == 2.0


def test_one_inference_at_a_time_in_one_thread_whoever_asks() -> None:
    responder = Doubler()
    answers: list[float] = []

    def ask(address: str, value: float) -> None:
        with asking(address) as client:
            for _ in range(10):
                actions = client.request(state(value), deadline_ns=soon())["actions"]
                answers.append(float(actions[0, 0]) - 2 * value)

    with serving(responder) as server:
        threads = [threading.Thread(target=ask, args=(server.address, float(i))) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
    assert answers == [0.0] * 40
    assert responder.most_at_work == 1
    assert len(responder.threads) == 1


def test_pings_and_health_are_answered_during_an_inference() -> None:
    responder = Doubler()
    responder.go.clear()
    with serving(responder) as server, raw(server) as connection, raw(server) as other:
        connection.send(openpi.encode(state(1)))
        assert responder.begun.acquire(timeout=PATIENCE_S)
        assert connection.ping().wait(PATIENCE_S)
        assert other.ping().wait(PATIENCE_S)
        assert get(server, "/healthz") == (200, b"OK\n")
        responder.go.set()
        assert isinstance(connection.recv(PATIENCE_S), bytes)


def test_the_request_of_a_client_that_has_gone_is_not_worked_on() -> None:
    responder = Doubler()
    responder.go.clear()
    with serving(responder) as server:
        with raw(server) as first:
            first.send(openpi.encode(state(1)))
            assert responder.begun.acquire(timeout=PATIENCE_S)
            with raw(server) as second:
                second.send(openpi.encode(state(2)))
                until(lambda: server.counts()["requests"] == 2)
            responder.go.set()
            first.recv(PATIENCE_S)
        until(lambda: server.counts().get("abandoned") == 1)
    assert len(responder.requests) == 1


def test_clients_beyond_the_limit_are_turned_away() -> None:
    with serving(Doubler()) as server, contextlib.ExitStack() as others:
        connections = [others.enter_context(raw(server)) for _ in range(MAX_CLIENTS)]
        with asking(server.address) as client, pytest.raises(ServerGone, match="1013"):
            client.request(state(1), deadline_ns=soon())
        connections[0].close()
        with asking(server.address) as client:
            until(lambda: _is_served(client))


def _is_served(client: OpenpiClient) -> bool:
    try:
        return bool(client.request(state(1), deadline_ns=soon()))
    except ServerGone:
        return False


def test_a_token_is_asked_for() -> None:
    with serving(Doubler(), token="s3cret") as server:
        with asking(server.address, token="s3cret") as client:
            client.request(state(1), deadline_ns=soon())
        for wrong in ("", "other", "s3cret2"):
            with asking(server.address, token=wrong) as client, pytest.raises(ServerGone, match="our token"):
                client.request(state(1), deadline_ns=soon())
        assert get(server, "/healthz") == (200, b"OK\n")
        assert get(server, "/")[0] == 401
        assert server.counts()["unauthorized"] == 4


def test_browsers_are_kept_out() -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    with serving(Doubler()) as server, pytest.raises(InvalidStatus, match="403"):
        connect(server.address, proxy=None, origin="http://evil.example")


def test_the_end_of_the_server_is_told_to_clients_and_to_requests_that_wait() -> None:
    responder = Doubler()
    responder.go.clear()
    server = OpenpiServer(responder, address=ANY)
    thread = threading.Thread(target=server.serve)
    thread.start()
    with raw(server) as idle, raw(server) as busy, raw(server) as waiting:
        busy.send(openpi.encode(state(1)))
        assert responder.begun.acquire(timeout=PATIENCE_S)
        waiting.send(openpi.encode(state(2)))
        until(lambda: server.counts()["requests"] == 2)
        server.close()
        responder.go.set()
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
        for connection in (idle, busy, waiting):
            until(lambda connection=connection: connection.close_code is not None)
            assert connection.close_code in (1000, 1001)
    assert len(responder.requests) == 1


def test_an_interrupt_in_the_policy_ends_the_server() -> None:
    class Interrupted(Doubler):
        def respond(self, _request: Any, _client: str = "") -> Any:
            raise KeyboardInterrupt

    server = OpenpiServer(Interrupted(), address=ANY)
    ended: list[BaseException] = []

    def serve() -> None:
        try:
            server.serve()
        except KeyboardInterrupt as error:
            ended.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    with raw(server) as connection:
        connection.send(openpi.encode(state(1)))
        thread.join(PATIENCE_S)
    assert len(ended) == 1


def test_an_answer_that_cannot_be_sent_is_a_failure_of_the_policy() -> None:
    class Odd(Doubler):
        def respond(self, _request: Any, _client: str = "") -> Any:
            return {"actions": np.array([object()])}

    with (
        serving(Odd()) as server,
        asking(server.address) as client,
        pytest.raises(ServerError, match="WireError"),
    ):
        client.request(state(1), deadline_ns=soon())


@pytest.mark.parametrize("host", [EVERYWHERE, "::", "robot.local", "192.168.1.5"])
@pytest.mark.parametrize(("insecure", "token"), [(False, ""), (True, ""), (False, "s3cret")])
def test_other_machines_are_listened_to_only_on_demand(host: str, insecure: bool, token: str) -> None:
    with pytest.raises(ConfigurationError, match="--insecure-bind and --token-file"):
        make_server("openpi", Doubler(), host=host, port=0, token=token, insecure_bind=insecure)


def test_other_machines_can_be_listened_to() -> None:
    server = make_server("openpi", Doubler(), host=EVERYWHERE, port=0, token="s3cret", insecure_bind=True)
    assert server.address.startswith("ws://0.0.0.0:")
    server.close()
    server.serve()


def test_loopback() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("", EVERYWHERE, "10.0.0.1", "example.org", "localhost.evil.example")))


def test_a_port_that_is_taken() -> None:
    with (
        serving(Doubler()) as server,
        pytest.raises(ConfigurationError, match="expected an address to listen at"),
    ):
        OpenpiServer(Doubler(), address=server.address)
    with pytest.raises(ConfigurationError, match="a proxy can do TLS"):
        OpenpiServer(Doubler(), address="wss://127.0.0.1:0")
