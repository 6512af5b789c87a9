# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Recorded frames are published again as they were, as a new run of a publisher."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Image
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.replayer import Replayer

PATIENCE_S = 60.0
LOOPBACK = "tcp://127.0.0.1:0"


@pytest.fixture
def replayer() -> Iterator[Replayer]:
    with closing(Replayer(LOOPBACK)) as made:
        yield made


@pytest.fixture
def subscribe() -> Iterator[Callable[..., zmq.Socket[bytes]]]:
    context = zmq.Context()

    def connect(replayer: Replayer, topic: str = "", waiting: int = 1000) -> zmq.Socket[bytes]:
        socket = context.socket(zmq.SUB)
        socket.setsockopt(zmq.RCVHWM, waiting)
        socket.setsockopt(zmq.RCVTIMEO, round(1000 * PATIENCE_S))
        socket.subscribe(topic)
        socket.connect(replayer.endpoint)
        deadline = time.monotonic() + PATIENCE_S
        while not replayer.heard(topic or "anything"):
            assert time.monotonic() < deadline
            time.sleep(0.005)
        return socket

    yield connect
    context.destroy(linger=0)


def recorded(payload: Any, sequence: int = 41, **options: Any) -> list[bytes]:
    trace = Trace(1_000, 2_000, 2_500, 0, 0, 3_000)
    message = Message("camera", payload, trace, frame_id="optical")
    return [bytes(frame) for frame in encode(message, "camera", sequence, epoch=5, **options)]


PICTURE = recorded(Image(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), "rgb8"), budget_ns=9, via=("a",))


def header(frames: list[bytes]) -> dict[str, Any]:
    found: dict[str, Any] = msgpack.unpackb(frames[1])
    return found


def test_all_but_number_and_run_is_as_it_was(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer)
    for _ in range(2):
        assert replayer.send("camera", PICTURE)
    first, second = socket.recv_multipart(), socket.recv_multipart()
    assert [frames[0] for frames in (first, second)] == [b"camera"] * 2
    assert [frames[2:] for frames in (first, second)] == [PICTURE[2:]] * 2
    assert (header(first)["seq"], header(second)["seq"]) == (0, 1)
    assert header(first)["epoch"] == header(second)["epoch"] > 5
    assert {**header(first), "seq": 41, "epoch": 5} == header(PICTURE)
    assert list(header(first)) == list(header(PICTURE))


def test_topics_are_counted_by_what_they_are_published_as(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer)
    for topic in ("a", "b", "a"):
        replayer.send(topic, PICTURE)
    found = [socket.recv_multipart() for _ in range(3)]
    assert [(frames[0], header(frames)["seq"]) for frames in found] == [(b"a", 0), (b"b", 0), (b"a", 1)]


def test_stamps_move_together_so_that_it_was_published_now(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer)
    before_ns = time.time_ns()
    replayer.send("camera", PICTURE, published_now=True)
    after_ns = time.time_ns()
    capture, received, dequeued, start, end, published = header(socket.recv_multipart())["trace"]
    assert before_ns <= published <= after_ns
    assert (published - capture, published - received, published - dequeued) == (2_000, 1_000, 500)
    assert (start, end) == (0, 0)


def test_a_message_without_stamps_has_none_afterwards(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer)
    frames = [bytes(frame) for frame in encode(Message("a", np.zeros(2)), "a", 0)]
    replayer.send("a", frames, published_now=True)
    assert header(socket.recv_multipart())["trace"] == [0] * 6


def test_keys_that_we_do_not_know_are_kept(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer)
    fields = {**header(PICTURE), "schema": "voxels", "gain": 2.5, "tags": ["a", {"b": None}]}
    replayer.send("camera", [b"camera", msgpack.packb(fields), *PICTURE[2:]])
    found = header(socket.recv_multipart())
    assert {name: found[name] for name in ("schema", "gain", "tags")} == {
        "schema": "voxels",
        "gain": 2.5,
        "tags": ["a", {"b": None}],
    }


