# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a publisher to subscribers over real sockets, with keys and without, and what goes wrong there."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq
from listeners import PATIENCE_S, Heard, until

from lowlat_nodes.stream.clock import ManualClock, SystemClock
from lowlat_nodes.stream.endpoint import UnknownOutput
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.mailbox import Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

LOOPBACK = "tcp://127.0.0.1:0"
FOUND = Detections(np.array([[1, 2, 3, 4, 0.5, 1]], np.float32), ("cup", "jar"))


@contextlib.contextmanager
def publishing(endpoint: str = LOOPBACK, **options: Any) -> Iterator[Publisher]:
    publisher = Publisher(endpoint, {"found": "robot/found"}, **options)
    try:
        yield publisher
    finally:
        publisher.close()


@contextlib.contextmanager
def hearing(
    endpoint: str, deliver: Callable[[Message], None], inputs: dict[str, str] | None = None, **options: Any
) -> Iterator[Subscriber]:
    options = {"clock": SystemClock()} | options
    subscriber = Subscriber(endpoint, inputs or {"seen": "robot/found"}, **options)
    subscriber.start(deliver)
    try:
        yield subscriber
    finally:
        subscriber.stop()


@pytest.fixture(params=["tcp", "ipc"])
def endpoint(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return LOOPBACK if request.param == "tcp" else f"ipc://{tmp_path}/stream"


def test_outputs_that_share_a_topic_are_numbered_together() -> None:
    heard = Heard()
    publisher = Publisher(LOOPBACK, {"left": "robot/found", "right": "robot/found"})
    with contextlib.closing(publisher), hearing(publisher.endpoint, heard) as subscriber:

        def publish() -> None:
            for name in ("left", "right"):
                publisher.write(Message(name, FOUND))
            time.sleep(0.01)

        until(lambda: len(heard.messages) > 10, publish)
        numbers = [message.sequence for message in heard.messages]
        assert np.diff(numbers).tolist() == [1] * (len(numbers) - 1)
        assert not subscriber.drops.total


def test_what_is_published_while_a_subscriber_is_stopped_is_not_lost() -> None:
    heard = Heard()
    message = Message("found", FOUND)
    with publishing() as publisher, hearing(publisher.endpoint, heard) as subscriber:
        until(lambda: heard.messages, lambda: publisher.write(message))
        subscriber.stop()
        for _ in range(10):
            publisher.write(message)
        heard.messages.clear()
        subscriber.start(heard)
        until(lambda: heard.messages, lambda: publisher.write(message))
        assert not subscriber.drops.total


def test_a_subscriber_that_stands_still_loses_nothing_that_there_is_room_for() -> None:
    heard, count = Heard(), 3_000
    busy = threading.Event()

    def deliver(message: Message) -> None:
        if busy.is_set():
            busy.clear()
            time.sleep(1.5)  # longer than heartbeats would wait
        heard(message)

    large = np.zeros(4_000)
    # It learns of what was read once half of what may wait was. Less than shared memory takes.
    with publishing(waiting=2 * count) as publisher, hearing(publisher.endpoint, deliver) as subscriber:
        until(lambda: heard.messages, lambda: publisher.write(Message("found", large)))
        heard.messages.clear()
        busy.set()
        publisher.write(Message("found", large))
        until(lambda: not busy.is_set())
        for _ in range(count):  # 96 MB: the buffers of the system are full soon
            publisher.write(Message("found", large))
        assert heard.wait(count)
        assert not subscriber.drops.total


def test_detections_arrive_with_their_history(endpoint: str) -> None:
    heard = Heard()
    message = Message("found", FOUND, Trace(5, 6, 7, 8, 9, 10), 77, "camera")
    with publishing(endpoint) as publisher, hearing(publisher.endpoint, heard, clock=ManualClock(12)):
        until(lambda: heard.messages, lambda: publisher.write(message))
    found = heard.messages[0]
    assert (found.topic, found.frame_id) == ("seen", "camera")
    assert found.trace == Trace(capture_ns=5, received_ns=12)
    assert np.array_equal(found.payload.rows, FOUND.rows)
    assert found.payload.names == FOUND.names


def test_messages_are_counted_by_topic() -> None:
    heard = Heard()
    publisher = Publisher(LOOPBACK, {"a": "one", "b": "two"})
    with (
        contextlib.closing(publisher),
        hearing(publisher.endpoint, heard, {"x": "one", "y": "two"}) as subscriber,
    ):
        until(
            lambda: {message.topic for message in heard.messages} == {"x", "y"},
            lambda: [publisher.write(Message(name, np.zeros(1))) for name in "aab"],
        )
        assert subscriber.received == len(heard.messages)
        assert subscriber.drops.snapshot() == {}
    for topic in "xy":
        numbers = [message.sequence for message in heard.messages if message.topic == topic]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_topic_that_begins_alike_is_another() -> None:
    heard = Heard()
    publisher = Publisher(LOOPBACK, {"a": "cam", "b": "camera"})
    with contextlib.closing(publisher), hearing(publisher.endpoint, heard, {"x": "cam"}) as subscriber:
        until(
            lambda: len(heard.messages) >= 3,
            lambda: [publisher.write(Message(name, np.zeros(1))) for name in "ba"],
        )
        assert subscriber.received == len(heard.messages)
    assert {message.topic for message in heard.messages} == {"x"}


def test_every_subscriber_gets_everything() -> None:
    first, second = Heard(), Heard()
    with (
        publishing() as publisher,
        hearing(publisher.endpoint, first),
        hearing(publisher.endpoint, second),
    ):
        write = lambda: publisher.write(Message("found", FOUND))  # noqa: E731
        until(lambda: first.messages and second.messages, write)
        counts = len(first.messages), len(second.messages)
        for _ in range(5):
            write()
        assert first.wait(counts[0] + 5)
        assert second.wait(counts[1] + 5)


def test_a_subscriber_that_does_not_take_loses_messages_and_holds_nobody_up() -> None:
    heard, go_on = Heard(), threading.Event()

    def stall(message: Message) -> None:
        heard(message)
        assert go_on.wait(PATIENCE_S)

    large = Message("found", np.zeros(1 << 20, np.uint8))
    with publishing() as publisher, hearing(publisher.endpoint, stall, shared_memory=False) as subscriber:
        until(lambda: heard.messages, lambda: publisher.write(large))
        for _ in range(100):  # more than both ends and the system keep
            publisher.write(large)
        go_on.set()
        until(lambda: subscriber.drops["lost"], lambda: publisher.write(large))
    numbers = [message.sequence for message in heard.messages]
    lost = numbers[-1] - numbers[0] + 1 - len(numbers)
    assert numbers == sorted(numbers)
    assert subscriber.drops["lost"] == lost


def test_a_burst_waits_where_room_was_made_for_it() -> None:
    heard, go_on = Heard(), threading.Event()

    def stall(message: Message) -> None:
        heard(message)
        assert go_on.wait(PATIENCE_S)

    large = Message("found", np.zeros(1 << 20, np.uint8))
    with (
        publishing(waiting=200) as publisher,
        hearing(publisher.endpoint, stall, waiting=200, shared_memory=False) as subscriber,
    ):
        until(lambda: heard.messages, lambda: publisher.write(large))
        for _ in range(100):
            publisher.write(large)
        go_on.set()
        until(lambda: len(heard.messages) > 100)
        assert subscriber.drops.snapshot() == {}


def test_the_newest_message_waits_for_a_slow_consumer() -> None:
    mailbox = Newest(SystemClock())
    with publishing() as publisher, hearing(publisher.endpoint, mailbox.put):
        until(lambda: len(mailbox), lambda: publisher.write(Message("found", np.zeros(1))))
        publisher.write(Message("found", np.ones(1)))
        until(lambda: mailbox.drops["superseded"])
        until(lambda: any(message.payload[0] == 1 for message in mailbox.get(0.0)))


def test_a_publisher_that_comes_back_is_heard_again(tmp_path: Path) -> None:
    heard = Heard()
    address = f"ipc://{tmp_path}/stream"
    with hearing(address, heard) as subscriber:
        for life in range(3):
            before = len(heard.messages)
            with publishing(address) as publisher:
                until(
                    lambda before=before: len(heard.messages) >= before + 3,
                    lambda: publisher.write(Message("found", np.array([life]))),  # noqa: B023
                )
            assert heard.messages[-1].payload[0] == life
        assert subscriber.drops.snapshot() == {}


def test_what_cannot_be_read_is_counted_and_the_next_message_comes() -> None:
    heard = Heard()
    context = zmq.Context()
    random = np.random.default_rng(0)
    sound = [bytes(frame) for frame in encode(Message("found", FOUND), "robot/found", 3)]
    with contextlib.closing(context.socket(zmq.PUB)) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        with hearing(f"tcp://127.0.0.1:{port}", heard) as subscriber:
            until(lambda: heard.messages, lambda: socket.send_multipart(sound))
            for _ in range(500):
                frames = [bytearray(frame) for frame in sound]
                for _ in range(random.integers(1, 5)):
                    frame = frames[random.integers(1, len(frames))]
                    frame[random.integers(len(frame))] = random.integers(256)
                socket.send_multipart(frames[: random.integers(1, 4)])
                socket.send_multipart([sound[0], *[b"x"] * random.integers(12)])
            before = subscriber.received
            until(
                lambda: subscriber.received > before and heard.messages[-1].sequence == 3,
                lambda: socket.send_multipart(sound),
            )
            assert subscriber.drops["malformed"] > 0
            assert "expected" in subscriber.last_failure
    context.term()


def test_a_message_for_no_output_is_refused() -> None:
    with (
        publishing() as publisher,
        pytest.raises(UnknownOutput, match="expected a message for found; got one for 'f'"),
    ):
        publisher.write(Message("f", FOUND))


def test_a_payload_that_cannot_be_sent_leaves_no_gap() -> None:
    heard = Heard()
    with publishing() as publisher, hearing(publisher.endpoint, heard) as subscriber:
        until(lambda: heard.messages, lambda: publisher.write(Message("found", FOUND)))
        with pytest.raises(WireError):
            publisher.write(Message("found", "no payload"))
        publisher.write(Message("found", FOUND))
        assert heard.wait(2)
        assert subscriber.drops.snapshot() == {}


def test_any_zmq_subscriber_can_read_it() -> None:
    context = zmq.Context()
    with publishing() as publisher, contextlib.closing(context.socket(zmq.SUB)) as socket:
        socket.subscribe("robot/found")
        socket.connect(publisher.endpoint)
        until(lambda: socket.poll(0), lambda: publisher.write(Message("found", FOUND)))
        assert np.array_equal(decode(socket.recv_multipart(copy=False)).message.payload.rows, FOUND.rows)
    context.term()


# Keys


def test_only_known_keys_come_in() -> None:
    server, friend, stranger = new_pair(), new_pair(), new_pair()
    heard, overheard = Heard(), Heard()
    keys = ServerKeys(server, frozenset({friend.public}))
    with contextlib.ExitStack() as stack:
        publisher = stack.enter_context(publishing(keys=keys))
        stack.enter_context(hearing(publisher.endpoint, heard, keys=ClientKeys(friend, server.public)))
        for wrong in (ClientKeys(stranger, server.public), ClientKeys(friend, stranger.public), None):
            stack.enter_context(hearing(publisher.endpoint, overheard, keys=wrong))
        until(
            lambda: (
                heard.messages and publisher.counts["keys_refused"] and publisher.counts["handshakes_refused"]
            ),
            lambda: publisher.write(Message("found", FOUND)),
        )
        assert overheard.messages == []


def test_in_the_clear_only_this_machine_is_served() -> None:
    with pytest.raises(ConfigurationError, match="other machines can reach this address"):
        Publisher("tcp://0.0.0.0:0", {"a": "a"})
    with pytest.raises(ConfigurationError, match="at least one client"):
        Publisher("tcp://0.0.0.0:0", {"a": "a"}, keys=ServerKeys(new_pair(), frozenset()))


def test_others_cannot_use_a_socket_file(tmp_path: Path) -> None:
    with publishing(f"ipc://{tmp_path}/stream"):
        assert (tmp_path / "stream").stat().st_mode & 0o777 == 0o600


# Configuration and clean-up


@pytest.mark.parametrize("keys", [None, ServerKeys(new_pair(), frozenset({new_pair().public}))])
def test_an_address_that_is_taken_is_refused(keys: ServerKeys | None) -> None:
    with publishing() as publisher, pytest.raises(ConfigurationError, match="cannot listen at"):
        Publisher(publisher.endpoint, {"a": "a"}, keys=keys)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [({"a": "x", "b": "x"}, "a different topic"), ({"a": ""}, "1 to 255"), ({"a": "ä" * 128}, "1 to 255")],
)
def test_topics_that_cannot_be_subscribed_to_are_refused(inputs: dict[str, str], reason: str) -> None:
    with pytest.raises(ConfigurationError, match=reason):
        Subscriber("tcp://127.0.0.1:5555", inputs, clock=SystemClock())


