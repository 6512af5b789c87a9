# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What only our own protocol can: skip expired work, and keep strangers out."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest
import zmq
from zmq_peers import Doubler, asking, in_ms, observation, serving, soon, talking

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestError, RequestLate, ServerGone
from lowlat_nodes.transport.policy import lowlat
from lowlat_nodes.transport.policy.lowlat_client import LowlatClient
from lowlat_nodes.transport.policy.lowlat_server import LowlatServer
from lowlat_nodes.transport.zmq.curve import ClientKeys, KeyPair, ServerKeys, new_pair

LOOPBACK = "tcp://127.0.0.1:0"


@pytest.fixture
def doubler() -> Iterator[Doubler]:
    doubler = Doubler()
    yield doubler
    doubler.go.set()


def test_what_expired_while_it_waited_is_skipped_and_counted(doubler: Doubler) -> None:
    with (
        serving(LowlatServer(doubler, address=LOOPBACK)) as server,
        talking("lowlat", server.address) as busy,
        talking("lowlat", server.address) as client,
    ):
        doubler.go.clear()
        first = threading.Thread(target=busy.request, args=[observation()], kwargs={"deadline_ns": soon()})
        first.start()
        assert doubler.begun.acquire(timeout=30.0)
        for value in (1.0, 2.0):
            with pytest.raises(RequestLate):
                client.request(observation(value), deadline_ns=in_ms(50))
        time.sleep(0.5)  # the server's time begins when the request arrives
        doubler.go.set()
        first.join(30.0)
        answer = client.request(observation(3.0), deadline_ns=soon())
        assert answer["action"]["arm"][0, 0, 0] == 6.0
        assert server.counts()["expired"] == 2
        seen = [request["state"]["arm"][0, 0, 0] for request in doubler.requests]
        assert seen == [0.0, 3.0]
        assert not client.counts.snapshot()


def test_the_oldest_of_too_many_requests_of_a_client_gives_way(doubler: Doubler) -> None:
    doubler.go.clear()
    with (
        serving(LowlatServer(doubler, address=LOOPBACK)) as server,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as eager,
    ):
        eager.setsockopt(zmq.LINGER, 0)
        eager.connect(server.address)
        for number in range(8):
            eager.send_multipart(lowlat.encode(lowlat.REQUEST, number, observation(number)))
            if number == 0:
                assert doubler.begun.acquire(timeout=30.0)
        deadline = time.monotonic() + 30.0
        while server.counts().get("superseded", 0) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
        doubler.go.set()
        answered = []
        while len(answered) < 5 and eager.poll(30_000):
            frames = [zmq.Frame(frame) for frame in eager.recv_multipart()]
            answered.append(lowlat.decode_header(frames).number)
        assert answered == [0, 4, 5, 6, 7]
        assert server.counts() == {"superseded": 3, "answered": 5}


def test_an_answer_is_no_request(doubler: Doubler) -> None:
    with (
        serving(LowlatServer(doubler, address=LOOPBACK)) as server,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as confused,
    ):
        confused.setsockopt(zmq.LINGER, 0)
        confused.connect(server.address)
        confused.send_multipart(lowlat.encode(lowlat.ANSWER, 1, {}))
        assert confused.poll(30_000)
        frames = [zmq.Frame(frame) for frame in confused.recv_multipart()]
        assert lowlat.decode_header(frames).kind == lowlat.ERROR
        assert "expected a request" in lowlat.decode_body(lowlat.decode_header(frames), frames)["message"]


def test_a_token_is_refused_because_it_would_protect_nothing() -> None:
    with pytest.raises(ConfigurationError, match="keys instead of a token"):
        LowlatClient(LOOPBACK, token="secret")


@pytest.mark.parametrize("address", ["tcp://0.0.0.0:0", "tcp://*:0", "tcp://[::]:0", "tcp://robot:0"])
def test_other_machines_are_listened_to_with_keys_only(address: str, doubler: Doubler) -> None:
    with pytest.raises(ConfigurationError, match=r"give the server a key .*lowlat keys new"):
        LowlatServer(doubler, address=address)


