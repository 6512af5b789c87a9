# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections against the messages of rclpy, and what other writers may put into theirs."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport.cdr import CdrError, decode, encode

TYPE = "vision_msgs/msg/Detection2DArray"
STAMP_NS = 1_700_000_000_123_456_789

STORE = get_typestore(Stores.ROS2_JAZZY)
for definition in Path(__file__).resolve().parents[3].glob("interfaces/vision_msgs/msg/*.msg"):
    STORE.register(get_types_from_msg(definition.read_text(), f"vision_msgs/msg/{definition.stem}"))

letters = st.characters(exclude_characters="\0", exclude_categories=("Cs",))


def some(count: int, names: tuple[str, ...] = ("cup", "person"), *, tracked: bool = False) -> Detections:
    """Detections of everyday size, of all classes in turn."""
    random = np.random.default_rng(count)
    corner, size = random.uniform(-50, 1000, (count, 2)), random.uniform(1, 300, (count, 2))
    scores = np.sort(random.uniform(0, 1, (count, 1)), axis=0)[::-1]
    classes = np.arange(count)[:, None] % len(names)
    rows = np.concatenate([corner, corner + size, scores, classes], axis=1).astype(np.float32)
    tracks = random.integers(0, 10**10, count) if tracked else None
    return Detections(rows, names, tracks)


def named(detections: Detections) -> list[str]:
    """Return the class of each detection by its name."""
    return [detections.names[int(number)] for number in detections.rows[:, 5]]


def make(package: str, name: str, **fields: Any) -> Any:
    return STORE.types[f"{package}/msg/{name}"](**fields)


def header(frame_id: str = "camera") -> Any:
    stamp = make("builtin_interfaces", "Time", sec=1, nanosec=2)
    return make("std_msgs", "Header", stamp=stamp, frame_id=frame_id)


def foreign(
    results: list[tuple[str, float]], box: tuple[float, ...] = (10, 20, 0, 4, 2), track: str = ""
) -> Any:
    """Return a detection with any number of hypotheses, with poses that are not ours."""
    point = make("geometry_msgs", "Point", x=1.0, y=2.0, z=3.0)
    quaternion = make("geometry_msgs", "Quaternion", x=1.0, y=0.0, z=0.0, w=0.0)
    pose = make(
        "geometry_msgs",
        "PoseWithCovariance",
        pose=make("geometry_msgs", "Pose", position=point, orientation=quaternion),
        covariance=np.arange(36.0),
    )
    x, y, theta, width, height = box
    centre = make("vision_msgs", "Pose2D", position=make("vision_msgs", "Point2D", x=x, y=y), theta=theta)
    return make(
        "vision_msgs",
        "Detection2D",
        header=header("another"),
        results=[
            make(
                "vision_msgs",
                "ObjectHypothesisWithPose",
                hypothesis=make("vision_msgs", "ObjectHypothesis", class_id=name, score=score),
                pose=pose,
            )
            for name, score in results
        ],
        bbox=make("vision_msgs", "BoundingBox2D", center=centre, size_x=width, size_y=height),
        id=track,
    )


def read(*detections: Any, little_endian: bool = True) -> Detections:
    message = make("vision_msgs", "Detection2DArray", header=header(), detections=list(detections))
    data = bytes(STORE.serialize_cdr(message, TYPE, little_endian=little_endian))
    payload: Detections = decode(TYPE, data).payload
    return payload


# Writing


@settings(deadline=None)
@given(
    st.integers(0, 40),
    st.lists(st.text(letters, max_size=30), min_size=1, max_size=5),
    st.text(letters, max_size=9),
    st.booleans(),
)
def test_what_is_written_is_read(count: int, names: list[str], frame_id: str, tracked: bool) -> None:
    written = some(count, tuple(names), tracked=tracked)
    decoded = decode(TYPE, encode(TYPE, STAMP_NS, frame_id, written))
    assert (decoded.stamp_ns, decoded.frame_id) == (STAMP_NS, frame_id)
    assert np.allclose(decoded.payload.rows[:, :5], written.rows[:, :5], rtol=1e-6, atol=1e-4)
    assert named(decoded.payload) == named(written)
    if tracked and count:
        assert np.array_equal(decoded.payload.tracks, written.tracks)
    else:
        assert decoded.payload.tracks is None


@pytest.mark.ros
@pytest.mark.parametrize("tracked", [False, True])
@pytest.mark.parametrize("frame_id", ["", "cam", "camera", "caméra_0"])
@pytest.mark.parametrize("count", [0, 1, 2, 9])
def test_rclpy_reads_the_same_and_its_messages_are_read(count: int, frame_id: str, tracked: bool) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("vision_msgs.msg")
    names = ("", "a", "cup", "dining table", "人", "a" * 200)
    written = some(count, names, tracked=tracked)
    data = encode(TYPE, STAMP_NS, frame_id, written)
    message = messages.Detection2DArray()
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(STAMP_NS, 10**9)
    message.header.frame_id = frame_id
    for index, row in enumerate(written.rows.tolist()):
        left, top, right, bottom, score, number = row
        result = messages.ObjectHypothesisWithPose()
        result.hypothesis.class_id, result.hypothesis.score = names[int(number)], score
        found = messages.Detection2D(header=message.header, results=[result])
        found.bbox.center.position.x, found.bbox.center.position.y = (left + right) / 2, (top + bottom) / 2
        found.bbox.size_x, found.bbox.size_y = right - left, bottom - top
        found.id = str(written.tracks[index]) if written.tracks is not None else ""
        message.detections.append(found)
    assert serialization.deserialize_message(data, messages.Detection2DArray) == message
    theirs, ours = decode(TYPE, serialization.serialize_message(message)), decode(TYPE, data)
    assert (theirs.stamp_ns, theirs.frame_id) == (STAMP_NS, frame_id)
    assert np.array_equal(theirs.payload.rows, ours.payload.rows)
    assert theirs.payload.names == ours.payload.names
    assert np.array_equal(theirs.payload.tracks, ours.payload.tracks)


