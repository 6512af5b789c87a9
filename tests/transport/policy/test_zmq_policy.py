# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Both ZeroMQ protocols between our client and our server, over real sockets."""

from __future__ import annotations

import contextlib
import socket
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import pytest
import zmq
from zmq_peers import (
    CLIENTS,
    SERVERS,
    Client,
    Doubler,
    asking,
    in_ms,
    observation,
    process,
    reconnect,
    serving,
    soon,
    talking,
)

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import RequestError, RequestLate, ServerError, ServerGone
from lowlat_nodes.transport.arrays import MAX_MESSAGE, WireError

PROTOCOLS = pytest.mark.parametrize("protocol", sorted(SERVERS))


@pytest.fixture(params=["tcp", "ipc"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "tcp://127.0.0.1:0" if request.param == "tcp" else f"ipc://{tmp_path}/s"


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago, for servers that come back where they were."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def doubler() -> Iterator[Doubler]:
    doubler = Doubler()
    yield doubler
    doubler.go.set()


@PROTOCOLS
def test_an_answer_belongs_to_its_request(protocol: str, address: str, doubler: Doubler) -> None:
    with (
        serving(SERVERS[protocol](doubler, address=address)) as server,
        talking(protocol, server.address) as client,
    ):
        for value in range(20):
            answer = client.request(observation(value), deadline_ns=soon())
            assert np.array_equal(answer["action"]["arm"], np.full((1, 4, 2), 2.0 * value, np.float32))
        assert doubler.requests[0]["video"]["front"].shape == (1, 1, 8, 8, 3)
        assert doubler.requests[0]["language"] == {"annotation.human.task": [["go"]]}
        client.reset(deadline_ns=soon())
        assert doubler.resets == 1
        assert "modality" in client.describe()
    assert not client.counts.snapshot()


@PROTOCOLS
def test_what_the_policy_refuses_comes_back_as_its_words(protocol: str, doubler: Doubler) -> None:
    wrong = observation() | {"state": {"arm": np.zeros((1, 1, 3), np.float32)}}
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
    ):
        with pytest.raises(ServerError, match="expected 2 numbers, got 3"):
            client.request(wrong, deadline_ns=soon())
        client.request(observation(), deadline_ns=soon())
        assert server.counts()["refused"] == 1


@PROTOCOLS
def test_what_goes_wrong_inside_a_policy_stays_there(
    protocol: str, doubler: Doubler, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
    ):
        with pytest.raises(ServerError, match="ValueError") as caught:
            client.request(observation(-1.0), deadline_ns=soon())
        assert "secret" not in str(caught.value)
        assert "a secret of the policy" in capsys.readouterr().err
        client.request(observation(), deadline_ns=soon())
        assert server.counts()["failed"] == 1


@PROTOCOLS
def test_a_late_answer_is_dropped_and_never_taken_for_the_next(protocol: str, doubler: Doubler) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
    ):
        client.request(observation(), deadline_ns=soon())
        doubler.go.clear()
        with pytest.raises(RequestLate):
            client.request(observation(1.0), deadline_ns=in_ms(100))
        doubler.go.set()
        answer = client.request(observation(2.0), deadline_ns=soon())
        assert answer["action"]["arm"][0, 0, 0] == 4.0
        assert client.counts.snapshot() == {"late": 1}


@PROTOCOLS
def test_a_deadline_that_has_passed_is_told_before_anything_is_sent(protocol: str, doubler: Doubler) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
    ):
        with pytest.raises(RequestLate):
            client.request(observation(), deadline_ns=in_ms(-1))
        assert not doubler.requests


@PROTOCOLS
def test_without_a_server_a_call_fails_at_once(protocol: str, port: int) -> None:
    with asking(protocol, f"tcp://127.0.0.1:{port}") as client:
        for _ in range(5):
            with pytest.raises(ServerGone, match="nobody listens"):
                client.request(observation(), deadline_ns=soon())


