# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Methods called by name: answered in time, or told why not, and never twice."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.requester import AnswerRefused, RequestLate, RequestRefused, ServerGone
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq import call
from lowlat_nodes.transport.zmq.caller import Caller, CallFailed
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.responder import Call, Method, Responder

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 60.0


@contextlib.contextmanager
def responding(
    methods: Mapping[str, Method], endpoint: str = LOOPBACK, *, start: bool = True, **options: Any
) -> Iterator[Responder]:
    with contextlib.closing(Responder(endpoint, methods, **options)) as responder:
        if start:
            responder.start()
        yield responder


@contextlib.contextmanager
def calling(endpoint: str, **options: Any) -> Iterator[Caller]:
    with contextlib.closing(Caller(endpoint, **options)) as caller:
        caller.connect(PATIENCE_S)
        yield caller


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def echo(request: Call) -> call.Content:
    return request.content


def fail(request: Call) -> call.Content:
    raise RuntimeError("our secret")


def refuse(request: Call) -> call.Content:
    raise RequestRefused(f"expected a joint, got {bytes(request.content[0])!r}")


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOOPBACK if request.param == "tcp" else f"ipc://{tmp_path}/calls"


@pytest.mark.parametrize(
    "content", [[], [b""], [b"cdr"], [bytes(200_000), b"x"], [b"%d" % n for n in range(16)]]
)
def test_a_call_is_answered(endpoint: str, content: list[bytes]) -> None:
    with responding({"echo": echo}, endpoint) as responder, calling(responder.endpoint) as caller:
        for _ in range(3):
            assert caller.call("echo", content, PATIENCE_S) == content
        assert responder.counts.snapshot() == {"answered": 3}


def test_messages_of_streams_can_be_content() -> None:
    def double(request: Call) -> call.Content:
        return encode(Message("", decode(request.content).message.payload * 2), "reply", 0)

    with responding({"double": double}) as responder, calling(responder.endpoint) as caller:
        reply = caller.call("double", encode(Message("", np.arange(3)), "call", 0), PATIENCE_S)
        assert decode(reply).message.payload.tolist() == [0, 2, 4]


def test_a_method_that_fails_tells_nothing_but_the_name_of_its_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with responding({"fail": fail}) as responder, calling(responder.endpoint) as caller:
        with pytest.raises(CallFailed) as caught:
            caller.call("fail", [], PATIENCE_S)
        assert caught.value.text == "RuntimeError"
        assert responder.counts.snapshot() == {"failed": 1}
    assert "our secret" in capfd.readouterr().err


def test_a_call_that_does_not_fit_is_told_why() -> None:
    with responding({"refuse": refuse, "b": echo}) as responder, calling(responder.endpoint) as caller:
        with pytest.raises(CallFailed, match="expected a joint, got b'leg'"):
            caller.call("refuse", [b"leg"], PATIENCE_S)
        with pytest.raises(CallFailed, match="no method 'c'; there are 'refuse', 'b'"):
            caller.call("c", [], PATIENCE_S)
        assert responder.counts.snapshot() == {"refused": 2}


def test_a_reply_that_has_no_form_is_the_methods_failure() -> None:
    def much(request: Call) -> call.Content:
        return [b""] * 17

    with (
        responding({"much": much}) as responder,
        calling(responder.endpoint) as caller,
        pytest.raises(CallFailed, match="at most 16 frames"),
    ):
        caller.call("much", [], PATIENCE_S)


@pytest.mark.parametrize(("method", "content"), [("", []), ("x" * 256, []), ("x", [b""] * 17)])
def test_a_call_that_has_no_form_does_not_go_out(method: str, content: list[bytes]) -> None:
    with responding({"x": echo}) as responder, calling(responder.endpoint) as caller:
        with pytest.raises(WireError):
            caller.call(method, content, PATIENCE_S)
        assert caller.call("x", [b"y"], PATIENCE_S) == [b"y"]
        assert responder.counts.snapshot() == {"answered": 1}


def test_a_late_call_is_skipped_and_the_next_is_not_taken_for_it() -> None:
    with responding({"echo": echo}, start=False) as responder, calling(responder.endpoint) as caller:
        with pytest.raises(RequestLate):
            caller.call("echo", [b"late"], 0.3)
        time.sleep(0.05)
        responder.start()
        assert caller.call("echo", [b"next"], PATIENCE_S) == [b"next"]
        assert responder.counts.snapshot() == {"expired": 1, "answered": 1}


def test_a_late_reply_is_dropped_and_counted() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait(request: Call) -> call.Content:
        entered.set()
        go_on.wait(PATIENCE_S)
        return request.content

    with responding({"wait": wait}) as responder, calling(responder.endpoint) as caller:
        try:
            with pytest.raises(RequestLate):
                caller.call("wait", [b"late"], 0.2)
            entered.wait(PATIENCE_S)
        finally:
            go_on.set()
        assert caller.call("wait", [b"next"], PATIENCE_S) == [b"next"]
        assert caller.counts["late"] <= 1