def test_numbers_may_stand_for_names() -> None:
    written = some(3, ("0", "1", "2"))
    assert named(decode(TYPE, encode(TYPE, 0, "", written)).payload) == ["0", "1", "2"]


def test_what_is_not_tracked_has_no_id() -> None:
    written = some(3)
    written.tracks = np.array([7, -1, 0])
    data = encode(TYPE, 0, "", written)
    assert [found.id for found in STORE.deserialize_cdr(data, TYPE).detections] == ["7", "", "0"]
    assert decode(TYPE, data).payload.tracks.tolist() == [7, -1, 0]


@pytest.mark.parametrize("number", [2, -1, 0.5, np.nan, np.inf])
def test_a_class_without_name_is_refused(number: float) -> None:
    written = some(3)
    written.rows[1, 5] = number
    with pytest.raises(CdrError, match="rows: expected a class from 0 to 1, got"):
        encode(TYPE, 0, "", written)


@pytest.mark.parametrize(
    ("rows", "tracks", "reason"),
    [
        (np.zeros((2, 5), np.float32), None, r"rows: expected \[n, 6\], got \(2, 5\)"),
        (np.zeros(6, np.float32), None, r"rows: expected \[n, 6\], got \(6,\)"),
        (np.zeros((2, 6), np.float32), np.zeros(3, np.int64), "tracks: expected 2 numbers"),
    ],
)
def test_rows_of_another_form_are_refused(rows: Any, tracks: Any, reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        encode(TYPE, 0, "", Detections(rows, ("cup",), tracks))


def test_what_is_no_number_is_carried() -> None:
    written = some(2)
    written.rows[0, :5] = [np.inf, 0, np.inf, np.nan, np.nan]
    payload = decode(TYPE, encode(TYPE, 0, "", written)).payload
    assert np.isnan(payload.rows[1, [0, 3, 4]]).all(), "what has no score comes last"
    assert np.isfinite(payload.rows[0]).all()


# Reading


@pytest.mark.parametrize("frame_id", ["", "camera"])
def test_a_message_that_ends_anywhere_is_refused(frame_id: str) -> None:
    data = encode(TYPE, STAMP_NS, frame_id, some(2, ("cup", "dining table"), tracked=True))
    for size in range(len(data)):
        with pytest.raises(CdrError):
            decode(TYPE, data[:size])


@pytest.mark.parametrize("little_endian", [True, False])
def test_the_best_hypothesis_counts(little_endian: bool) -> None:
    payload = read(
        foreign([("cup", 0.1), ("mug", 0.3), ("jar", 0.2)]),
        foreign([("cup", np.nan), ("jar", 0.9), ("mug", np.nan)]),
        little_endian=little_endian,
    )
    assert named(payload) == ["jar", "mug"]
    assert payload.rows[:, 4].tolist() == pytest.approx([0.9, 0.3])
    assert payload.rows[:, :4].tolist() == [[8, 19, 12, 21]] * 2


def test_without_a_hypothesis_there_is_no_score_and_no_name() -> None:
    payload = read(foreign([]), foreign([("cup", 0.5)]))
    assert named(payload) == ["cup", ""]
    assert payload.rows[:, 4].tolist() == [0.5, 0.0]


def test_detections_come_by_falling_score() -> None:
    payload = read(
        *(foreign([("cup", score)], track=str(index)) for index, score in enumerate([0.1, 0.7, 0.3, 0.7]))
    )
    assert payload.tracks is not None
    assert payload.tracks.tolist() == [1, 3, 2, 0]


def test_a_rotated_box_becomes_the_upright_one_around_it() -> None:
    for theta, half in ((np.pi / 2, [1, 2]), (-np.pi / 2, [1, 2]), (np.pi / 4, [3 / 2**0.5] * 2)):
        (row,) = read(foreign([("cup", 0.5)], (10, 20, theta, 4, 2))).rows
        assert row[:4] == pytest.approx([10 - half[0], 20 - half[1], 10 + half[0], 20 + half[1]])


def test_ids_that_are_no_numbers_are_not_tracked() -> None:
    one = [("cup", 0.5)]
    ids = ["7", "a7", "-7", "", "9" * 18, "9" * 19]
    assert read(*(foreign(one, track=text) for text in ids)).tracks.tolist() == [  # type: ignore[union-attr]
        *(7, -1, -1, -1),
        int("9" * 18),
        -1,
    ]
    assert read(foreign(one, track="uuid"), foreign(one)).tracks is None


def test_what_does_not_fit_into_float32_becomes_infinite() -> None:
    payload = read(foreign([("cup", 1e300)], (1e300, -1e300, 0, 1, 1)))
    assert payload.rows[0, :5].tolist() == [np.inf, -np.inf, np.inf, -np.inf, np.inf]


@pytest.mark.parametrize("count", [(1 << 32) - 1, 3, 1 << 20])
def test_more_detections_than_bytes_are_refused_before_anything_is_allocated(count: int) -> None:
    data = bytearray(encode(TYPE, 0, "", some(2)))
    data[20:24] = struct.pack("<I", count)
    with pytest.raises(CdrError):
        decode(TYPE, bytes(data))


def test_detections_are_limited_in_number() -> None:
    data = encode(TYPE, 0, "", some(1 << 14))
    assert len(decode(TYPE, data).payload.rows) == 1 << 14
    with pytest.raises(CdrError, match="detections: expected at most 16384 items, got 16385"):
        decode(TYPE, encode(TYPE, 0, "", some((1 << 14) + 1)))
