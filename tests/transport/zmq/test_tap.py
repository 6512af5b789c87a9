# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A tap takes every message as it came, and counts what it did not get."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq

sys.path.insert(0, str(Path(__file__).parent))

from speaker import PATIENCE_S, Speaker, speaking

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Image, Text
from lowlat_nodes.transport.zmq import tap as taps
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, new_pair
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.replayer import Replayer
from lowlat_nodes.transport.zmq.subscriber import Subscriber
from lowlat_nodes.transport.zmq.tap import Tap, Tapped

NUMBERS = np.arange(4.0)
FRAMES = [bytes(frame) for frame in encode(Message("a", NUMBERS), "a", 0)]


class Ear:
    """A tap and what it heard."""

    def __init__(self, endpoint: str, *topics: str, **options: Any) -> None:
        self.clock = ManualClock(1_000)
        self.tap = Tap(endpoint, topics, clock=self.clock, **options)
        self.heard: list[Tapped] = []
        self._condition = threading.Condition()
        self.tap.start(self._hear)

    def _hear(self, tapped: Tapped) -> None:
        with self._condition:
            self.heard.append(tapped)
            self._condition.notify_all()

    def wait(self, count: int) -> list[Tapped]:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            return list(self.heard)

    def wait_for_count(self, name: str, count: int) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.tap.counts[name] < count:
            assert time.monotonic() < deadline, self.tap.counts.snapshot()
            time.sleep(0.005)


@contextmanager
def listening(speaker: Speaker, *topics: str, **options: Any) -> Iterator[Ear]:
    ear = Ear(speaker.endpoint, *topics, **options)
    try:
        for topic in topics or ("",):
            speaker.wait_for_listener(topic)
        yield ear
    finally:
        ear.tap.stop()


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking(epoch=7) as made:
        yield made


def contents(tapped: Tapped) -> list[bytes]:
    return [frame.bytes for frame in tapped.frames]


def test_frames_come_byte_for_byte_with_the_time_of_their_receipt(speaker: Speaker) -> None:
    payloads = {
        "camera": Image(np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "rgb8"),
        "found": Detections(np.array([[1, 2, 3, 4, 0.5, 0]], np.float32), ("cup",)),
        "words": Text("hello"),
        "/numbers": NUMBERS,
    }
    with listening(speaker) as ear:
        sent = [speaker.say(topic, payload, published_ns=900) for topic, payload in payloads.items()]
        heard = ear.wait(4)
    assert [contents(tapped) for tapped in heard] == sent
    assert [tapped.topic for tapped in heard] == list(payloads)
    assert [tapped.header.schema for tapped in heard] == ["image", "detections", "text", "array"]
    assert {tapped.received_ns for tapped in heard} == {1_000}
    assert {(tapped.header.epoch, tapped.header.trace.published_ns) for tapped in heard} == {(7, 900)}
    assert ear.tap.counts.snapshot() == {"taken": 4}


def test_only_the_topics_that_were_asked_for_come(speaker: Speaker) -> None:
    with listening(speaker, "camera", "arm") as ear:
        for topic in ("camera", "camera2", "arm", "armed", "leg", "camera"):
            speaker.say(topic, NUMBERS)
        assert [tapped.topic for tapped in ear.wait(3)] == ["camera", "arm", "camera"]


def test_our_own_topics_come_only_if_asked_for(speaker: Speaker) -> None:
    beats = [msgpack.packb({"v": 1, "schema": "x", "seq": 0, "trace": [0] * 6, "arrays": []})]
    with listening(speaker) as plain, listening(speaker, heartbeats=True) as curious:
        speaker.send([b"@lowlat/1/token"])
        speaker.send([b"@token/camera", b"whatever"])
        speaker.send([b"@heartbeat", *beats])
        speaker.say("end", NUMBERS)
        assert [tapped.topic for tapped in plain.wait(1)] == ["end"]
        assert [tapped.topic for tapped in curious.wait(2)] == ["@heartbeat", "end"]
        assert plain.tap.counts.snapshot() == {"taken": 1}
        assert curious.tap.counts.snapshot() == {"taken": 2}


