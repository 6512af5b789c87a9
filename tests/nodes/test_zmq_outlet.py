# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A bag of ZeroMQ topics is played whole, in order and in its time, without ROS."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from lowlat_nodes.nodes import zmq_outlet
from lowlat_nodes.nodes.bag.player import FULL_SPEED, BagPlayer
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.nodes.zmq_outlet import ZmqOutlet
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter, Recorded, Topic
from lowlat_nodes.transport.bag.framing import ENCODING, pack, unpack
from lowlat_nodes.transport.zmq.frames import encode
from lowlat_nodes.transport.zmq.replayer import Replayer
from lowlat_nodes.transport.zmq.tap import Tap, Tapped

STRING = "std_msgs/msg/String"
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 2_000_000
COUNT = 30  # so few that all may wait for a subscriber that has to wait for a core
PATIENCE_S = 60.0


def framed(topic: str, payload: Any, index: int) -> bytes:
    stamp_ns = START_NS + index * PERIOD_NS - 70
    return pack(encode(Message("x", payload, Trace(stamp_ns, 0, 0, 0, 0, stamp_ns)), topic, index, epoch=5))


@pytest.fixture
def bag(tmp_path: Path) -> Iterator[BagReader]:
    with BagWriter(tmp_path / "bag") as writer:
        for name in ("zmq:words", "zmq2:camera"):
            writer.declare(Topic(name, "lowlat/x", encoding=ENCODING, endpoint="tcp://127.0.0.1:1"))
        for index in range(COUNT):
            stamp_ns = START_NS + index * PERIOD_NS
            picture = Image(np.full((10, 10, 3), index, np.uint8), "rgb8")
            writer.write("zmq:words", "lowlat/x", stamp_ns, framed("words", Text(str(index)), index))
            writer.write("zmq2:camera", "lowlat/x", stamp_ns + 10, framed("camera", picture, index))
            writer.write("/ros", STRING, stamp_ns + 20, cdr.encode(STRING, 0, "", Text("x")))
    with BagReader(tmp_path / "bag") as reader:
        yield reader


@pytest.fixture
def replayer() -> Iterator[Replayer]:
    with closing(Replayer("tcp://127.0.0.1:0")) as made:
        yield made


@pytest.fixture
def stop() -> Iterator[StopRequest]:
    request = StopRequest()
    yield request
    request.close()


class Listener:
    """Keeps what a publisher says."""

    def __init__(self, endpoint: str, *topics: str) -> None:
        self.heard: list[Tapped] = []
        self._condition = threading.Condition()
        self.tap = Tap(endpoint, topics, clock=SystemClock())
        self.tap.start(self._hear)

    def _hear(self, tapped: Tapped) -> None:
        with self._condition:
            self.heard.append(tapped)
            self._condition.notify_all()

    def wait(self, count: int) -> list[Tapped]:
        with self._condition:
            assert self._condition.wait_for(lambda: len(self.heard) >= count, PATIENCE_S)
            return list(self.heard)


@pytest.fixture
def listener(replayer: Replayer) -> Iterator[Listener]:
    made = Listener(replayer.endpoint)
    yield made
    made.tap.stop()


def payloads(messages: list[Recorded], topic: str) -> list[list[bytes]]:
    return [[bytes(part) for part in unpack(item.data)[2:]] for item in messages if item.topic == topic]


@pytest.mark.parametrize("rate", [1.0, 10.0, FULL_SPEED])
def test_all_messages_come_in_order_at_every_rate(
    bag: BagReader, replayer: Replayer, listener: Listener, stop: StopRequest, rate: float
) -> None:
    player = BagPlayer(bag, [ZmqOutlet(replayer)], rate=rate)
    assert player.wait_for_subscriptions(PATIENCE_S, stop) == []
    report = player.play(stop)
    heard = listener.wait(2 * COUNT)
    assert [tapped.topic for tapped in heard] == ["words", "camera"] * COUNT
    assert [tapped.header.sequence for tapped in heard[::2]] == list(range(COUNT))
    assert [[frame.bytes for frame in tapped.frames[2:]] for tapped in heard[1::2]] == payloads(
        list(bag.messages()), "zmq2:camera"
    )
    assert [tapped.header.trace.published_ns for tapped in heard[::2]] == [
        START_NS + index * PERIOD_NS - 70 for index in range(COUNT)
    ]
    assert (report.tally.published, report.tally.skipped) == (2 * COUNT, COUNT)
    assert report.tally.topics["/ros"].reason == "nothing here publishes it: ROS"
    assert report.unconfirmed == []
    assert report.late.count == (0 if rate == FULL_SPEED else 2 * COUNT)
    assert report.late.negative == 0
    if rate == 1.0:
        assert report.seconds >= (COUNT - 1) * PERIOD_NS / 1e9


def test_two_publishers_are_two_again(bag: BagReader, stop: StopRequest) -> None:
    first, second = Replayer("tcp://127.0.0.1:0"), Replayer("tcp://127.0.0.1:0")
    listeners = [Listener(first.endpoint), Listener(second.endpoint)]
    camera = [topic for topic in bag.topics if topic.name == "zmq2:camera"]
    try:
        player = BagPlayer(bag, [ZmqOutlet(first, camera), ZmqOutlet(second)], rate=FULL_SPEED)
        assert player.wait_for_subscriptions(PATIENCE_S, stop) == []
        player.play(stop)
        assert {tapped.topic for tapped in listeners[0].wait(COUNT)} == {"camera"}
        assert {tapped.topic for tapped in listeners[1].wait(COUNT)} == {"words"}
    finally:
        for listener in listeners:
            listener.tap.stop()
        first.close()
        second.close()


