# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Who must not get in does not, is counted and is named in the log; who may is not disturbed by it."""

from __future__ import annotations

import contextlib
import logging
import re
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zmq

from lowlat_nodes.benchmarks._transport_attacks import TARGETS, dial, listen_to, recording, talk, unauthorised
from lowlat_nodes.stream.clock import ManualClock, SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet, Text
from lowlat_nodes.stream.requester import ServerGone
from lowlat_nodes.transport.zmq import options
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, load_server_keys, new_pair, secure_server
from lowlat_nodes.transport.zmq.dealer import Dealer
from lowlat_nodes.transport.zmq.gate import MAX_CONNECTIONS
from lowlat_nodes.transport.zmq.key_store import KeyStore
from lowlat_nodes.transport.zmq.packets import PacketReceiver, PacketSender
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.router import Router
from lowlat_nodes.transport.zmq.subscriber import Subscriber

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 60.0


def greeting(mechanism: bytes, version: int = 3) -> bytes:
    """Return how a connection of ZMTP begins."""
    return b"\xff" + bytes(8) + b"\x7f" + bytes([version, 0]) + mechanism.ljust(20, b"\0") + bytes(32)


def ready(kind: bytes) -> bytes:
    """Return how a socket of some kind goes on without keys."""
    body = b"\x05READY" + b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind
    return bytes([4, len(body)]) + body


def until(done: Callable[[], object], work: Callable[[], object] = lambda: None) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline_s
        work()
        time.sleep(0.01)


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KeyStore:
    """Return a key store with the pairs robot and laptop."""
    monkeypatch.setenv("LOWLAT_KEYS", str(tmp_path / "keys"))
    store = KeyStore()
    for name in ("robot", "laptop", "tablet"):
        pair = new_pair()
        store.add_pair(name, pair.public, pair.secret)
    return store


@contextlib.contextmanager
def routing(keys: ServerKeys | None, counts: Counters, endpoint: str = LOOPBACK) -> Iterator[Router]:
    """Run a router that answers whatever it is asked."""
    router = Router(endpoint, per_client=4, max_bytes=1000, max_frames=2, keys=keys, counts=counts)

    def answer() -> None:
        while (arrival := router.take()) is not None:
            router.send(arrival.route, [frame.bytes for frame in arrival.frames])

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        yield router
    finally:
        router.close()
        router.join()
        thread.join()


def ask(endpoint: str, keys: ClientKeys | None) -> bytes:
    """Return the answer of a server to a client that comes anew."""
    counts = Counters()
    with contextlib.closing(
        Dealer(endpoint, max_bytes=1000, max_frames=2, keys=keys, counts=counts)
    ) as asking:
        deadline_ns = time.monotonic_ns() + int(PATIENCE_S * 1e9)
        asking.connect(deadline_ns)
        return asking.call([b"who?"], lambda frames: frames[0].bytes, deadline_ns=deadline_ns)


def test_nobody_without_the_right_keys_is_served_and_everybody_is_logged() -> None:
    found = unauthorised()
    assert (found["accepted"], found["served"]) == (0, [])
    assert found["attempts"] == found["logged"]
    assert found["attempts"] == dict.fromkeys(
        ("null_client", "wrong_client_key", "wrong_server_key", "replayed_handshake"), 3
    )


@pytest.mark.parametrize("server", TARGETS)
def test_an_attacker_who_is_served_would_be_counted(server: str) -> None:
    with contextlib.closing(TARGETS[server]()) as target:
        keys = ClientKeys(target.friend, target.pair.public)
        got = talk(target, target.endpoint, keys, "stranger")
    assert {"a handshake", "taken"} <= set(got)


def test_a_message_that_is_repeated_on_a_connection_is_taken_once() -> None:
    server, friend = new_pair(), new_pair()
    with (
        contextlib.closing(
            PacketReceiver(LOOPBACK, ManualClock(), server=ServerKeys(server, frozenset({friend.public})))
        ) as receiver,
        recording(receiver.endpoint) as recorder,
    ):
        sender = PacketSender(recorder.endpoint, keys=ClientKeys(friend, server.public))
        sender.send(Packet(b"once"), PATIENCE_S)
        taken: list[Message] = []
        until(lambda: taken, lambda: taken.extend(receiver.poll(10, 0.01)))
        recorder.repeat(recorder.said[0][-1])
        sender.close(linger_s=0.0)
        taken += receiver.poll(10, 0.5)
        assert [bytes(message.payload.data) for message in taken] == [b"once"]