def test_gaps_in_the_numbers_are_counted_as_lost(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        for number in (3, 4, 8, 9):
            speaker.say("a", NUMBERS, sequence=number)
            speaker.say("b", NUMBERS)
        lost = [(tapped.topic, tapped.lost) for tapped in ear.wait(8) if tapped.lost]
    assert lost == [("a", 3)]
    assert ear.tap.counts.snapshot() == {"taken": 8, "lost": 3}


def test_another_run_of_the_publisher_begins_anew(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        for epoch, number in ((7, 100), (8, 0), (8, 1), (9, 50), (0, 3), (0, 0), (0, 2)):
            speaker.epoch = epoch
            speaker.say("a", NUMBERS, sequence=number)
        assert [tapped.lost for tapped in ear.wait(7)] == [0, 0, 0, 0, 0, 0, 1]


def test_what_is_sent_again_to_others_is_taken_once(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        for number in (5, 5, 6, 5, 7):
            speaker.say("a", NUMBERS, sequence=number)
        ear.wait_for_count("repeated", 2)
        assert [tapped.header.sequence for tapped in ear.wait(3)] == [5, 6, 7]
        assert ear.tap.counts["lost"] == 0


def changed(frames: list[bytes], **fields: Any) -> list[bytes]:
    header = {**msgpack.unpackb(frames[1]), **fields}
    return [frames[0], msgpack.packb(header), *frames[2:]]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda frames: [b"a"], "expected 2 to 10 frames, got 1"),
        (lambda frames: [*frames, *[b"x"] * 20], "expected 2 to 10 frames, got 11"),
        (lambda frames: [b"\xff", *frames[1:]], "topic: expected UTF-8"),
        (lambda frames: [frames[0], b"\xc1", frames[2]], "header: expected msgpack"),
        (lambda frames: [*frames[:2], frames[2][:-1]], "takes 32 bytes, 31 came with it"),
        (lambda frames: changed(frames, v=2), "expected version 1"),
        (lambda frames: changed(frames, schema="x" * 65), "expected 'schema' as text of 1 to 64"),
        (lambda frames: changed(frames, schema=4), "expected 'schema' as text of 1 to 64"),
        (lambda frames: changed(frames[:2], shm=["s", 0, 1, [0]]), "got a place in shared memory"),
    ],
)
def test_what_is_malformed_is_counted_and_not_taken(
    speaker: Speaker, spoil: Callable[[list[bytes]], list[bytes]], reason: str
) -> None:
    with listening(speaker) as ear:
        frames = speaker.say("a", NUMBERS)
        speaker.send(spoil(frames))
        speaker.say("a", NUMBERS)
        assert len(ear.wait(2)) == 2
        assert ear.tap.counts.snapshot() == {"taken": 2, "malformed": 1}
        assert reason in ear.tap.last_failure
        assert speaker.endpoint in ear.tap.last_failure