@pytest.mark.parametrize("name", ["words", "zmq:words"])
def test_topics_are_chosen_and_mapped_by_either_name(
    bag: BagReader, replayer: Replayer, listener: Listener, stop: StopRequest, name: str
) -> None:
    player = BagPlayer(bag, [ZmqOutlet(replayer)], rate=FULL_SPEED, topics=[name], remap={name: "robot/say"})
    assert player.wait_for_subscriptions(PATIENCE_S, stop) == []
    report = player.play(stop, loops=2)
    heard = listener.wait(2 * COUNT)
    assert {tapped.topic for tapped in heard} == {"robot/say"}
    assert [tapped.header.sequence for tapped in heard] == list(range(2 * COUNT))
    assert report.tally.topics["zmq2:camera"].reason == "not chosen"


def test_messages_may_be_published_now(
    bag: BagReader, replayer: Replayer, listener: Listener, stop: StopRequest
) -> None:
    player = BagPlayer(bag, [ZmqOutlet(replayer, published_now=True)], rate=20.0, topics=["words"])
    player.wait_for_subscriptions(PATIENCE_S, stop)
    before_ns = time.time_ns()
    player.play(stop)
    stamps = [tapped.header.trace.published_ns for tapped in listener.wait(COUNT)]
    assert before_ns <= stamps[0] <= stamps[-1] <= time.time_ns()
    assert stamps == sorted(stamps)


def test_nobody_listens(bag: BagReader, replayer: Replayer, stop: StopRequest) -> None:
    player = BagPlayer(bag, [ZmqOutlet(replayer)], rate=FULL_SPEED)
    assert sorted(player.wait_for_subscriptions(0.0, stop)) == ["camera", "words"]
    assert player.play(stop).tally.published == 2 * COUNT


def test_what_is_no_message_is_skipped_with_the_reason(
    tmp_path: Path, replayer: Replayer, stop: StopRequest
) -> None:
    with BagWriter(tmp_path / "odd.mcap") as writer:
        writer.declare(Topic("zmq:a", "lowlat/text", encoding=ENCODING))
        for index, data in enumerate((b"", pack([b"a", b"\xc1"]), framed("a", Text("x"), 0))):
            writer.write("zmq:a", "lowlat/text", START_NS + index, data)
        writer.declare(Topic(f"zmq:{'x' * 256}", "lowlat/text", encoding=ENCODING))
    with BagReader(tmp_path / "odd.mcap") as reader:
        player = BagPlayer(reader, [ZmqOutlet(replayer)], rate=FULL_SPEED)
        assert "expected a topic of 1 to 255 bytes" in player.skipped[f"zmq:{'x' * 256}"]
        tally = player.play(stop).tally
    assert (tally.published, tally.skipped) == (1, 2)
    assert tally.topics["zmq:a"].reason.startswith("malformed: expected 1 to 64 frames")


def test_a_name_of_the_protocol_is_refused(bag: BagReader, replayer: Replayer) -> None:
    player = BagPlayer(bag, [ZmqOutlet(replayer)], remap={"words": "@heartbeat"})
    assert "not the protocol's own, got '@heartbeat'" in player.skipped["zmq:words"]


def test_a_subscriber_that_is_stuck_is_waited_for_once(
    bag: BagReader, replayer: Replayer, stop: StopRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zmq_outlet, "_PATIENCE_S", 0.2)
    context = zmq.Context()
    stuck = context.socket(zmq.SUB)
    stuck.setsockopt(zmq.RCVHWM, 1)
    stuck.setsockopt(zmq.RCVBUF, 1 << 12)
    stuck.subscribe("")
    stuck.connect(replayer.endpoint)
    player = BagPlayer(bag, [ZmqOutlet(replayer)], rate=FULL_SPEED)
    assert player.wait_for_subscriptions(PATIENCE_S, stop) == []
    report = player.play(stop, loops=400)
    context.destroy(linger=0)
    assert report.tally.published == 400 * 2 * COUNT
    assert len(report.unconfirmed) == 1


def test_a_stop_ends_a_long_gap(tmp_path: Path, replayer: Replayer, stop: StopRequest) -> None:
    with BagWriter(tmp_path / "gap.mcap") as writer:
        writer.declare(Topic("zmq:a", "lowlat/text", encoding=ENCODING))
        for index in (0, 10**9):
            data = framed("a", Text("x"), 0)
            writer.write("zmq:a", "lowlat/text", START_NS + index * 1_000_000, data)
    with BagReader(tmp_path / "gap.mcap") as reader:
        timer = threading.Timer(0.2, stop.set)
        timer.start()
        report = BagPlayer(reader, [ZmqOutlet(replayer)]).play(stop)
        timer.join()
    assert report.tally.published == 1


def test_a_name_that_is_not_there_is_refused(bag: BagReader, replayer: Replayer) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no topic 'zmq:word'; did you mean 'zmq:words'\?"):
        BagPlayer(bag, [ZmqOutlet(replayer)], topics=["zmq:word"])