def test_a_client_whose_key_is_taken_back_is_cut_and_stays_out(
    store: KeyStore, caplog: pytest.LogCaptureFixture
) -> None:
    for client in ("laptop", "tablet"):
        store.allow("robot", store.public(client), client)
    laptop, tablet = (
        ClientKeys(load_server_keys(name, ["robot"]).pair, store.public("robot"))
        for name in ("laptop", "tablet")
    )
    heard: dict[str, list[Message]] = {"laptop": [], "tablet": []}
    with contextlib.closing(Publisher(LOOPBACK, {"a": "a"}, keys=load_server_keys("robot"))) as publisher:
        subscribers = []
        for name, keys in (("laptop", laptop), ("tablet", tablet)):
            subscriber = Subscriber(publisher.endpoint, {"a": "a"}, clock=SystemClock(), keys=keys)
            subscriber.start(heard[name].append)
            subscribers.append(subscriber)

        def say() -> None:
            publisher.write(Message("a", Text("hello")))

        until(lambda: all(heard.values()), say)
        store.deny("robot", "laptop")
        until(lambda: publisher.counts["connections_cut"])
        until(lambda: publisher.counts["keys_refused"])
        for messages in heard.values():
            messages.clear()
        until(lambda: len(heard["tablet"]) > 5, say)
        assert heard["laptop"] == []
        until(lambda: "does not let our key in" in subscribers[0].last_failure)
        assert "lowlat keys allow robot" in caplog.text
        store.allow("robot", store.public("laptop"), "again")
        until(lambda: heard["laptop"], say)  # neither end was started anew
        for subscriber in subscribers:
            subscriber.stop()


def test_who_says_nothing_is_cut_off_and_holds_up_nobody() -> None:
    server, friend = new_pair(), new_pair()
    counts = Counters()
    with routing(ServerKeys(server, frozenset({friend.public})), counts) as router:
        before = descriptors()
        silent = [dial(router.endpoint) for _ in range(200)]
        assert ask(router.endpoint, ClientKeys(friend, server.public)) == b"who?"
        until(lambda: counts["handshakes_refused"] == 200)
        for connection in silent:
            connection.close()
        until(lambda: descriptors() <= before)