@PROTOCOLS
@pytest.mark.parametrize("carrier", ["tcp", "ipc"])
def test_a_killed_server_is_noticed_and_found_again(
    protocol: str, carrier: str, port: int, tmp_path: Path
) -> None:
    address = f"tcp://127.0.0.1:{port}" if carrier == "tcp" else f"ipc://{tmp_path}/s"
    with asking(protocol, address) as client:
        for _ in range(3):
            with process(protocol, address) as server:
                reconnect(client)
                client.request(observation(), deadline_ns=soon())
                server.kill()
                server.wait()
                with pytest.raises(ServerGone):
                    client.request(observation(), deadline_ns=soon())


@PROTOCOLS
def test_a_server_killed_at_any_time_costs_calls_and_never_their_deadlines(protocol: str, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    ended = threading.Event()
    failures: set[str] = set()

    def ask() -> None:
        with asking(protocol, address) as client:
            while not ended.is_set():
                began_ns = time.monotonic_ns()
                try:
                    client.request(observation(), deadline_ns=began_ns + 200_000_000)
                    answers.release()
                except RequestError as error:
                    failures.add(error.reason)
                    time.sleep(0.002)

    answers = threading.Semaphore(0)
    asker = threading.Thread(target=ask)
    asker.start()
    try:
        for _ in range(5):
            with process(protocol, address) as server:
                for _ in range(10):  # whatever was answered before this server came does not count for long
                    assert answers.acquire(timeout=60.0)
                server.kill()
                server.wait()
            while answers.acquire(blocking=False):
                pass
    finally:
        ended.set()
        asker.join(60.0)
    assert not asker.is_alive()
    assert failures <= {"server_gone", "late"}
    assert "server_gone" in failures


@PROTOCOLS
def test_a_server_that_stands_still_is_noticed(protocol: str, port: int) -> None:
    address = f"tcp://127.0.0.1:{port}"
    with process(protocol, address) as server, talking(protocol, address) as client:
        subprocess.run(["kill", "-STOP", str(server.pid)], check=True)
        with pytest.raises(ServerGone):
            client.request(observation(), deadline_ns=soon())
        subprocess.run(["kill", "-CONT", str(server.pid)], check=True)
        reconnect(client)
        client.request(observation(), deadline_ns=soon())


@PROTOCOLS
def test_clients_that_send_garbage_harm_nobody(protocol: str, doubler: Doubler) -> None:
    random = np.random.default_rng(0)
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as vandal,
    ):
        vandal.setsockopt(zmq.LINGER, 0)
        vandal.connect(server.address)
        messages = [
            [b""],
            [b"", b""],
            [b"", b"\xff" * 100],
            [b"", b"GET / HTTP/1.1"],
            [b"x"] * 200,
            [b"", b"\x81\xa8endpoint\xa4kill"],
            *(
                [random.bytes(random.integers(0, 200)) for _ in range(random.integers(1, 5))]
                for _ in range(300)
            ),
        ]
        for index, message in enumerate(messages):
            vandal.send_multipart(message)
            if index % 20 == 0:
                client.request(observation(), deadline_ns=soon())
        with socket.create_connection(("127.0.0.1", int(server.address.rpartition(":")[2]))) as raw:
            raw.sendall(random.bytes(4096))
        answer = client.request(observation(1.0), deadline_ns=soon())
        assert answer["action"]["arm"][0, 0, 0] == 2.0
        assert server.counts()["malformed"] > 0


def claiming(protocol: str, shape: list[int]) -> list[bytes]:
    """Return a request with an array that claims to be of that shape."""
    if protocol == "lowlat":
        header = {"v": 1, "kind": "request", "id": 1, "arrays": [["<f4", shape]]}
        return [msgpack.packb(header), msgpack.packb({"state": {"$array": 0}}), b"1234"]
    text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {tuple(shape)}}}".encode()
    data = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + b"1234"
    array = {"__ndarray_class__": True, "as_npy": data}
    return [
        b"",
        msgpack.packb({"endpoint": "get_action", "data": {"observation": {"state": {"arm": array}}}}),
    ]


