# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A processor runs over a bag in the bag's time, the same each time, whatever the messages are."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_forms import START_NS, STEP_NS, STRING, Bag, text, write

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import (
    NO_FLOATS,
    CompressedImage,
    Detections,
    Image,
    Joints,
    Labels,
    Serialised,
    Text,
    Trajectory,
)
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import (
    BagReader,
    BagWriter,
    Codec,
    DiskError,
    MessageTypes,
    OfflineReplay,
    OfflineRun,
    Recorded,
    Topic,
)
from lowlat_nodes.transport.bag.framing import ENCODING, pack
from lowlat_nodes.transport.zmq.frames import encode

ROOT = Path(__file__).resolve().parents[3]


class Recorder(Processor):
    """Keeps what it gets and answers with what it is told."""

    def __init__(self, *inputs: str, answer: Any = None) -> None:
        self.inputs = inputs
        self.seen: list[Message] = []
        self.calls: list[str] = []
        self._answer = answer

    def open(self) -> None:
        self.calls.append("open")

    def process(self, message: Message) -> Sequence[Message]:
        self.seen.append(message)
        return () if self._answer is None else self._answer(message)

    def close(self) -> None:
        self.calls.append("close")


class Ticker(Processor):
    """Ticks every 4 ms between its inputs, as a control loop does."""

    PERIOD_NS = 4_000_000
    inputs = ("a",)

    def __init__(self) -> None:
        self._next_ns = 0
        self._last = ""

    def process(self, message: Message) -> Sequence[Message]:
        self._next_ns = self._next_ns or message.trace.received_ns
        self._last = message.payload.data
        if self._last == "bad":
            raise ValueError(self._last)
        return []

    def advance(self, now_ns: int) -> Iterator[Message]:
        while 0 < self._next_ns <= now_ns:
            yield Message("~/ticks", Text(self._last), Trace(published_ns=self._next_ns))
            self._next_ns += self.PERIOD_NS


def run(path: Path, processor: Processor, out: Path | None = None, **options: Any) -> OfflineRun:
    with BagReader(path) as bag:
        if out is None:
            return OfflineReplay(bag, processor, None, **options).run()
        with BagWriter(out) as writer:
            return OfflineReplay(bag, processor, writer, **options).run()


def contents(path: Path) -> list[Recorded]:
    with BagReader(path) as bag:
        return list(bag.messages())


