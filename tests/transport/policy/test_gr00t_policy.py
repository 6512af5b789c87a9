# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""GR00T's protocol with the plain sockets that NVIDIA's code uses at the other end."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from zmq_peers import Client, Doubler, asking, observation, serving, soon, talking

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.requester import AnswerRefused, ServerError, ServerGone
from lowlat_nodes.transport.policy.gr00t_server import Gr00tServer

LOOPBACK = "tcp://127.0.0.1:0"


def pack(value: Any) -> bytes:
    """Return a message as NVIDIA's serializer writes it."""

    def array(value: np.ndarray) -> dict[str, Any]:
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return {"__ndarray_class__": True, "as_npy": file.getvalue()}

    return bytes(msgpack.packb(value, default=array))


def unpack(data: bytes) -> Any:
    def hook(value: dict[str, Any]) -> Any:
        return np.load(io.BytesIO(value["as_npy"])) if "__ndarray_class__" in value else value

    return msgpack.unpackb(data, object_hook=hook)


@pytest.fixture
def doubler() -> Iterator[Doubler]:
    doubler = Doubler()
    yield doubler
    doubler.go.set()


Ask = Callable[..., Any]


@contextlib.contextmanager
def plain_client(address: str) -> Iterator[Ask]:
    """A REQ socket, and nothing around it."""
    with zmq.Context() as context, context.socket(zmq.REQ) as client:
        client.setsockopt(zmq.LINGER, 0)
        client.connect(address)

        def ask(**request: Any) -> Any:
            client.send(pack(request))
            assert client.poll(30_000)
            return unpack(client.recv())

        yield ask


@contextlib.contextmanager
def plain_server(answer: Callable[[dict[str, Any]], Any]) -> Iterator[str]:
    """A REP socket that answers each request with what a function makes of it."""
    ended = threading.Event()
    with zmq.Context() as context, context.socket(zmq.REP) as server:
        port = server.bind_to_random_port("tcp://127.0.0.1")

        def run() -> None:
            while not ended.is_set():
                if server.poll(20):
                    server.send(pack(answer(unpack(server.recv()))))

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{port}"
        finally:
            ended.set()
            thread.join(30.0)


def test_a_client_of_n1_6_is_answered_with_a_list(doubler: Doubler) -> None:
    with serving(Gr00tServer(doubler, address=LOOPBACK)) as server, plain_client(server.address) as ask:
        assert ask(endpoint="ping") == {"status": "ok", "message": "Server is running"}
        actions, info = ask(endpoint="get_action", data={"observation": observation(1.0), "options": None})
        assert actions["arm"].dtype == np.float32
        assert np.array_equal(actions["arm"], np.full((1, 4, 2), 2.0))
        assert info == {}
        assert ask(data={"observation": observation(3.0), "options": None})[0]["arm"][0, 0, 0] == 6.0
        assert ask(endpoint="reset", data={"options": None}) == {}
        assert doubler.resets == 1
        assert ask(endpoint="get_modality_config")["state"] == {
            "__ModalityConfig_class__": True,
            "as_json": {"delta_indices": [0], "modality_keys": ["arm"]},
        }


def test_a_client_of_n1_5_is_answered_with_flat_keys(doubler: Doubler) -> None:
    flat = {
        "video.front": np.zeros((1, 1, 8, 8, 3), np.uint8),
        "state.arm": np.ones((1, 1, 2)),
        "annotation.human.task": [["go"]],
    }
    made = Gr00tServer(doubler, address=LOOPBACK, generation="1.5")
    with serving(made) as server, plain_client(server.address) as ask:
        answer = ask(endpoint="get_action", data=flat)
        assert answer.keys() == {"action.arm"}
        assert np.array_equal(answer["action.arm"], np.full((1, 4, 2), 2.0))
        single = {key: value[0] for key, value in flat.items()}
        assert ask(endpoint="get_action", data=single)["action.arm"].shape == (4, 2)
        modality = ask(endpoint="get_modality_config")
        assert modality["state"]["as_json"] == '{"delta_indices": [0], "modality_keys": ["state.arm"]}'
        assert (
            modality["language"]["as_json"]
            == '{"delta_indices": [0], "modality_keys": ["annotation.human.task"]}'
        )


def test_a_server_of_n1_6_is_understood() -> None:
    requests = []

    def answer(request: dict[str, Any]) -> Any:
        requests.append(request)
        if request["endpoint"] == "get_modality_config":
            fields = {
                "delta_indices": [0, 1],
                "modality_keys": ["arm"],
                "action_configs": [{"rep": "RELATIVE"}],
            }
            return {"action": {"__ModalityConfig_class__": True, "as_json": fields}}
        return [{"arm": np.full((1, 2, 3), 5.0, np.float32)}, {"took": 0.5}]

    with plain_server(answer) as address, asking("gr00t", address, token="open") as client:
        assert client.describe() == {
            "generation": "1.6",
            "modality": {"action": {"delta_indices": [0, 1], "modality_keys": ["arm"]}},
        }
        found = client.request(observation(), deadline_ns=soon())
        assert np.array_equal(found["action"]["arm"], np.full((1, 2, 3), 5.0))
        assert found["info"] == {"took": 0.5}
    assert requests[1]["data"].keys() == {"observation", "options"}
    assert requests[1]["data"]["observation"].keys() == {"video", "state", "language"}
    assert {request["api_token"] for request in requests} == {"open"}


