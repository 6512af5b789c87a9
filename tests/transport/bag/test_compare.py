# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The first difference of two bags is found and named; what is within the tolerances is none."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bag_forms import START_NS, STEP_NS, text

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import NO_FLOATS, Detections, Image, Record, Text, Trajectory
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.bag import BagReader, BagWriter, Difference, MessageTypes, Tolerance, compare
from lowlat_nodes.transport.bag.framing import pack
from lowlat_nodes.transport.zmq.frames import encode

TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
TYPES = MessageTypes()

Messages = list[tuple[str, str, int, bytes]]
Compare = Callable[..., Any]


def trajectory() -> Any:
    """An object with every kind of field: header, strings, nested messages, arrays, durations."""
    positions = np.array([[0.1, 0.2], [0.2, 0.4], [0.3, 0.6]])
    velocities = np.array([[1.0, np.nan]] * 3)
    times_ns = np.array([20, 40, 60]) * 1_000_000
    payload = Trajectory(
        ("shoulder", "elbow"), 1_700_000_000_000_000_005, times_ns, positions, velocities, NO_FLOATS
    )
    message = TYPES.decode(TRAJECTORY, cdr.encode(TRAJECTORY, 0, "base", payload))
    for point in message.points:
        point.positions, point.velocities = point.positions.copy(), point.velocities.copy()
    return message


@pytest.fixture
def compared(tmp_path: Path) -> Compare:
    numbers = itertools.count()

    def write(messages: Messages) -> Path:
        path = tmp_path / f"{next(numbers)}.mcap"
        with BagWriter(path) as writer:
            for message in messages:
                writer.write(*message)
        return path

    def run(golden: Messages, actual: Messages, **tolerance: Any) -> Any:
        with BagReader(write(golden)) as first, BagReader(write(actual)) as second:
            return compare(first, second, Tolerance(**tolerance))

    return run


def written(message: Any, stamp_ns: int = START_NS) -> tuple[str, str, int, bytes]:
    return ("/commands", TRAJECTORY, stamp_ns, TYPES.encode(TRAJECTORY, message))


def changed(change: Callable[[Any], None]) -> Any:
    message = trajectory()
    change(message)
    return message


def test_a_bag_is_equal_to_itself(compared: Compare) -> None:
    messages = [written(trajectory(), START_NS + index) for index in range(5)]
    result = compared(messages, messages)
    assert (result.compared, result.difference) == (5, None)


def set_path(path: str, value: Any) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        exec(f"message.{path} = value", {"message": message, "value": value})  # noqa: S102 - our own text

    return change


@pytest.mark.parametrize(
    ("path", "value", "field", "expected"),
    [
        ("header.frame_id", "world", "header.frame_id", "base"),
        ("joint_names[1]", "wrist", "joint_names[1]", "elbow"),
        ("points[2].positions[1]", 0.7, "points[2].positions[1]", pytest.approx(0.6)),
        ("points[0].velocities[1]", 0.0, "points[0].velocities[1]", pytest.approx(np.nan, nan_ok=True)),
        ("points[1].time_from_start.nanosec", 7, "points[1].time_from_start (ns)", 40_000_000),
        ("header.stamp.sec", 1_700_000_001, "header.stamp (ns)", 1_700_000_000_000_000_005),
        ("points[1].effort", np.array([1.0]), "length of points[1].effort", 0),
        ("points", [], "length of points", 3),
    ],
)
def test_the_field_that_differs_is_named(
    compared: Compare, path: str, value: Any, field: str, expected: Any
) -> None:
    golden = [written(trajectory(), START_NS + index) for index in range(4)]
    actual = [*golden[:2], written(changed(set_path(path, value)), START_NS + 2), golden[3]]
    difference = compared(golden, actual).difference
    assert (difference.topic, difference.index, difference.time_ns) == ("/commands", 2, START_NS + 2)
    assert difference.field == field
    assert difference.expected == expected


def test_the_first_difference_in_time_is_told_whatever_its_topic(compared: Compare) -> None:
    golden = [text(f"/{name}", START_NS + STEP_NS * index, "same")[:4] for index in range(6) for name in "ab"]
    actual = list(golden)
    actual[-2] = text("/a", golden[-2][2], "late")[:4]
    actual[5] = text("/b", golden[5][2], "early")[:4]
    difference = compared(golden, actual).difference
    assert (difference.topic, difference.index, difference.got) == ("/b", 2, "early")


@pytest.mark.parametrize(
    ("offset", "tolerance", "equal"),
    [
        (1e-6, {"absolute": 2e-6}, True),
        (1e-6, {"absolute": 0.5e-6}, False),
        (1e-6, {"relative": 2e-5}, True),
        (1e-6, {"relative": 1e-7}, False),
        (1e-6, {}, False),
    ],
)
def test_numbers_within_the_tolerance_are_equal(
    compared: Compare, offset: float, tolerance: dict[str, float], equal: bool
) -> None:
    near = changed(lambda message: message.points[0].positions.__iadd__(offset))
    assert (compared([written(trajectory())], [written(near)], **tolerance).difference is None) == equal


def test_stamps_within_the_tolerance_are_equal(compared: Compare) -> None:
    later = changed(set_path("header.stamp.nanosec", 1005))
    golden, actual = [written(trajectory())], [written(later, START_NS + 1000)]
    assert compared(golden, actual, time_ns=1000).difference is None
    difference = compared(golden, actual, time_ns=999).difference
    assert (difference.field, difference.expected, difference.got) == (
        "stamp of the bag (ns)",
        START_NS,
        START_NS + 1000,
    )


