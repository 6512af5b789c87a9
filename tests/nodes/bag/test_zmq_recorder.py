# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a publisher says is in the bag as it said it, and what is not is counted."""

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

sys.path.insert(0, str(Path(__file__).parents[2] / "transport" / "zmq"))

from speaker import PATIENCE_S, Speaker, speaking

from lowlat_nodes.nodes.bag.disk import Disk
from lowlat_nodes.nodes.bag.zmq_recorder import ZmqRecorder
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.payload import Image, Text
from lowlat_nodes.transport.bag import BagReader, BagWriter
from lowlat_nodes.transport.bag.framing import unpack
from lowlat_nodes.transport.zmq.tap import Tap


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.005)


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    with speaking(epoch=7) as made:
        yield made


@contextmanager
def recording(speaker: Speaker, disk: Disk, *topics: str, **options: Any) -> Iterator[ZmqRecorder]:
    lines: list[str] = []
    tap = Tap(speaker.endpoint, topics, clock=SystemClock())
    recorder = ZmqRecorder("zmq", tap, disk, announce=lines.append, **options)
    recorder.start()
    try:
        for topic in topics or ("",):
            speaker.wait_for_listener(topic)
        yield recorder
    finally:
        recorder.stop()


def recorded(recorder: ZmqRecorder) -> int:
    return sum(count.messages + count.dropped for count in recorder.counts.values())


def test_frames_and_both_stamps_are_in_the_bag(tmp_path: Path, speaker: Speaker) -> None:
    sent: list[list[bytes]] = []
    before_ns = time.time_ns()
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk, recording(speaker, disk) as recorder:
        for index in range(20):
            sent.append(speaker.say("numbers", np.arange(5.0) + index, published_ns=1_000_000 + index))
            sent.append(speaker.say("words", Text(str(index))))
        wait_for(lambda: recorded(recorder) == 40)
    after_ns = time.time_ns()
    with BagReader(tmp_path / "bag") as bag:
        found = list(bag.messages())
        assert {topic.name: (topic.type, topic.endpoint) for topic in bag.topics} == {
            "zmq:numbers": ("lowlat/array", speaker.endpoint),
            "zmq:words": ("lowlat/text", speaker.endpoint),
        }
    assert [[bytes(frame) for frame in unpack(message.data)] for message in found] == sent
    assert [message.published_ns for message in found[::2]] == [1_000_000 + index for index in range(20)]
    assert all(before_ns <= message.stamp_ns <= after_ns for message in found)
    assert recorder.counts["zmq:numbers"].messages == 20
    assert (recorder.counts["zmq:words"].dropped, recorder.counts["zmq:words"].lost) == (0, 0)
    assert recorder.missing() == {}


def test_the_clock_of_the_publisher_is_compared_with_ours(tmp_path: Path, speaker: Speaker) -> None:
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk, recording(speaker, disk) as recorder:
        for _ in range(5):
            speaker.say("a", Text("x"), published_ns=time.time_ns() + 3_600_000_000_000)
        wait_for(lambda: recorded(recorder) == 5)
    assert recorder.offset.count == 5
    hour_ns = 3_600_000_000_000
    assert -hour_ns <= recorder.offset.least_ns <= recorder.offset.median_ns < PATIENCE_S * 1e9 - hour_ns


def test_a_message_without_a_stamp_of_its_publisher_has_that_of_its_receipt(
    tmp_path: Path, speaker: Speaker
) -> None:
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk, recording(speaker, disk) as recorder:
        frames = speaker.say("a", Text("x"))
        header = {"v": 1, "schema": "text", "seq": 1, "trace": [0] * 6, "arrays": [], "text": "x"}
        speaker.send([frames[0], msgpack.packb(header)])
        wait_for(lambda: recorded(recorder) == 2)
    with BagReader(tmp_path / "bag") as bag:
        first, second = bag.messages()
    assert first.published_ns != first.stamp_ns
    assert second.published_ns == second.stamp_ns
    assert recorder.offset.count == 1


def test_another_schema_on_a_topic_is_recorded_too(tmp_path: Path, speaker: Speaker) -> None:
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk, recording(speaker, disk) as recorder:
        sent = [speaker.say("a", payload) for payload in (Text("x"), np.zeros(3), Text("y"))]
        wait_for(lambda: recorded(recorder) == 3)
    with BagReader(tmp_path / "bag") as bag:
        assert [topic.type for topic in bag.topics] == ["lowlat/text"]
        assert [[bytes(frame) for frame in unpack(item.data)] for item in bag.messages()] == sent


def test_what_was_lost_on_the_way_is_counted_by_topic(tmp_path: Path, speaker: Speaker) -> None:
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk, recording(speaker, disk) as recorder:
        for number in (0, 1, 5):
            speaker.say("a", Text("x"), sequence=number)
            speaker.say("b", Text("x"))
        wait_for(lambda: recorded(recorder) == 6)
    assert {name: count.lost for name, count in recorder.counts.items()} == {"zmq:a": 3, "zmq:b": 0}


class Standing(BagWriter):
    """A disk that stands still until it is told to go on."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.go = threading.Event()

    def write(self, *message: Any) -> None:
        assert self.go.wait(PATIENCE_S)
        super().write(*message)


def test_what_finds_no_room_is_dropped_and_counted(tmp_path: Path, speaker: Speaker) -> None:
    picture = Image(np.zeros((100, 100, 3), np.uint8), "rgb8")
    with Standing(tmp_path / "bag") as writer, Disk(writer, 100_000) as disk:
        with recording(speaker, disk) as recorder:
            for _ in range(20):
                speaker.say("camera", picture)
            wait_for(lambda: recorded(recorder) == 20)
            writer.go.set()
        count = recorder.counts["zmq:camera"]
        assert (count.messages, count.dropped, count.lost) == (3, 17, 0)
    with BagReader(tmp_path / "bag") as bag:
        assert len(list(bag.messages())) == 3


def test_stamps_may_be_those_of_another_clock(tmp_path: Path, speaker: Speaker) -> None:
    begun = threading.Event()
    asked: list[int] = []

    def simulated(received_ns: int) -> int | None:
        began = begun.is_set()
        asked.append(received_ns)
        return received_ns // 1_000_000_000 if began else None

    with (
        BagWriter(tmp_path / "bag") as writer,
        Disk(writer) as disk,
        recording(speaker, disk, stamp=simulated) as recorder,
    ):
        speaker.say("a", Text("early"))
        wait_for(lambda: asked)
        begun.set()
        speaker.say("a", Text("x"), published_ns=77)
        wait_for(lambda: recorded(recorder) == 1)
    with BagReader(tmp_path / "bag") as bag:
        (message,) = bag.messages()
    assert message.stamp_ns == pytest.approx(time.time(), abs=PATIENCE_S)
    assert message.published_ns == 77


def test_what_never_came_is_told_with_the_reason(tmp_path: Path, speaker: Speaker) -> None:
    with BagWriter(tmp_path / "bag") as writer, Disk(writer) as disk:
        with recording(speaker, disk, "a", "b") as recorder:
            speaker.say("a", Text("x"))
            wait_for(lambda: recorded(recorder) == 1)
        nobody = ZmqRecorder("zmq2", Tap(f"ipc://{tmp_path}/nobody", clock=SystemClock()), disk)
        nobody.start()
        nobody.stop()
    assert recorder.missing() == {"zmq:b": "nothing came"}
    assert nobody.missing() == {
        f"zmq2: ipc://{tmp_path}/nobody": "nothing came: nobody listens there",
    }