def test_messages_come_in_order_with_the_time_of_the_bag(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    processor = Recorder("a", "/b")
    result = run(write("ours", tmp_path / "bag", messages), processor)
    assert [message.trace.received_ns for message in processor.seen] == [item.stamp_ns for item in ordered]
    assert all(message.trace.dequeued_ns == message.trace.received_ns for message in processor.seen)
    # Relative and absolute names of inputs mean the same topic, and come as the processor wrote them.
    assert {message.topic for message in processor.seen} == {"a", "/b"}
    assert [message.sequence for message in processor.seen if message.topic == "a"] == list(range(20))
    assert processor.calls == ["open", "close"]
    assert (result.tally.published, result.tally.skipped) == (40, 0)


def test_other_topics_are_skipped_and_counted(tmp_path: Path, messages: Bag) -> None:
    result = run(write("ours", tmp_path / "bag", messages), Recorder("a"))
    found = result.tally.as_json()
    assert (found["read"], found["published"], found["skipped"]) == (40, 20, 20)
    assert found["topics"]["/b"] == {
        "type": STRING,
        "read": 20,
        "published": 0,
        "skipped": 20,
        "reason": "not an input of the processor",
    }


def test_a_processor_without_named_inputs_takes_all(tmp_path: Path, messages: Bag) -> None:
    processor = Recorder()
    run(write("ours", tmp_path / "bag", messages), processor)
    assert {message.topic for message in processor.seen} == {"/a", "/b"}


def test_topics_are_remapped_to_inputs(tmp_path: Path, messages: Bag) -> None:
    processor = Recorder("words")
    result = run(write("ours", tmp_path / "bag", messages), processor, remap={"b": "words"})
    assert [message.topic for message in processor.seen] == ["words"] * 20
    assert result.silent == ()


def test_inputs_that_nothing_feeds_are_told(tmp_path: Path, messages: Bag) -> None:
    assert run(write("ours", tmp_path / "bag", messages), Recorder("a", "task")).silent == ("task",)


@pytest.mark.parametrize(
    ("remap", "words"),
    [
        ({"/aa": "a"}, r"there is no topic '/aa'; did you mean '/a'\?"),
        ({"/b": "taks"}, r"the processor has no input '/taks'; did you mean '/task'\?"),
    ],
)
def test_wrong_remaps_are_refused(tmp_path: Path, messages: Bag, remap: dict[str, str], words: str) -> None:
    path = write("ours", tmp_path / "bag", messages)
    with pytest.raises(ConfigurationError, match=words):
        run(path, Recorder("a", "task"), remap=remap)


def test_results_carry_the_stamps_of_their_inputs(tmp_path: Path, messages: Bag, ordered: Bag) -> None:
    echo = Recorder("a", answer=lambda message: [message.derive("echo", message.payload)])
    out = tmp_path / "out.mcap"
    result = run(write("ours", tmp_path / "bag", messages), echo, out)
    expected = [item for item in ordered if item.topic == "/a"]
    assert contents(out) == [item._replace(topic="/echo") for item in expected]
    assert result.outputs == {"/echo": 20}


def test_results_between_inputs_have_their_own_time(tmp_path: Path) -> None:
    path = write(
        "ours", tmp_path / "bag", [text("/a", START_NS, "one"), text("/a", START_NS + STEP_NS, "two")]
    )
    out = tmp_path / "out.mcap"
    run(path, Ticker(), out, name="ticker")
    found = [
        (item.topic, item.stamp_ns - START_NS, cdr.decode(STRING, item.data).payload.data)
        for item in contents(out)
    ]
    period = Ticker.PERIOD_NS
    assert found == [("/ticker/ticks", period * index, "one") for index in range(3)]


def test_a_message_that_fails_takes_no_results_between_inputs_with_it(tmp_path: Path) -> None:
    words = [text("/a", START_NS + STEP_NS * index, "bad" if index % 2 else "good") for index in range(6)]
    result = run(write("ours", tmp_path / "bag", words), Ticker())
    assert result.failures.snapshot() == {"process: ValueError": 3}
    assert result.outputs == {"/processor/ticks": 5 * STEP_NS // Ticker.PERIOD_NS + 1}


def test_the_end_of_the_bag_is_that_of_all_topics(tmp_path: Path) -> None:
    path = write(
        "ours", tmp_path / "bag", [text("/a", START_NS, "one"), text("/other", START_NS + 10**8, "")]
    )
    result = run(path, Ticker())
    assert result.outputs == {"/processor/ticks": 10**8 // Ticker.PERIOD_NS + 1}


def test_the_same_bag_gives_the_same_bytes(tmp_path: Path, messages: Bag) -> None:
    path = write("ours", tmp_path / "bag", messages)
    for name in ("one", "two"):
        run(path, Ticker(), tmp_path / f"{name}.mcap")
    first = (tmp_path / "one.mcap").read_bytes()
    assert first == (tmp_path / "two.mcap").read_bytes()
    assert len(first) > 1000


def test_a_message_that_fails_is_counted_and_the_next_is_processed(tmp_path: Path, messages: Bag) -> None:
    def answer(message: Message) -> Sequence[Message]:
        if message.sequence % 2:
            raise ValueError(f"odd: {message.sequence}")
        return [message.derive("out", message.payload)]

    result = run(
        write("ours", tmp_path / "bag", messages), Recorder("a", answer=answer), tmp_path / "out.mcap"
    )
    assert result.failures.snapshot() == {"process: ValueError": 10}
    assert result.last_failure == "process: ValueError: odd: 19"
    assert result.outputs == {"/out": 10}


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (lambda _: 42, "process: TypeError"),
        (lambda _: [42], "write: AttributeError"),
        (lambda message: [message.derive("out", {"a": 1})], "write: BagError"),
        (
            lambda message: [message.derive("out", Image(np.zeros((2, 2), np.uint8), "rgb8"))],
            "write: CdrError",
        ),
    ],
)
def test_whatever_a_processor_returns_the_replay_goes_on(
    tmp_path: Path, messages: Bag, answer: Any, failure: str
) -> None:
    result = run(
        write("ours", tmp_path / "bag", messages), Recorder("a", answer=answer), tmp_path / "out.mcap"
    )
    assert result.failures.snapshot() == {failure: 20}


def test_a_malformed_message_is_skipped(tmp_path: Path, messages: Bag) -> None:
    broken = messages[6]._replace(data=messages[6].data[:9])
    processor = Recorder()
    result = run(write("ours", tmp_path / "bag", [*messages[:6], broken, *messages[7:]]), processor)
    assert len(processor.seen) == 39
    assert result.tally.topics["/a"].reason.startswith("malformed: ")


def test_an_unknown_type_is_skipped(tmp_path: Path, messages: Bag) -> None:
    costmap = Recorded("/map", "nav2_msgs/msg/Costmap", START_NS, b"\x00\x01\x00\x00", START_NS)
    result = run(write("ours", tmp_path / "bag", [costmap, *messages]), Recorder())
    fate = result.tally.topics["/map"]
    assert (fate.published, fate.skipped) == (0, 1)
    assert fate.reason == "type nav2_msgs/msg/Costmap is not known here"


def test_what_open_raises_ends_the_replay_and_close_is_called(tmp_path: Path, messages: Bag) -> None:
    class Failing(Recorder):
        def open(self) -> None:
            raise ConfigurationError("no model")

    processor = Failing()
    path = write("ours", tmp_path / "bag", messages)
    with pytest.raises(ConfigurationError, match="no model"):
        run(path, processor)
    assert processor.calls == ["close"]


def test_a_full_disk_ends_the_replay(tmp_path: Path, messages: Bag, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise DiskError("no space")

    path = write("ours", tmp_path / "bag", messages)
    monkeypatch.setattr(BagWriter, "write", full)
    echo = Recorder("a", answer=lambda message: [message])
    with pytest.raises(DiskError):
        run(path, echo, tmp_path / "out.mcap")


def test_header_stamps_may_jump_back_while_the_time_of_the_bag_does_not(tmp_path: Path) -> None:
    stamps = [50, 60, 10, 20]
    joints = Joints(("j",), np.zeros(1), NO_FLOATS, NO_FLOATS)
    kind = "sensor_msgs/msg/JointState"
    sent = [
        Recorded(
            "/joint_states", kind, START_NS + index, cdr.encode(kind, stamp, "base", joints), START_NS + index
        )
        for index, stamp in enumerate(stamps)
    ]
    processor = Recorder("joint_states")
    run(write("ours", tmp_path / "bag", sent), processor)
    assert [message.trace.capture_ns for message in processor.seen] == stamps
    received = [message.trace.received_ns for message in processor.seen]
    assert received == sorted(received)
    assert {message.frame_id for message in processor.seen} == {"base"}


def clock(stamp_ns: int, time_ns: int) -> Recorded:
    data = b"\x00\x01\x00\x00" + struct.pack("<iI", *divmod(time_ns, 10**9))
    return Recorded("/clock", "rosgraph_msgs/msg/Clock", stamp_ns, data, stamp_ns)


def test_simulated_time_is_that_of_the_recorded_clock(tmp_path: Path) -> None:
    sent = [
        text("/a", START_NS, "too early"),
        clock(START_NS + 1, 5 * 10**9),
        text("/a", START_NS + 2, "one"),
        clock(START_NS + 3, 6 * 10**9),
        text("/a", START_NS + 4, "two"),
        clock(START_NS + 5, 2 * 10**9),  # the simulation was reset
        text("/a", START_NS + 6, "three"),
    ]
    echo = Recorder("a", answer=lambda message: [message.derive("echo", message.payload)])
    result = run(write("ours", tmp_path / "bag", sent), echo, tmp_path / "out.mcap", sim_time=True)
    assert [message.trace.received_ns for message in echo.seen] == [5 * 10**9, 6 * 10**9, 2 * 10**9]
    assert [item.stamp_ns for item in contents(tmp_path / "out.mcap")] == [2 * 10**9, 5 * 10**9, 6 * 10**9]
    assert result.tally.topics["/a"].reason == "before the first /clock"


def test_simulated_time_needs_a_clock(tmp_path: Path, messages: Bag) -> None:
    path = write("ours", tmp_path / "bag", messages)
    with pytest.raises(ConfigurationError, match="simulated time needs a recorded '/clock'"):
        run(path, Recorder("a"), sim_time=True)


DETECTIONS = Detections(
    np.array([[1, 2, 5, 9, 0.75, 0], [3, 4, 4, 8, 0.5, 1]], np.float32), ("cup", "jar"), np.array([7, -1])
)

PAYLOADS = [
    ("std_msgs/msg/String", Text("word")),
    ("std_msgs/msg/Float64MultiArray", np.arange(3.0)),
    ("sensor_msgs/msg/JointState", Joints(("a", "b"), np.arange(2.0), NO_FLOATS, NO_FLOATS)),
    ("sensor_msgs/msg/Image", Image(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), "rgb8")),
    ("sensor_msgs/msg/CompressedImage", CompressedImage(np.arange(9, dtype=np.uint8), "png")),
    (
        "trajectory_msgs/msg/JointTrajectory",
        Trajectory(("a",), 5, np.array([10, 20]), np.ones((2, 1)), NO_FLOATS, NO_FLOATS),
    ),
    ("vision_msgs/msg/Detection2DArray", DETECTIONS),
    ("vision_msgs/msg/LabelInfo", Labels(("cup", "jar"), 0.25)),
]


@pytest.mark.parametrize(
    ("type_name", "payload"), PAYLOADS, ids=lambda value: str(value).rpartition("/")[2][:20]
)
def test_every_payload_is_written_as_its_type_and_read_back(type_name: str, payload: Any) -> None:
    codec = Codec()
    message = Message("out", payload, frame_id="base")
    message.trace.capture_ns = 1_000_000_007
    found_type, data = codec.encode(message)
    assert found_type == type_name
    back = codec.decode("in", Recorded("/t", type_name, 9, data, 9), 3)
    assert type(back.payload) is type(payload)
    assert codec.encode(back)[1] == data
    assert (back.topic, back.sequence, back.trace.received_ns) == ("in", 3, 9)


def test_detections_are_written_into_a_bag_and_read_back(
    tmp_path: Path, messages: Bag, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the definitions of vision_msgs as an installed package has them."""
    (tmp_path / "share").mkdir()
    (tmp_path / "share" / "vision_msgs").symlink_to(ROOT / "interfaces" / "vision_msgs")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    detector = Recorder("a", answer=lambda message: [message.derive("found", DETECTIONS)])
    result = run(write("ours", tmp_path / "bag", messages), detector, tmp_path / "found.mcap")
    assert result.outputs == {"/found": 20}, result.last_failure
    reader = Recorder("found")
    run(tmp_path / "found.mcap", reader)
    assert len(reader.seen) == 20
    for message in reader.seen:
        assert np.array_equal(message.payload.rows, DETECTIONS.rows)
        assert message.payload.names == DETECTIONS.names


def test_any_other_message_is_an_object_with_its_fields(data_dir: Path) -> None:
    processor = Recorder("scan", answer=lambda message: [message.derive("again", message.payload)])
    path = data_dir / "bags" / "selfdriving_nav"
    result = run(path, processor)
    assert result.outputs == {"/again": 177}
    first = processor.seen[0]
    assert first.payload.ranges.dtype == np.float32
    assert first.frame_id == first.payload.header.frame_id
    stamp = first.payload.header.stamp
    assert first.trace.capture_ns == stamp.sec * 10**9 + stamp.nanosec > 0
    again = MessageTypes().decode("sensor_msgs/msg/LaserScan", Codec().encode(first)[1])
    assert again.ranges.tolist() == first.payload.ranges.tolist()
    assert again.header == first.payload.header


def framed(topic: str, payload: Any, stamp_ns: int, **options: Any) -> Recorded:
    """A message as it is recorded from ZeroMQ."""
    message = Message("x", payload, Trace(capture_ns=stamp_ns - 500, published_ns=stamp_ns - 100), **options)
    data = pack(encode(message, topic, 9, epoch=3))
    return Recorded(f"zmq:{topic}", "lowlat/x", stamp_ns, data, stamp_ns - 100)


def both_worlds(path: Path, messages: Sequence[Recorded]) -> Path:
    with BagWriter(path) as writer:
        for message in messages:
            if message.topic.startswith("zmq:"):
                writer.declare(Topic(message.topic, message.type, encoding=ENCODING))
            writer.write(*message)
    return path


def test_a_processor_gets_what_came_over_zeromq(tmp_path: Path) -> None:
    picture = Image(np.arange(24, dtype=np.uint8).reshape(2, 4, 3), "rgb8")
    messages = [
        framed("camera", picture, START_NS + 1000, frame_id="optical"),
        text("/words", START_NS + 2000, "hello"),
        framed("arm/numbers", np.arange(3.0), START_NS + 3000),
    ]
    processor = Recorder("camera", "words", "/arm/numbers")
    result = run(both_worlds(tmp_path / "bag", messages), processor)
    assert [message.topic for message in processor.seen] == ["camera", "words", "/arm/numbers"]
    first, _, last = processor.seen
    assert np.array_equal(first.payload.data, picture.data)
    assert not first.payload.data.flags.writeable
    assert (first.frame_id, first.trace) == (
        "optical",
        Trace(START_NS + 500, START_NS + 1000, START_NS + 1000),
    )
    assert [message.sequence for message in (first, last)] == [0, 0]
    assert last.payload.tolist() == [0, 1, 2]
    assert (result.tally.published, result.tally.skipped, result.silent) == (3, 0, ())


def test_a_ros_topic_of_the_same_name_comes_first_unless_told_otherwise(tmp_path: Path) -> None:
    path = both_worlds(
        tmp_path / "bag",
        [text("/words", START_NS, "ros"), framed("words", Text("zmq"), START_NS + 1000)],
    )
    processor = Recorder("words")
    result = run(path, processor)
    assert [message.payload.data for message in processor.seen] == ["ros"]
    assert result.tally.topics["zmq:words"].reason == "not an input of the processor"
    processor = Recorder("words")
    run(path, processor, remap={"/words": "words", "zmq:words": "words"})
    assert [message.payload.data for message in processor.seen] == ["ros", "zmq"]
    processor = Recorder()
    run(path, processor)
    assert [message.topic for message in processor.seen] == ["/words", "/zmq/words"]


def test_a_topic_of_zeromq_is_mapped_to_an_input(tmp_path: Path) -> None:
    path = both_worlds(tmp_path / "bag", [framed("cam0", Text("x"), START_NS)])
    for name in ("cam0", "zmq:cam0"):
        processor = Recorder("camera")
        run(path, processor, remap={name: "camera"})
        assert [message.topic for message in processor.seen] == ["camera"]
    with pytest.raises(ConfigurationError, match=r"there is no topic 'zmq:cam1'; did you mean 'zmq:cam0'\?"):
        run(path, Recorder("camera"), remap={"zmq:cam1": "camera"})


def test_a_ros_message_that_was_bridged_is_one_again(tmp_path: Path) -> None:
    words = Serialised(STRING, np.frombuffer(cdr.encode(STRING, 0, "", Text("hi")), np.uint8))
    unknown = Serialised("nowhere_msgs/msg/Word", np.zeros(8, np.uint8))
    messages = [framed("words", words, START_NS), framed("words", unknown, START_NS + 1)]
    processor = Recorder("words")
    run(both_worlds(tmp_path / "bag", messages), processor)
    assert processor.seen[0].payload == Text("hi")
    assert processor.seen[1].payload.type_name == "nowhere_msgs/msg/Word"


def test_frames_that_are_no_message_are_skipped_with_the_reason(tmp_path: Path) -> None:
    good = framed("a", Text("x"), START_NS + 10)
    messages = [
        good._replace(data=b"\x01", stamp_ns=START_NS),
        good._replace(data=pack([b"a", b"\xc1"]), stamp_ns=START_NS + 1),
        good._replace(data=good.data[:-1], stamp_ns=START_NS + 2),
        good,
    ]
    processor = Recorder("a")
    result = run(both_worlds(tmp_path / "bag", messages), processor)
    assert len(processor.seen) == 1
    fate = result.tally.topics["zmq:a"]
    assert (fate.published, fate.skipped) == (1, 3)
    assert fate.reason == "malformed: expected 1 to 64 frames and their lengths, got 0 in 1 bytes"