@pytest.mark.parametrize(
    ("golden", "actual", "index", "expected", "got"),
    [
        (3, 2, 2, "a message", "no message"),
        (2, 3, 2, "no message", "a message"),
        (1, 0, 0, "a message", "no message"),
    ],
)
def test_missing_and_surplus_messages_differ(
    compared: Compare, golden: int, actual: int, index: int, expected: str, got: str
) -> None:
    messages = [text("/a", START_NS + number, "same")[:4] for number in range(3)]
    difference = compared(messages[:golden], messages[:actual]).difference
    assert difference == Difference("/a", index, START_NS + index, "", expected, got)


def test_another_type_differs(compared: Compare) -> None:
    golden = [text("/a", START_NS, "x")[:4]]
    actual = [("/a", "std_msgs/msg/Bool", START_NS, b"\x00\x01\x00\x00\x01")]
    difference = compared(golden, actual).difference
    assert (difference.field, difference.got) == ("type", "std_msgs/msg/Bool")


def test_bytes_of_an_unknown_type_are_compared_as_they_are(compared: Compare) -> None:
    golden = [("/a", "nav2_msgs/msg/Costmap", START_NS, b"\x00\x01\x00\x00one")]
    actual = [("/a", "nav2_msgs/msg/Costmap", START_NS, b"\x00\x01\x00\x00two")]
    assert compared(golden, golden).difference is None
    assert "nav2_msgs/msg/Costmap is not known here" in compared(golden, actual).difference.field


def test_padding_does_not_matter(compared: Compare) -> None:
    topic, type_name, stamp, data = written(trajectory())
    assert (
        compared([(topic, type_name, stamp, data)], [(topic, type_name, stamp, data + bytes(12))]).difference
        is None
    )


def test_a_difference_is_told_in_one_line() -> None:
    line = str(Difference("/a", 3, 1_500_000_000, "points[0]", 1.0, 2.0))
    assert line == "/a [3] at 1.500000000 points[0]: expected 1.0, got 2.0"


def framed(
    payload: Any, *, sequence: int = 0, epoch: int = 1, published_ns: int = START_NS, frame_id: str = ""
) -> tuple[str, str, int, bytes]:
    """A message as it is recorded from ZeroMQ."""
    message = Message("x", payload, Trace(published_ns=published_ns), frame_id=frame_id)
    return ("zmq:x", "lowlat/x", START_NS, pack(encode(message, "x", sequence, epoch=epoch)))


PICTURE = np.zeros((4, 5, 3), np.uint8)
CHANGED = PICTURE.copy()
CHANGED[3, 2, 1] = 9
FOUND = Detections(np.array([[0, 0, 9, 9, 0.5, 0]], np.float32), ("cup", "jar"))


def test_number_and_run_of_a_zeromq_publisher_do_not_matter(compared: Compare) -> None:
    golden = [framed(FOUND, sequence=index) for index in range(3)]
    actual = [framed(FOUND, sequence=index + 70, epoch=2) for index in range(3)]
    assert compared(golden, actual).difference is None


@pytest.mark.parametrize(
    ("golden", "actual", "field", "expected", "got"),
    [
        (Image(PICTURE, "rgb8"), Image(CHANGED, "rgb8"), "payload.data[3][2][1]", 0, 9),
        (Image(PICTURE, "rgb8"), Image(PICTURE, "bgr8"), "payload.encoding", "rgb8", "bgr8"),
        (Image(PICTURE, "rgb8"), Image(PICTURE[:3], "rgb8"), "shape of payload.data", (4, 5, 3), (3, 5, 3)),
        (np.zeros(2), np.zeros(2, np.float32), "type of payload", "<f8", "<f4"),
        (np.zeros(2), np.zeros(3), "length of payload", 2, 3),
        (np.zeros(2), Text("x"), "type of payload", "ndarray", "Text"),
        (Record({"a": [1, 2.0]}), Record({"a": [1, 2.5]}), "payload.fields.a[1]", 2.0, 2.5),
        (Record({"a": 1}), Record({"b": 1}), "names in payload.fields", ["a"], ["b"]),
        (FOUND, Detections(FOUND.rows, ("cup", "mug")), "payload.names[1]", "jar", "mug"),
    ],
)
def test_the_field_of_a_zeromq_message_that_differs_is_named(
    compared: Compare, golden: Any, actual: Any, field: str, expected: Any, got: Any
) -> None:
    difference = compared([framed(golden)], [framed(actual)]).difference
    assert (difference.topic, difference.field) == ("zmq:x", field)
    assert (difference.expected, difference.got) == (expected, got)


def test_tolerances_hold_for_zeromq_messages_too(compared: Compare) -> None:
    golden, actual = [framed(np.zeros(2))], [framed(np.full(2, 1e-3), published_ns=START_NS + 7)]
    assert compared(golden, actual, absolute=1e-2, time_ns=7).difference is None
    assert compared(golden, actual, absolute=1e-2, time_ns=6).difference.field == "trace.published_ns"
    assert compared(golden, actual, time_ns=7).difference.field == "payload[0]"


def test_frames_that_cannot_be_read_are_compared_as_they_are(compared: Compare) -> None:
    golden, actual = (("zmq:x", "lowlat/x", START_NS, pack([b"x", bytes([number])])) for number in (1, 2))
    assert compared([golden], [golden]).difference is None
    assert "expected a map" in compared([golden], [actual]).difference.field