@PROTOCOLS
@pytest.mark.parametrize("shape", [[1_000_000_000], [100_000, 100_000]])
def test_a_client_that_claims_many_elements_is_refused(
    protocol: str, shape: list[int], doubler: Doubler
) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as vandal,
    ):
        vandal.setsockopt(zmq.LINGER, 0)
        vandal.connect(server.address)
        vandal.send_multipart(claiming(protocol, shape))
        deadline_ns = soon()
        while not {"refused", "malformed"} & server.counts().keys() and time.monotonic_ns() < deadline_ns:
            time.sleep(0.01)
        client.request(observation(1.0), deadline_ns=soon())
        assert len(doubler.requests) == 1
        assert {"refused", "malformed"} & server.counts().keys()


@PROTOCOLS
def test_a_frame_beyond_the_limit_breaks_the_connection_that_it_comes_over(
    protocol: str, doubler: Doubler
) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
        zmq.Context() as context,
        context.socket(zmq.DEALER) as vandal,
    ):
        vandal.setsockopt(zmq.LINGER, 0)
        monitor = vandal.get_monitor_socket(zmq.Event.DISCONNECTED)
        vandal.connect(server.address)
        vandal.send_multipart([b"", bytes(MAX_MESSAGE + 1)])
        assert monitor.poll(30_000)
        vandal.disable_monitor()
        monitor.close()
        client.request(observation(), deadline_ns=soon())


@PROTOCOLS
def test_what_a_server_would_not_read_is_not_sent(protocol: str, doubler: Doubler) -> None:
    huge = observation() | {"video": {"front": np.zeros((1, 1, 5000, 5000, 3), np.uint8)}}
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        talking(protocol, server.address) as client,
    ):
        with pytest.raises(WireError, match="at most 67108864"):
            client.request(huge, deadline_ns=soon())
        client.request(observation(), deadline_ns=soon())


@PROTOCOLS
def test_a_server_closes_while_clients_wait(protocol: str, doubler: Doubler) -> None:
    failures: list[str] = []

    def ask(client: Client) -> None:
        try:
            client.request(observation(), deadline_ns=soon())
        except RequestError as error:
            failures.append(error.reason)

    with contextlib.ExitStack() as clients:
        with serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server:
            connected = [clients.enter_context(talking(protocol, server.address)) for _ in range(3)]
            doubler.go.clear()
            askers = [threading.Thread(target=ask, args=[client]) for client in connected]
            for asker in askers:
                asker.start()
            assert doubler.begun.acquire(timeout=30.0)
            server.close()
            doubler.go.set()
        for asker in askers:
            asker.join(30.0)
            assert not asker.is_alive()
    assert set(failures) <= {"server_gone"}


@PROTOCOLS
def test_clients_come_and_go(protocol: str, doubler: Doubler) -> None:
    with serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server:
        for _ in range(20):
            with talking(protocol, server.address) as client:
                client.request(observation(), deadline_ns=soon())


@PROTOCOLS
def test_only_the_owner_may_use_the_socket_file(protocol: str, tmp_path: Path, doubler: Doubler) -> None:
    with serving(SERVERS[protocol](doubler, address=f"ipc://{tmp_path}/s")):
        assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o600


@PROTOCOLS
def test_an_address_in_use_is_refused(protocol: str, doubler: Doubler) -> None:
    with (
        serving(SERVERS[protocol](doubler, address="tcp://127.0.0.1:0")) as server,
        pytest.raises(ConfigurationError, match="in use"),
    ):
        SERVERS[protocol](doubler, address=server.address)


@PROTOCOLS
@pytest.mark.parametrize(
    "address", ["127.0.0.1:5555", "tcp://127.0.0.1", "udp://127.0.0.1:1", "tcp://a:99999", "ipc://s/t"]
)
def test_what_is_no_address_is_refused(protocol: str, address: str, doubler: Doubler) -> None:
    for made in (lambda: CLIENTS[protocol](address), lambda: SERVERS[protocol](doubler, address=address)):
        with pytest.raises(ConfigurationError, match="expected an address like tcp://"):
            made()
