# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Request and reply between the two sockets, whatever the messages mean."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq
from relay import relaying

from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.requester import RequestLate, ServerGone
from lowlat_nodes.transport.zmq import lifeline
from lowlat_nodes.transport.zmq.caller import Caller
from lowlat_nodes.transport.zmq.dealer import Dealer
from lowlat_nodes.transport.zmq.router import Router

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 30.0


def soon() -> int:
    return time.monotonic_ns() + round(PATIENCE_S * 1e9)


@contextlib.contextmanager
def routing(counts: Counters | None = None, *, max_bytes: int = 1000) -> Iterator[Router]:
    router = Router(
        LOOPBACK, per_client=2, max_bytes=max_bytes, max_frames=3, keys=None, counts=counts or Counters()
    )
    try:
        yield router
    finally:
        router.close()
        router.join()


@contextlib.contextmanager
def dealing(
    address: str, *, counts: Counters | None = None, max_frames: int = 3, max_bytes: int = 1000
) -> Iterator[Dealer]:
    dealer = Dealer(
        address, max_bytes=max_bytes, max_frames=max_frames, keys=None, counts=counts or Counters()
    )
    try:
        yield dealer
    finally:
        dealer.close()


@contextlib.contextmanager
def echoing(router: Router) -> Iterator[None]:
    def echo() -> None:
        while (arrival := router.take()) is not None:
            router.send(arrival.route, [frame.bytes for frame in arrival.frames])

    thread = threading.Thread(target=echo)
    thread.start()
    yield
    router.close()
    thread.join(PATIENCE_S)


def everything(frames: list[zmq.Frame]) -> list[bytes]:
    return [frame.bytes for frame in frames]


def test_an_answer_comes_back() -> None:
    with routing() as router, echoing(router), dealing(router.endpoint) as dealer:
        dealer.connect(soon())
        for message in ([b"one"], [b"", b"two"], [b"a", bytes(1000), b"c"]):
            assert dealer.call(message, everything, deadline_ns=soon()) == message


def test_a_message_of_too_many_frames_is_known_by_one_frame_too_many() -> None:
    with routing() as router, dealing(router.endpoint, max_frames=1) as dealer:
        dealer.connect(soon())
        with pytest.raises(RequestLate):
            dealer.call([b"x"] * 9, everything, deadline_ns=time.monotonic_ns())
        arrival = router.take(PATIENCE_S)
        assert arrival is not None
        assert len(arrival.frames) == 4
        router.send(arrival.route, [b"y"] * 9)
        with echoing(router):
            assert len(dealer.call([b"x"], everything, deadline_ns=soon())) <= 2


def test_what_answers_nothing_any_more_is_counted() -> None:
    counts = Counters()
    with routing() as router, dealing(router.endpoint, counts=counts) as dealer:
        dealer.connect(soon())
        with pytest.raises(RequestLate):
            dealer.call([b"first"], everything, deadline_ns=time.monotonic_ns() + 1_000_000)
        with echoing(router):
            answer = dealer.call(
                [b"second"],
                lambda frames: None if frames[0].bytes == b"first" else frames[0].bytes,
                deadline_ns=soon(),
            )
        assert answer == b"second"
        assert counts.snapshot() == {"late": 1}


def test_waiting_for_a_server_ends() -> None:
    with dealing("tcp://127.0.0.1:1") as dealer, pytest.raises(ServerGone, match="nobody listens"):
        dealer.connect(time.monotonic_ns() + 50_000_000)


def test_an_answer_to_a_client_that_has_gone_is_counted() -> None:
    counts = Counters()
    with routing(counts) as router:
        with dealing(router.endpoint) as dealer:
            dealer.connect(soon())
            with pytest.raises(RequestLate):
                dealer.call([b"x"], everything, deadline_ns=time.monotonic_ns() + 1_000_000)
            arrival = router.take(PATIENCE_S)
            assert arrival is not None
        deadline = time.monotonic() + PATIENCE_S
        while not counts["unreachable"]:
            assert time.monotonic() < deadline
            router.send(arrival.route, [b"y"])
            time.sleep(0.01)


@pytest.fixture
def _no_alarm(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep a loaded machine, whose threads stand still for long, from looking like a server that is gone."""
    monkeypatch.setattr(lifeline, "keep_alive", lambda socket: None)


@pytest.mark.usefixtures("_no_alarm")
def test_what_takes_long_on_a_slow_link_comes_whole() -> None:
    large = bytes(1_200_000)  # 1.2 s each way: longer than heartbeats would wait behind it
    with (
        routing(max_bytes=len(large)) as router,
        echoing(router),
        relaying(router.endpoint, 1e6) as relay,
        dealing(relay.address, max_bytes=len(large)) as dealer,
    ):
        dealer.connect(soon())
        assert dealer.call([large], everything, deadline_ns=soon()) == [large]


@pytest.mark.usefixtures("_no_alarm")
def test_a_server_that_takes_nothing_for_a_while_keeps_its_clients() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        server.setsockopt(zmq.LINGER, 0)
        server.setsockopt(zmq.RCVHWM, 1)
        server.bind(LOOPBACK)
        with dealing(server.getsockopt_string(zmq.LAST_ENDPOINT)) as dealer:
            dealer.connect(soon())
            end, outcomes = time.monotonic() + 2.0, set()
            while time.monotonic() < end:  # until all is full, and then longer than heartbeats would wait
                with pytest.raises((RequestLate, ServerGone)) as raised:
                    dealer.call([bytes(500_000)], everything, deadline_ns=time.monotonic_ns() + 5_000_000)
                outcomes.add(str(raised.value).partition(": ")[2])
            assert outcomes == {"no answer by the deadline", "it does not take requests any more"}
            routes = set()
            while server.poll(200):
                route, _ = server.recv_multipart()
                routes.add(route)
            assert len(routes) == 1
            threading.Timer(0.2, lambda: server.send_multipart([*routes, b"answer"])).start()
            assert dealer.call([b"request"], everything, deadline_ns=soon()) == [b"answer"]


def test_a_server_that_was_stopped_is_found_out_and_asked_again_once_it_goes_on() -> None:
    script = (
        "from lowlat_nodes.transport.zmq.responder import Responder\n"
        f"responder = Responder({LOOPBACK!r}, {{'echo': lambda call: call.content}})\n"
        "print(responder.endpoint, flush=True)\n"
        "responder.start()\n"
        "input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            with contextlib.closing(Caller(process.stdout.readline().strip())) as caller:
                caller.connect(PATIENCE_S)
                for _ in range(2):
                    assert caller.call("echo", [b"x"], PATIENCE_S) == [b"x"]
                    process.send_signal(signal.SIGSTOP)
                    os.waitid(os.P_PID, process.pid, os.WSTOPPED)
                    with pytest.raises(ServerGone):
                        caller.call("echo", [b"y"], PATIENCE_S)
                    with pytest.raises(ServerGone):  # at once: there is nothing to wait for
                        caller.call("echo", [b"y"], PATIENCE_S)
                    process.send_signal(signal.SIGCONT)
                    caller.connect(PATIENCE_S)
        finally:
            process.kill()


def test_nothing_is_left_open() -> None:
    def once() -> int:
        with routing() as router, echoing(router), dealing(router.endpoint) as dealer:
            dealer.connect(soon())
            dealer.call([b"x"], everything, deadline_ns=soon())
        return len(list(Path("/proc/self/fd").iterdir()))

    once()
    before = once()
    assert max(once() for _ in range(10)) <= before
