# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets over real sockets: none is lost where the receiver is slow, and strangers stay out."""

from __future__ import annotations

import contextlib
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.endpoint import UndeliveredError
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.zmq import packets
from lowlat_nodes.transport.zmq.certificates import certificate
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.packets import PacketReceiver, PacketSender
from lowlat_nodes.transport.zmq.publisher import Publisher

LOOPBACK = "tcp://127.0.0.1:0"
PATIENCE_S = 60.0


@contextlib.contextmanager
def receiving(endpoint: str = LOOPBACK, **options: Any) -> Iterator[PacketReceiver]:
    with contextlib.closing(PacketReceiver(endpoint, ManualClock(7), **options)) as receiver:
        yield receiver


@contextlib.contextmanager
def sending(endpoint: str, **options: Any) -> Iterator[PacketSender]:
    sender = PacketSender(endpoint, **options)
    try:
        yield sender
    finally:
        sender.close(linger_s=0.0)


def take(receiver: PacketReceiver, count: int) -> list[Message]:
    """Return what comes until there are so many."""
    deadline = time.monotonic() + PATIENCE_S
    messages: list[Message] = []
    while len(messages) < count:
        assert time.monotonic() < deadline
        messages += receiver.poll(count - len(messages), 0.1)
    return messages


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOOPBACK if request.param == "tcp" else f"ipc://{tmp_path}/packets"


def test_packets_come_as_they_are(endpoint: str) -> None:
    with receiving(endpoint) as receiver, sending(receiver.endpoint) as sender:
        sender.send(Packet(b"plain"))
        sender.send(Packet(memoryview(b"with a key"), b"schema"))
        first, second = take(receiver, 2)
        assert (bytes(first.payload.data), first.payload.key) == (b"plain", b"")
        assert (bytes(second.payload.data), second.payload.key) == (b"with a key", b"schema")
        assert (first.topic, first.sequence, second.sequence) == ("packets", 0, 1)
        assert first.trace == Trace(received_ns=7)
        assert receiver.lag is None
        assert not receiver.exhausted
        receiver.commit()


def test_only_so_many_are_taken_at_once() -> None:
    with receiving() as receiver, sending(receiver.endpoint) as sender:
        for number in range(5):
            sender.send(Packet(b"%d" % number))
        assert receiver.poll(0, 0.0) == []
        take(receiver, 1)
        assert [bytes(message.payload.data) for message in take(receiver, 4)] == [b"1", b"2", b"3", b"4"]
        assert receiver.poll(4, 0.0) == []


def test_large_packets_come_a_few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "_BATCH_BYTES", 25)
    with receiving() as receiver, sending(receiver.endpoint) as sender:
        for number in range(7):
            sender.send(Packet(b"%10d" % number))
        messages: list[Message] = []
        while len(messages) < 7:
            some = receiver.poll(7, PATIENCE_S)
            assert len(some) <= 3
            messages += some
    assert [int(bytes(message.payload.data)) for message in messages] == list(range(7))


def test_a_packet_outlives_its_socket() -> None:
    with receiving() as receiver, sending(receiver.endpoint) as sender:
        sender.send(Packet(bytes(100_000)))
        (message,) = take(receiver, 1)
    assert bytes(message.payload.data) == bytes(100_000)


@pytest.mark.parametrize("size", [10, 50_000])
def test_a_slow_receiver_loses_nothing(size: int) -> None:
    count = 2_000
    with receiving(waiting=4) as receiver:

        def send() -> None:
            sender = PacketSender(receiver.endpoint, waiting=4)
            for number in range(count):
                sender.send(Packet(number.to_bytes(4, "big") + bytes(size)), PATIENCE_S)
            sender.close(linger_s=PATIENCE_S)

        thread = threading.Thread(target=send)
        thread.start()
        time.sleep(1.0)  # longer than a heartbeat would wait: nobody reads, and the connection must stand
        numbers = [int.from_bytes(message.payload.data[:4], "big") for message in take(receiver, count)]
        thread.join()
    assert numbers == list(range(count))


def test_a_sender_without_a_receiver_says_so() -> None:
    with receiving() as receiver:
        address = receiver.endpoint
    with sending(address) as sender, pytest.raises(UndeliveredError, match="room"):
        sender.send(Packet(b"lost?"), timeout_s=0.05)


def test_a_receiver_that_goes_once_it_had_room_holds_up_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = [True]  # as a poll finds it just before the receiver goes
    with receiving() as receiver:
        address = receiver.endpoint
    with sending(address) as sender:
        wait = sender._wait_for_room
        monkeypatch.setattr(sender, "_wait_for_room", lambda *args: looks.pop() if looks else wait(*args))
        with pytest.raises(UndeliveredError, match="room"):
            sender.send(Packet(b"lost?"), timeout_s=0.05)
    assert not looks


def test_a_sender_waits_for_its_receiver(tmp_path: Path) -> None:
    address = f"ipc://{tmp_path}/packets"
    with sending(address) as sender:
        with pytest.raises(UndeliveredError):
            sender.send(Packet(b"early"), timeout_s=0.0)
        with receiving(address) as receiver:
            sender.send(Packet(b"packet"), timeout_s=PATIENCE_S)
            assert bytes(take(receiver, 1)[0].payload.data) == b"packet"