def test_a_schema_that_is_newer_than_we_are_is_taken(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        frames = changed(speaker.say("a", NUMBERS), schema="point_cloud", seq=1, density="high")
        speaker.send(frames)
        heard = ear.wait(2)
    assert contents(heard[1]) == frames
    assert heard[1].header.fields["density"] == "high"


def test_it_hears_our_publisher_beside_subscribers_of_shared_memory() -> None:
    outputs = {"camera": "camera", "map": "map"}
    publisher = Publisher("tcp://127.0.0.1:0", outputs, latched={"map"})
    for origin in (b"a", b"b", b"a"):  # numbers 0, 1 and 2, of which 1 and 2 are kept
        publisher.write(Message("map", np.arange(9.0)), origin=origin)
    ear = Ear(publisher.endpoint)
    subscriber = Subscriber(publisher.endpoint, outputs, clock=ManualClock())
    picture = Image(np.full((200, 200, 3), 7, np.uint8), "rgb8")
    try:
        assert [tapped.header.sequence for tapped in ear.wait(2)] == [1, 2]
        subscriber.start(lambda _message: None)
        deadline = time.monotonic() + PATIENCE_S
        written = 0
        while subscriber.in_place < 3:
            assert time.monotonic() < deadline
            publisher.write(Message("camera", picture))
            written += 1
            time.sleep(0.01)
        publisher.write(Message("map", np.arange(9.0)))
        heard = ear.wait(2 + written + 1)
        assert [tapped.topic for tapped in heard] == ["map"] * 2 + ["camera"] * written + ["map"]
        assert heard[2].frames[2].bytes == picture.data.tobytes()
        ear.wait_for_count("repeated", 2)  # that the other one got
    finally:
        ear.tap.stop()
        subscriber.stop()
        publisher.close()
    assert ear.tap.counts["lost"] == 0


def test_what_was_kept_for_newcomers_hides_no_loss(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        again = [changed(FRAMES, seq=sequence, epoch=speaker.epoch, kept=True) for sequence in (3, 7)]
        for frames in again:
            speaker.send(frames)
        for sequence in (9, 10, 12):  # from 9 on we were there
            speaker.say("a", NUMBERS, sequence=sequence)
        speaker.send(again[1])
        speaker.say("a", NUMBERS, sequence=13)
        assert [(tapped.header.sequence, tapped.lost) for tapped in ear.wait(6)] == [
            (3, 0), (7, 0), (9, 0), (10, 0), (12, 1), (13, 0)
        ]  # fmt: skip
    assert ear.tap.counts.snapshot() == {"taken": 6, "lost": 1, "repeated": 1}


def test_topics_beyond_the_limit_are_left_out(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taps, "MAX_TOPICS", 2)
    with listening(speaker) as ear:
        for topic in ("a", "b", "c", "d", "a"):
            speaker.say(topic, NUMBERS)
        assert [tapped.topic for tapped in ear.wait(3)] == ["a", "b", "a"]
        assert ear.tap.counts["beyond"] == 2


def test_a_publisher_may_come_back(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        speaker.say("a", NUMBERS)
        ear.wait(1)
        endpoint = speaker.endpoint
        speaker.close()
        with speaking(endpoint, epoch=8) as again:
            again.wait_for_listener()
            again.say("a", NUMBERS)
            assert [tapped.header.epoch for tapped in ear.wait(2)] == [7, 8]


def test_a_frame_that_is_too_large_is_not_read(speaker: Speaker) -> None:
    with listening(speaker, max_bytes=1000) as ear:
        speaker.say("a", np.zeros(1000))
        speaker.wait_for_listener()  # the connection broke before it was read, and is there again
        speaker.say("b", NUMBERS)
        assert [tapped.topic for tapped in ear.wait(1)] == ["b"]


def test_keys_let_it_in_and_strange_keys_do_not() -> None:
    server, friend, stranger = new_pair(), new_pair(), new_pair()
    frames = [b"a", msgpack.packb({"v": 1, "schema": "array", "seq": 0, "trace": [0] * 6, "arrays": []})]
    replayer = Replayer("tcp://127.0.0.1:0", keys=ServerKeys(server, frozenset({friend.public})))
    ears = [
        Ear(replayer.endpoint, keys=keys)
        for keys in (ClientKeys(friend, server.public), ClientKeys(stranger, server.public), None)
    ]
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not replayer.heard("a"):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        replayer.send("a", frames)
        assert len(ears[0].wait(1)) == 1
        assert not ears[1].heard
        assert not ears[2].heard
    finally:
        for ear in ears:
            ear.tap.stop()
        replayer.close()


def test_a_tap_stops_and_starts_again(speaker: Speaker) -> None:
    with listening(speaker) as ear:
        speaker.say("a", NUMBERS)
        ear.wait(1)
        ear.tap.stop()
        speaker.say("a", NUMBERS)
        ear.tap.start(ear._hear)
        speaker.wait_for_listener()
        speaker.say("a", NUMBERS)
        assert [tapped.lost for tapped in ear.wait(2)] == [0, 1]


@pytest.mark.parametrize(
    ("endpoint", "topics", "words"),
    [
        ("nowhere", (), "expected an address like"),
        ("tcp://127.0.0.1:5555", ("@x",), "do not begin with '@', got '@x'"),
        ("tcp://127.0.0.1:5555", ("x" * 256,), "expected topics of 1 to 255 bytes"),
    ],
)
def test_wrong_options_are_refused(endpoint: str, topics: tuple[str, ...], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Tap(endpoint, topics, clock=ManualClock())


def test_a_slow_tap_loses_messages_itself_and_says_so(
    speaker: Speaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not take waits in its own connection, up to a bound, and for nobody else."""
    go = threading.Event()
    heard: list[Tapped] = []

    def hear(tapped: Tapped) -> None:
        heard.append(tapped)
        assert go.wait(PATIENCE_S)

    speaker._socket.setsockopt(zmq.SNDHWM, 16)
    speaker._socket.bind("tcp://127.0.0.1:0")  # options count for what is bound after them
    speaker.endpoint = speaker._socket.getsockopt_string(zmq.LAST_ENDPOINT)
    slow = Tap(speaker.endpoint, clock=ManualClock())
    with monkeypatch.context() as patch:
        patch.setattr(taps, "_WAITING", 16)
        slow.start(hear)
    try:
        speaker.wait_for_listener()
        with listening(speaker) as ear:
            image = Image(np.zeros((400, 400, 3), np.uint8), "rgb8")
            for number in range(200):
                speaker.say("camera", image)
                assert len(ear.wait(number + 1)) == number + 1
            go.set()
            speaker.say("camera", image)
            ear.wait(201)
            assert ear.tap.counts["lost"] == 0
            deadline = time.monotonic() + PATIENCE_S
            while not (slow.counts["lost"] and slow.counts["lost"] + slow.counts["taken"] == 202):
                assert time.monotonic() < deadline, slow.counts.snapshot()
                speaker.say("camera", image, sequence=201)
                time.sleep(0.02)
    finally:
        go.set()
        slow.stop()