def test_a_method_knows_how_long_its_reply_is_awaited() -> None:
    seen: list[int] = []

    def look(request: Call) -> call.Content:
        seen.append(request.deadline_ns - time.monotonic_ns())
        return []

    with responding({"look": look}) as responder, calling(responder.endpoint) as caller:
        caller.call("look", [], PATIENCE_S)
    assert 0 < seen[0] <= PATIENCE_S * 1e9


def test_methods_run_side_by_side() -> None:
    both = threading.Barrier(2)

    def meet(request: Call) -> call.Content:
        both.wait(PATIENCE_S)
        return []

    with (
        responding({"meet": meet}, threads=2) as responder,
        calling(responder.endpoint) as one,
        calling(responder.endpoint) as other,
    ):
        thread = threading.Thread(target=one.call, args=("meet", [], PATIENCE_S))
        thread.start()
        assert other.call("meet", [], PATIENCE_S) == []
        thread.join()


def test_of_a_client_in_a_hurry_only_the_newest_call_is_answered() -> None:
    with (
        responding({"echo": echo}, start=False, waiting=1) as responder,
        calling(responder.endpoint) as caller,
    ):
        deadline = time.monotonic() + PATIENCE_S
        while not responder.counts["superseded"]:
            assert time.monotonic() < deadline
            with pytest.raises(RequestLate):
                caller.call("echo", [b"old"], 0.05)
        responder.start()
        assert caller.call("echo", [b"new"], PATIENCE_S) == [b"new"]