def test_it_knows_who_listens(replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]) -> None:
    assert not replayer.heard("camera")
    socket = subscribe(replayer, "cam")
    assert replayer.heard("camera")
    assert not replayer.heard("arm")
    socket.close()
    deadline = time.monotonic() + PATIENCE_S
    while replayer.heard("camera"):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_who_subscribes_to_all_there_may_be_is_cut(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    modest, greedy = subscribe(replayer, "camera"), subscribe(replayer, "all")
    deadline = time.monotonic() + PATIENCE_S
    for number in itertools.count():
        if replayer.counts["connections_cut"]:
            break
        assert time.monotonic() < deadline
        greedy.subscribe(f"{number:0200}")
        replayer.heard("camera")
    greedy.close(linger=0)
    replayer.send("camera", PICTURE)
    assert modest.recv_multipart()[2:] == PICTURE[2:]


def test_with_patience_a_slow_subscriber_gets_everything(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    socket = subscribe(replayer, waiting=4)
    picture = recorded(Image(np.zeros((300, 300, 3), np.uint8), "rgb8"))
    numbers: list[int] = []

    def read() -> None:
        while len(numbers) < 300:
            numbers.append(header(socket.recv_multipart())["seq"])

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(300):
        assert replayer.send("camera", picture, patience_s=PATIENCE_S)
    reader.join()
    assert numbers == list(range(300))


def test_patience_ends_and_others_go_on(
    replayer: Replayer, subscribe: Callable[..., zmq.Socket[bytes]]
) -> None:
    stuck = subscribe(replayer, waiting=1)
    picture = recorded(Image(np.zeros((500, 500, 3), np.uint8), "rgb8"))
    for _ in range(1000):
        if not replayer.send("camera", picture, patience_s=0.05):
            break
    else:
        pytest.fail("a subscriber that reads nothing took a thousand pictures")
    reader = subscribe(replayer)
    deadline = time.monotonic() + PATIENCE_S
    while not reader.poll(20):  # its subscription is on its way
        assert time.monotonic() < deadline
        replayer.send("camera", picture)
    assert reader.recv_multipart()[2:] == picture[2:]
    assert stuck.poll(0)  # what it got waits there, unread


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (PICTURE[:1], "expected 2 to 10 frames, got 1"),
        (PICTURE[:2], "expected an entry in 'arrays' for each of 0 frames"),
        ([b"camera", b"\x01"], "expected a map"),
        (
            [b"camera", msgpack.packb({**header(PICTURE), "shm": ["s", 0, 1, [0]]})],
            "its arrays were in shared memory",
        ),
    ],
)
def test_what_is_no_message_is_refused_and_not_counted(
    replayer: Replayer,
    subscribe: Callable[..., zmq.Socket[bytes]],
    frames: list[bytes],
    words: str,
) -> None:
    socket = subscribe(replayer)
    with pytest.raises(WireError, match=words):
        replayer.send("camera", frames)
    replayer.send("camera", PICTURE)
    assert header(socket.recv_multipart())["seq"] == 0


def test_a_header_that_would_grow_too_large_is_refused(replayer: Replayer) -> None:
    found = Detections(np.zeros((0, 6), np.float32), ("x" * 1000,) * 65)
    frames = [bytes(frame) for frame in encode(Message("a", found), "a", 0)]
    room = (1 << 16) - len(frames[1])
    padded = msgpack.packb({**header(frames), "pad": "x" * (room - 8)})
    with pytest.raises(WireError, match="expected a header of at most 65536 bytes"):
        replayer.send("a", [frames[0], padded, *frames[2:]])


@pytest.mark.parametrize("topic", ["", "x" * 256])
def test_a_topic_that_is_none_is_refused(replayer: Replayer, topic: str) -> None:
    with pytest.raises(WireError, match="expected a topic of 1 to 255 bytes"):
        replayer.send(topic, PICTURE)


def test_an_address_that_is_taken_or_exposed_is_refused(replayer: Replayer) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot listen at"):
        Replayer(replayer.endpoint)
    with pytest.raises(ConfigurationError, match="other machines can reach this address"):
        Replayer("tcp://0.0.0.0:0")