def test_a_server_of_n1_5_is_found_out_and_asked_in_its_form() -> None:
    requests = []

    def answer(request: dict[str, Any]) -> Any:
        requests.append(request)
        if request["endpoint"] == "get_modality_config":
            text = '{"delta_indices": [0], "modality_keys": ["state.arm"]}'
            return {"state": {"__ModalityConfig_class__": True, "as_json": text}}
        return {"action.arm": np.full((1, 2, 3), 5.0)}

    with plain_server(answer) as address, asking("gr00t", address) as client:
        client.describe()
        found = client.request(observation(), deadline_ns=soon())
        assert found["action"]["arm"].shape == (1, 2, 3)
        assert client.describe()["modality"] == {"state": {"delta_indices": [0], "modality_keys": ["arm"]}}
        client.reset(deadline_ns=soon())
    assert "reset" not in [request["endpoint"] for request in requests]
    assert requests[1]["data"].keys() == {"video.front", "state.arm", "annotation.human.task"}


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ({"error": "no such robot"}, ServerError, "no such robot"),
        ({"action.arm": 1}, AnswerRefused, "N1.6"),
        ([{"arm": 1}], AnswerRefused, "N1.6"),
        ([{"arm": 1}, None], AnswerRefused, "N1.6"),
        ("text", AnswerRefused, "N1.6"),
        (None, AnswerRefused, "nil"),
        (b"bytes", AnswerRefused, "plain data"),
    ],
    ids=str,
)
def test_answers_that_are_none(reply: Any, error: type[Exception], words: str) -> None:
    with (
        plain_server(
            lambda request: {} if request["endpoint"] == "get_modality_config" else reply
        ) as address,
        talking("gr00t", address) as client,
        pytest.raises(error, match=words),
    ):
        client.request(observation(), deadline_ns=soon())


@pytest.mark.parametrize(
    "reply", [[], {"state": {}}, {"state": 1}, {"state": {"__ModalityConfig_class__": True}}], ids=str
)
def test_descriptions_that_are_none(reply: Any) -> None:
    with (
        plain_server(lambda request: reply) as address,
        asking("gr00t", address) as client,
        pytest.raises(AnswerRefused, match="cannot be used"),
    ):
        client.describe()


def test_requests_that_are_none(doubler: Doubler) -> None:
    with serving(Gr00tServer(doubler, address=LOOPBACK)) as server, plain_client(server.address) as ask:
        assert "endpoint" in ask(endpoint="sing")["error"]
        assert "endpoint" in ask(endpoint=["get_action"])["error"]
        assert "observation" in ask(endpoint="get_action")["error"]
        assert "observation" in ask(endpoint="get_action", data=[1])["error"]
        assert "observation" in ask(data={"state.arm": "text"})["error"]
        assert "dtype" in ask(data={"observation": {"state": {"arm": np.array(["text"])}}})["error"]
        assert ask(endpoint="ping")["status"] == "ok"
        assert server.counts()["refused"] == 6


def test_a_token_is_asked_for(doubler: Doubler) -> None:
    with (
        serving(Gr00tServer(doubler, address=LOOPBACK, token="sésame")) as server,
        plain_client(server.address) as ask,
    ):
        for wrong in ({}, {"api_token": "other"}, {"api_token": None}, {"api_token": 3}):
            for endpoint in ("ping", "get_action", "kill"):
                assert ask(endpoint=endpoint, **wrong) == {"error": "Unauthorized: Invalid API token"}
        assert ask(endpoint="ping", api_token="sésame")["status"] == "ok"
        with (
            asking("gr00t", server.address, token="other") as client,
            pytest.raises(ServerError, match="Unauthorized"),
        ):
            client.describe()
        with talking("gr00t", server.address, token="sésame") as client:
            client.request(observation(), deadline_ns=soon())


def test_nobody_kills_a_server_without_a_token(doubler: Doubler) -> None:
    with serving(Gr00tServer(doubler, address=LOOPBACK)) as server, plain_client(server.address) as ask:
        assert "token" in ask(endpoint="kill", api_token="any")["error"]
        assert ask(endpoint="ping")["status"] == "ok"


def ask_until_gone(client: Client) -> None:
    deadline = time.monotonic() + 30.0
    while time.monotonic() < deadline:
        client.request(observation(), deadline_ns=soon())


def test_who_has_the_token_may_kill(doubler: Doubler) -> None:
    with (
        serving(Gr00tServer(doubler, address=LOOPBACK, token="t")) as server,
        talking("gr00t", server.address, token="t") as client,
        plain_client(server.address) as ask,
    ):
        assert ask(endpoint="kill", api_token="t") is None
        with pytest.raises(ServerGone):
            ask_until_gone(client)


def test_a_request_that_its_client_has_given_up_is_not_answered(doubler: Doubler) -> None:
    """A relaxed REQ socket that asks again waits for the new answer only."""
    doubler.go.clear()
    with (
        serving(Gr00tServer(doubler, address=LOOPBACK)) as server,
        zmq.Context() as context,
        context.socket(zmq.REQ) as client,
    ):
        client.setsockopt(zmq.LINGER, 0)
        client.setsockopt(zmq.REQ_RELAXED, 1)
        client.setsockopt(zmq.REQ_CORRELATE, 1)
        client.connect(server.address)
        for value in range(4):
            client.send(pack({"data": {"observation": observation(value), "options": None}}))
            if value == 0:
                assert doubler.begun.acquire(timeout=30.0)
        deadline = time.monotonic() + 30.0
        while server.counts().get("superseded", 0) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        doubler.go.set()
        assert client.poll(30_000)
        assert unpack(client.recv())[0]["arm"][0, 0, 0] == 6.0
        assert len(doubler.requests) == 2
        assert server.counts() == {"superseded": 2, "answered": 2}


def test_an_unknown_generation_is_refused(doubler: Doubler) -> None:
    with pytest.raises(ConfigurationError, match=r"1\.5, 1\.6, got '2'"):
        Gr00tServer(doubler, address=LOOPBACK, generation="2")