def test_threads_call_side_by_side_and_get_their_own_replies() -> None:
    replies: dict[int, list[bytes]] = {}

    def run(number: int) -> None:
        replies[number] = [bytes(caller.call("echo", [b"%d" % number], PATIENCE_S)[0]) for _ in range(50)]

    with (
        responding({"echo": echo}, threads=2, waiting=99) as responder,
        calling(responder.endpoint, at_once=3) as caller,
    ):
        threads = [threading.Thread(target=run, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert replies == {number: [b"%d" % number] * 50 for number in range(6)}


def test_calls_over_one_connection_do_not_wait_for_each_other() -> None:
    both = threading.Barrier(2)

    def meet(request: Call) -> call.Content:
        both.wait(PATIENCE_S)
        return request.content

    with responding({"meet": meet}, threads=2) as responder, calling(responder.endpoint) as caller:
        for _ in range(20):
            thread = threading.Thread(target=caller.call, args=("meet", [], PATIENCE_S))
            thread.start()
            assert caller.call("meet", [b"x"], PATIENCE_S) == [b"x"]
            thread.join()


def test_one_call_that_is_late_leaves_the_others_alone() -> None:
    go_on = threading.Event()

    def wait(request: Call) -> call.Content:
        go_on.wait(PATIENCE_S)
        return request.content

    replies: list[list[memoryview]] = []
    with responding({"wait": wait}, threads=2) as responder, calling(responder.endpoint) as caller:
        threads = [
            threading.Thread(target=lambda: replies.append(caller.call("wait", [b"x"], PATIENCE_S)))
            for _ in range(2)
        ]
        for thread in threads:
            with pytest.raises(RequestLate):  # it serves the socket, then one of the others does
                caller.call("wait", [b"late"], 0.1)
            thread.start()
        go_on.set()
        for thread in threads:
            thread.join()
    assert replies == [[b"x"], [b"x"]]


def test_after_the_close_a_call_says_so_and_not_that_it_was_late() -> None:
    with responding({"echo": echo}) as responder, calling(responder.endpoint) as caller:
        pass
    with pytest.raises(ServerGone, match="closed here"):
        caller.call("echo", [b"x"], PATIENCE_S)


def test_more_calls_than_may_be_under_way_wait_for_their_turn() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait(request: Call) -> call.Content:
        entered.set()
        go_on.wait(PATIENCE_S)
        return []

    with responding({"wait": wait}) as responder, calling(responder.endpoint, at_once=1) as caller:
        thread = threading.Thread(target=caller.call, args=("wait", [], PATIENCE_S))
        thread.start()
        try:
            entered.wait(PATIENCE_S)
            with pytest.raises(RequestLate, match="before the call went out"):
                caller.call("wait", [], 0.05)
        finally:
            go_on.set()
            thread.join()
        assert caller.call("wait", [], PATIENCE_S) == []


def test_a_connection_that_is_closed_ends_the_calls_that_are_under_way() -> None:
    entered, go_on = threading.Event(), threading.Event()

    def wait(request: Call) -> call.Content:
        entered.set()
        go_on.wait(PATIENCE_S)
        return []

    ended: list[str] = []

    def run(caller: Caller) -> None:
        with pytest.raises(ServerGone) as raised:
            caller.call("wait", [], PATIENCE_S)
        ended.append(str(raised.value))

    with responding({"wait": wait}) as responder:
        try:
            with calling(responder.endpoint) as caller:
                threads = [threading.Thread(target=run, args=(caller,)) for _ in range(3)]
                for thread in threads:
                    thread.start()
                entered.wait(PATIENCE_S)
                eventually(lambda: len(caller._pending) == 3)
            for thread in threads:
                thread.join()
        finally:
            go_on.set()
    assert ended == ["the connection was closed here"] * 3


def test_without_a_server_a_call_ends_at_once() -> None:
    with contextlib.closing(Caller("tcp://127.0.0.1:1")) as caller, pytest.raises(ServerGone):
        caller.call("echo", [], PATIENCE_S)


def test_a_server_that_goes_ends_the_call_and_may_come_back() -> None:
    entered = threading.Event()

    def wait(request: Call) -> call.Content:
        entered.set()
        time.sleep(0.05)
        return []

    with responding({"wait": wait}) as responder:
        address = responder.endpoint
        caller = Caller(address)
        caller.connect(PATIENCE_S)
        closing = threading.Thread(target=lambda: (entered.wait(PATIENCE_S), responder.close()))
        closing.start()
        with contextlib.suppress(ServerGone):  # or answered just before
            caller.call("wait", [], PATIENCE_S)
        closing.join()
        with pytest.raises(ServerGone):
            eventually(lambda: caller.call("wait", [], PATIENCE_S) is None)
    with contextlib.closing(caller), responding({"echo": echo}, address):
        caller.connect(PATIENCE_S)
        assert caller.call("echo", [b"again"], PATIENCE_S) == [b"again"]


@contextlib.contextmanager
def bare(kind: int, address: str = "") -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(kind) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, round(PATIENCE_S * 1000))
        if address:
            socket.connect(address)
        else:
            socket.bind(LOOPBACK)
        yield socket


MALFORMED = [
    [b""],
    [b"\xc1"],
    [bytes(call.MAX_HEADER + 1)],
    [b"\x80"],
    [call.encode_reply(1, [])[0]],
    [call.encode_call(1, "echo", [])[0]] * 18,
    [call.encode_call(1, "echo", [])[0].replace(b"\x01", b"\x02", 1)],
    [call.encode_call(1, "echo", [])[0].replace(b"echo", b"ech\xff")],
]


@pytest.mark.parametrize("frames", MALFORMED)
def test_a_malformed_call_is_counted_and_others_are_answered(frames: list[bytes]) -> None:
    with responding({"echo": echo}) as responder, bare(zmq.DEALER, responder.endpoint) as socket:
        socket.send_multipart(frames)
        socket.send_multipart(call.encode_call(7, "echo", [b"x"]))
        header, content = socket.recv_multipart(copy=False)
        assert call.decode_header([header]) == call.CallHeader(call.REPLY, 7)
        assert content.bytes == b"x"
        assert responder.counts.snapshot() == {"malformed": 1, "answered": 1}


@pytest.mark.parametrize(
    "frames", [frames for frames in MALFORMED if len(frames) == 1 and len(frames[0]) < 99]
)
def test_a_malformed_reply_is_refused(frames: list[bytes]) -> None:
    with bare(zmq.ROUTER) as socket:
        address = socket.getsockopt_string(zmq.LAST_ENDPOINT)

        def misbehave() -> None:
            route, *_ = socket.recv_multipart()
            socket.send_multipart([route, *frames])

        with calling(address) as caller:
            thread = threading.Thread(target=misbehave)
            thread.start()
            if frames == [call.encode_reply(1, [])[0]]:
                assert caller.call("x", [], PATIENCE_S) == []
            else:
                with pytest.raises(AnswerRefused):
                    caller.call("x", [], PATIENCE_S)
            thread.join()


def test_with_keys_only_those_who_are_known_may_call() -> None:
    server, known, stranger = new_pair(), new_pair(), new_pair()
    with responding({"echo": echo}, keys=ServerKeys(server, frozenset({known.public}))) as responder:
        with calling(responder.endpoint, keys=ClientKeys(known, server.public)) as caller:
            assert caller.call("echo", [b"x"], PATIENCE_S) == [b"x"]
        with contextlib.closing(
            Caller(responder.endpoint, keys=ClientKeys(stranger, server.public))
        ) as caller:
            eventually(lambda: responder.counts["keys_refused"] > 0)
            with pytest.raises(ServerGone):
                caller.call("echo", [b"x"], PATIENCE_S)


def test_nobody_listens_to_the_world_without_keys() -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        Responder("tcp://*:0", {})


def test_a_caller_that_may_not_call_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Caller(LOOPBACK, at_once=0)


@pytest.mark.parametrize("options", [{"threads": 0}, {"waiting": 0}])
def test_a_server_that_cannot_answer_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match="at least 1"):
        Responder(LOOPBACK, {}, **options)


def test_nothing_is_left_open() -> None:
    def once() -> int:
        with responding({"echo": echo}) as responder, calling(responder.endpoint) as caller:
            caller.call("echo", [], PATIENCE_S)
        return len(list(Path("/proc/self/fd").iterdir()))

    once()
    before = once()
    assert max(once() for _ in range(5)) <= before