def test_frames_that_are_no_packet_are_counted() -> None:
    with receiving() as receiver, zmq.Context() as context, context.socket(zmq.PUSH) as socket:
        socket.connect(receiver.endpoint)
        socket.send_multipart([b"one", b"too", b"many"])
        socket.send(b"good")
        assert bytes(take(receiver, 1)[0].payload.data) == b"good"
        assert receiver.drops.snapshot() == {"malformed": 1}
        assert "got 3" in receiver.last_failure


def test_a_packet_that_is_too_large_does_not_come_and_others_do() -> None:
    with receiving(max_bytes=1_000) as receiver, sending(receiver.endpoint) as sender:
        sender.send(Packet(bytes(2_000)))
        deadline = time.monotonic() + PATIENCE_S
        messages: list[Message] = []
        while not messages:  # the connection breaks and comes back
            assert time.monotonic() < deadline
            with contextlib.suppress(UndeliveredError):
                sender.send(Packet(b"small"), timeout_s=0.05)
            messages = receiver.poll(10, 0.05)
        assert {bytes(message.payload.data) for message in messages} == {b"small"}


def test_a_publisher_can_be_subscribed_to() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(LOOPBACK)
        with receiving(socket.getsockopt_string(zmq.LAST_ENDPOINT), subscribe=b"ztf") as receiver:
            deadline = time.monotonic() + PATIENCE_S
            messages: list[Message] = []
            while not messages:  # nothing tells when a subscription has arrived
                assert time.monotonic() < deadline
                socket.send_multipart([b"lsst", b"not this"])
                socket.send_multipart([b"ztf_1", b"schema", b"packet"])
                messages = receiver.poll(10, 0.05)
            assert bytes(messages[0].payload.data) == b"packet"
            assert messages[0].payload.key == b"schema"


def test_with_keys_only_those_who_are_known_may_send() -> None:
    server, known, stranger = new_pair(), new_pair(), new_pair()
    keys = ServerKeys(server, frozenset({known.public}))
    with receiving(server=keys) as receiver:
        with sending(receiver.endpoint, keys=ClientKeys(known, server.public)) as sender:
            sender.send(Packet(b"secret"), PATIENCE_S)
            assert bytes(take(receiver, 1)[0].payload.data) == b"secret"
        with sending(receiver.endpoint, keys=ClientKeys(stranger, server.public)) as sender:
            deadline = time.monotonic() + PATIENCE_S
            refused = ""
            while "does not let our key in" not in refused:
                assert time.monotonic() < deadline
                with pytest.raises(UndeliveredError) as caught:
                    sender.send(Packet(b"spam"), timeout_s=0.05)
                refused = str(caught.value)
            assert receiver.drops["keys_refused"]
        assert receiver.poll(1, 0.0) == []


@pytest.mark.parametrize("subscribes", [False, True])
def test_who_is_allowed_later_gets_in(subscribes: bool, tmp_path: Path) -> None:
    server, friend = new_pair(), new_pair()
    tmp_path.chmod(0o700)
    keys, ours = ServerKeys(server, frozenset(), (tmp_path,)), ClientKeys(friend, server.public)

    def allow() -> None:
        (tmp_path / "friend.key").write_bytes(certificate("friend", friend.public))

    with contextlib.ExitStack() as stack:
        if subscribes:
            publisher = stack.enter_context(contextlib.closing(Publisher(LOOPBACK, {"a": "a"}, keys=keys)))
            receiver = stack.enter_context(receiving(publisher.endpoint, subscribe=b"", client=ours))
            deadline = time.monotonic() + PATIENCE_S
            while "does not let our key in" not in receiver.last_failure:
                assert time.monotonic() < deadline
                receiver.poll(1, 0.01)
            allow()
            while not publisher.wanted("a"):
                assert time.monotonic() < deadline
                receiver.poll(1, 0.01)
        else:
            receiver = stack.enter_context(receiving(server=keys))
            sender = stack.enter_context(sending(receiver.endpoint, keys=ours))
            with pytest.raises(UndeliveredError):
                sender.send(Packet(b"early"), timeout_s=0.5)
            allow()
            sender.send(Packet(b"late"), PATIENCE_S)
            assert bytes(take(receiver, 1)[0].payload.data) == b"late"


def test_nobody_listens_to_the_world_without_keys() -> None:
    with pytest.raises(ConfigurationError, match="keys"):
        PacketReceiver("tcp://*:0", ManualClock())


def test_a_socket_file_is_for_its_owner_only(tmp_path: Path) -> None:
    with receiving(f"ipc://{tmp_path}/packets"):
        assert stat.S_IMODE((tmp_path / "packets").stat().st_mode) == 0o600


def test_an_address_that_is_taken_is_refused() -> None:
    with receiving() as receiver, pytest.raises(ConfigurationError, match="listen"):
        PacketReceiver(receiver.endpoint, ManualClock())