def test_keys_without_clients_are_refused(doubler: Doubler) -> None:
    with pytest.raises(ConfigurationError, match="at least one client"):
        LowlatServer(doubler, address="tcp://0.0.0.0:0", keys=ServerKeys(new_pair(), frozenset()))


class Guarded:
    """A server with keys and one client that may come in."""

    def __init__(self, doubler: Doubler, address: str = LOOPBACK) -> None:
        self.pair, self.known = new_pair(), new_pair()
        keys = ServerKeys(self.pair, frozenset({self.known.public}))
        self.server = LowlatServer(doubler, address=address, keys=keys)

    def keys(self, pair: KeyPair | None = None, server: str = "") -> ClientKeys:
        return ClientKeys(pair or self.known, server or self.pair.public)


def count(server: LowlatServer, name: str) -> int:
    """Return a count once it is there."""
    deadline = time.monotonic() + 30.0
    while not server.counts().get(name) and time.monotonic() < deadline:
        time.sleep(0.01)
    return server.counts().get(name, 0)


@pytest.mark.parametrize("address", [LOOPBACK, "tcp://0.0.0.0:0"])
def test_a_client_that_is_known_comes_in(doubler: Doubler, address: str) -> None:
    guarded = Guarded(doubler, address)
    with serving(guarded.server) as server:
        port = server.address.rpartition(":")[2]
        with talking("lowlat", f"tcp://127.0.0.1:{port}", keys=guarded.keys()) as client:
            assert client.request(observation(1.0), deadline_ns=soon())["action"]["arm"][0, 0, 0] == 2.0
    assert server.counts() == {"answered": 2}


def test_a_client_that_is_not_known_is_refused_and_counted(doubler: Doubler) -> None:
    guarded = Guarded(doubler)
    with (
        serving(guarded.server) as server,
        asking("lowlat", server.address, keys=guarded.keys(new_pair())) as client,
    ):
        assert count(guarded.server, "keys_refused")
        with pytest.raises(ServerGone, match="does not let our key in"):
            client.describe()
        with talking("lowlat", server.address, keys=guarded.keys()):
            pass
    assert not doubler.requests


def test_a_client_does_not_talk_to_a_server_with_another_key(doubler: Doubler) -> None:
    guarded = Guarded(doubler)
    with (
        serving(guarded.server) as server,
        asking("lowlat", server.address, keys=guarded.keys(server=new_pair().public)) as client,
    ):
        assert count(guarded.server, "handshakes_refused")
        with pytest.raises(RequestError):
            client.request(observation(), deadline_ns=in_ms(500))
    assert not doubler.requests


def test_a_client_without_keys_is_refused(doubler: Doubler) -> None:
    guarded = Guarded(doubler)
    with serving(guarded.server) as server, asking("lowlat", server.address) as client:
        assert count(guarded.server, "handshakes_refused")
        with pytest.raises(ServerGone):
            client.request(observation(), deadline_ns=soon())
    assert not doubler.requests


def test_a_client_with_keys_does_not_talk_in_the_clear(doubler: Doubler) -> None:
    with (
        serving(LowlatServer(doubler, address=LOOPBACK)) as server,
        asking("lowlat", server.address, keys=ClientKeys(new_pair(), new_pair().public)) as client,
    ):
        assert count(server, "handshakes_refused")
        with pytest.raises(RequestError):
            client.request(observation(), deadline_ns=in_ms(500))
    assert not doubler.requests


def test_arrays_of_a_caller_may_change_once_the_call_is_over(doubler: Doubler) -> None:
    asked = observation(1.0) | {"video": {"front": np.zeros((1, 1, 512, 512, 3), np.uint8)}}
    doubler.go.clear()
    with (
        serving(LowlatServer(doubler, address=LOOPBACK)) as server,
        asking("lowlat", server.address) as client,
    ):
        client.describe()
        with pytest.raises(RequestLate):
            client.request(asked, deadline_ns=in_ms(20))
        asked["video"]["front"][:] = 255
        assert doubler.begun.acquire(timeout=30.0)
        assert not doubler.requests[0]["video"]["front"].any()
        doubler.go.set()