@pytest.mark.parametrize("address", ["udp://127.0.0.1:1", "tcp://127.0.0.1", "ipc://relative/path"])
def test_addresses_that_are_none_are_refused(address: str) -> None:
    with pytest.raises(ConfigurationError, match="expected an address"):
        Publisher(address, {"a": "a"})
    with pytest.raises(ConfigurationError, match="expected an address"):
        Subscriber(address, {"a": "a"}, clock=SystemClock())


def test_nothing_comes_after_a_stop() -> None:
    heard = Heard()
    with publishing() as publisher, hearing(publisher.endpoint, heard) as subscriber:
        until(lambda: heard.messages, lambda: publisher.write(Message("found", FOUND)))
        subscriber.stop()
        before = len(heard.messages)
        for _ in range(20):
            publisher.write(Message("found", FOUND))
        assert len(heard.messages) == before
        subscriber.start(heard)
        until(lambda: len(heard.messages) > before, lambda: publisher.write(Message("found", FOUND)))


def test_nothing_is_left_open() -> None:
    pair = new_pair()

    def once() -> tuple[int, int]:
        heard = Heard()
        for server, client in (
            (None, None),
            (ServerKeys(pair, frozenset({pair.public})), ClientKeys(pair, pair.public)),
        ):
            with publishing(keys=server) as publisher, hearing(publisher.endpoint, heard, keys=client):
                before = len(heard.messages)
                until(
                    lambda before=before: len(heard.messages) > before,
                    lambda: publisher.write(Message("found", FOUND)),
                )
        return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    once()
    before = once()
    for _ in range(5):
        after = once()
        assert after[0] <= before[0]
        assert after[1] <= before[1]