def test_there_are_only_so_many_connections(caplog: pytest.LogCaptureFixture) -> None:
    with contextlib.closing(Publisher(LOOPBACK, {"a": "a"})) as publisher:
        before = descriptors()
        crowd = []
        for _ in range(MAX_CONNECTIONS + 20):
            crowd.append(dial(publisher.endpoint))
            with contextlib.suppress(OSError):
                crowd[-1].sendall(greeting(b"NULL") + ready(b"SUB"))
        until(lambda: publisher.counts["connections_refused"] >= 20)
        until(lambda: "connections already" in caplog.text)
        for connection in crowd:
            connection.close()
        until(lambda: descriptors() <= before)
        heard: list[Message] = []
        subscriber = Subscriber(publisher.endpoint, {"a": "a"}, clock=SystemClock())
        subscriber.start(heard.append)
        until(lambda: heard, lambda: publisher.write(Message("a", Text("hello"))))
        subscriber.stop()


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: robot\r\n\r\n",
        b"\x01\x00",
        greeting(b"", version=1)[:12] + b"\x05\x00\x00",
        greeting(b"NULL"),
        greeting(b"PLAIN"),
        greeting(b"CURVE") + b"\x04\xc8\x05HELLO" + bytes(194),
        greeting(b"CURVE") + b"\x04\x06\x05READY",
        greeting(b"CURVE") + b"\x06" + struct.pack(">Q", 1 << 62),
        greeting(b"CURVE") + bytes(range(256)) * 64,
    ],
    ids=["http", "zmtp1", "zmtp2", "null", "plain", "hello", "ready", "huge", "noise"],
)
@pytest.mark.parametrize("carrier", ["tcp", "ipc"])
def test_other_protocols_are_refused_and_logged(
    said: bytes, carrier: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server, friend = new_pair(), new_pair()
    counts = Counters()
    endpoint = LOOPBACK if carrier == "tcp" else f"ipc://{tmp_path}/s"
    with routing(ServerKeys(server, frozenset({friend.public})), counts, endpoint) as router:
        with dial(router.endpoint) as connection:
            connection.sendall(said)
            answer, ended = listen_to(connection, PATIENCE_S)
        assert ended
        assert b"READY" not in answer
        until(lambda: counts["handshakes_refused"] == 1)
        until(lambda: "refused" in caplog.text)
        assert ask(router.endpoint, ClientKeys(friend, server.public)) == b"who?"
        assert counts["handshakes_refused"] == 1


def test_a_frame_that_is_said_to_be_huge_breaks_the_connection_only() -> None:
    counts = Counters()
    with routing(None, counts) as router:
        with dial(router.endpoint) as connection:
            connection.sendall(greeting(b"NULL") + ready(b"DEALER"))
            connection.sendall(b"\x02" + struct.pack(">Q", 1 << 40))
            assert listen_to(connection, PATIENCE_S)[1]
        assert ask(router.endpoint, None) == b"who?"


def test_a_server_without_its_gate_lets_nobody_in() -> None:
    server, friend = new_pair(), new_pair()
    with zmq.Context() as context, context.socket(zmq.PULL) as pull, context.socket(zmq.PUSH) as push:
        secure_server(pull, ServerKeys(server, frozenset({friend.public})))
        pull.bind(LOOPBACK)
        push.setsockopt(zmq.LINGER, 0)
        push.curve_serverkey = server.public.encode()
        push.curve_publickey, push.curve_secretkey = friend.public.encode(), friend.secret.encode()
        refused = push.get_monitor_socket(zmq.Event.HANDSHAKE_FAILED_AUTH | zmq.Event.DISCONNECTED)
        push.connect(pull.getsockopt_string(zmq.LAST_ENDPOINT))
        push.send(b"hello")
        assert refused.poll(int(PATIENCE_S * 1000))
        assert not pull.poll(100)
        push.disable_monitor()
        refused.close()


def test_a_flood_of_refusals_is_a_few_lines(caplog: pytest.LogCaptureFixture) -> None:
    server, friend = new_pair(), new_pair()
    counts = Counters()
    with routing(ServerKeys(server, frozenset({friend.public})), counts) as router:
        for count in range(1, 101):
            with dial(router.endpoint) as connection:
                connection.sendall(greeting(b"NULL"))
                listen_to(connection, PATIENCE_S)
            until(lambda count=count: counts["handshakes_refused"] >= count)
    lines = [record for record in caplog.records if record.name == "lowlat_nodes.transport.zmq"]
    assert 1 <= len(lines) < 20
    assert all(record.levelno == logging.WARNING for record in lines)
    # Of a connection that was gone before we could look, nobody knows the address.
    assert re.search(r"refused (127.0.0.1|an unknown address): it comes without keys", lines[0].getMessage())


def test_a_client_that_is_refused_for_long_can_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(options, "_RECONNECT_MS", 1)
    monkeypatch.setattr(options, "_RECONNECT_MAX_MS", 1)
    server, friend = new_pair(), new_pair()
    counts = Counters()
    with routing(ServerKeys(server, frozenset({friend.public})), counts) as router:
        keys = ClientKeys(friend, new_pair().public)
        asking = Dealer(router.endpoint, max_bytes=1000, max_frames=2, keys=keys, counts=Counters())
        # Events of the monitor pile up until libzmq waits for somebody to read them.
        until(lambda: counts["handshakes_refused"] >= 1000)
        time.sleep(0.2)
        asking.close()


@pytest.mark.parametrize("carrier", ["tcp", "ipc"])
def test_a_flood_of_subscriptions_ends_its_connection_only(carrier: str, tmp_path: Path) -> None:
    endpoint = LOOPBACK if carrier == "tcp" else f"ipc://{tmp_path}/s"
    heard: list[Message] = []
    with (
        contextlib.closing(Publisher(endpoint, {"a": "a"})) as publisher,
        zmq.Context() as context,
        context.socket(zmq.XSUB) as flood,
    ):
        flood.setsockopt(zmq.LINGER, 0)
        flood.setsockopt(zmq.RECONNECT_IVL, -1)
        flood.connect(publisher.endpoint)
        subscriber = Subscriber(publisher.endpoint, {"a": "a"}, clock=SystemClock())
        subscriber.start(heard.append)
        until(lambda: heard, lambda: publisher.write(Message("a", Text("hello"))))
        for number in range(5_000):
            with contextlib.suppress(zmq.Again):
                flood.send(b"\x01" + b"%d" % number * 30, zmq.NOBLOCK)
            if number % 100 == 0:
                time.sleep(0.001)
        until(lambda: publisher.counts["connections_cut"] == 1)
        heard.clear()
        until(lambda: len(heard) > 10, lambda: publisher.write(Message("a", Text("hello"))))
        assert subscriber.link.broken == 0
        subscriber.stop()


@pytest.mark.parametrize("kind", ["null", "stranger", "server"])
def test_a_subscriber_says_why_it_gets_nothing(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    server, friend = new_pair(), new_pair()
    keys, reason = {
        "null": (None, "it wants keys and we have none"),
        "stranger": (ClientKeys(new_pair(), server.public), "it does not let our key in"),
        "server": (ClientKeys(friend, new_pair().public), "it has another key than we were told"),
    }[kind]
    server_keys = ServerKeys(server, frozenset({friend.public}))
    with contextlib.closing(Publisher(LOOPBACK, {"a": "a"}, keys=server_keys)) as publisher:
        subscriber = Subscriber(publisher.endpoint, {"a": "a"}, clock=SystemClock(), keys=keys)
        subscriber.start(lambda message: None)
        until(lambda: reason in subscriber.last_failure)
        until(lambda: f"no connection to {publisher.endpoint}: {reason}" in caplog.text)
        subscriber.stop()


def test_keys_that_only_the_client_has_are_told_at_both_ends(caplog: pytest.LogCaptureFixture) -> None:
    counts = Counters()
    with routing(None, counts) as router:
        keys = ClientKeys(new_pair(), new_pair().public)
        with contextlib.closing(
            Dealer(router.endpoint, max_bytes=1000, max_frames=2, keys=keys, counts=Counters())
        ) as asking:
            until(lambda: "if only one of us has keys" in caplog.text)
            with pytest.raises(ServerGone, match="we have keys and it has none"):
                asking.connect(time.monotonic_ns())
    assert "we have keys and it has none" in caplog.text
