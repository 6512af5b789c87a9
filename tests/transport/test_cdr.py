# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Our CDR against that of rosbags, in both directions, and against bytes that are no message at all."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from lowlat_nodes.stream.payload import (
    NO_FLOATS,
    CompressedImage,
    Detections,
    Floats,
    Image,
    Joints,
    Labels,
    Packet,
    Text,
    Trajectory,
)
from lowlat_nodes.transport.cdr import (
    READABLE,
    WRITABLE,
    CdrError,
    Decoded,
    Float64MultiArrayWriter,
    JointStateReader,
    TrajectoryPointWriter,
    UnknownType,
    decode,
    encode,
    says_all,
)
from lowlat_nodes.transport.cdr.messages import PIXELS

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
JOINTS = "sensor_msgs/msg/JointState"
TRAJECTORY = "trajectory_msgs/msg/JointTrajectory"
FLOATS = "std_msgs/msg/Float64MultiArray"
OCTETS = "std_msgs/msg/UInt8MultiArray"
STRING = "std_msgs/msg/String"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LABELS = "vision_msgs/msg/LabelInfo"

STORE = get_typestore(Stores.ROS2_JAZZY)
for definition in Path(__file__).resolve().parents[2].glob("interfaces/vision_msgs/msg/*.msg"):
    STORE.register(get_types_from_msg(definition.read_text(), f"vision_msgs/msg/{definition.stem}"))
MESSAGES = STORE.types

unhurried = settings(deadline=None, max_examples=60)
stamps_ns = st.integers(0, (1 << 31) * 1_000_000_000 - 1)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
floats = st.floats(width=64)


def values(size: int) -> st.SearchStrategy[Floats]:
    return arrays(np.float64, size, elements=floats)


@st.composite
def joints(draw: st.DrawFn, most: int = 9) -> Joints:
    count = draw(st.integers(0, most))
    columns = [draw(st.just(NO_FLOATS) | values(count)) for _ in range(3)]
    return Joints(tuple(draw(st.lists(names, min_size=count, max_size=count))), *columns)


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    count, size = draw(st.integers(0, 4)), draw(st.integers(1, 5))
    times = draw(st.lists(st.integers(0, 10**12), unique=True, min_size=count, max_size=count).map(sorted))
    table = arrays(np.float64, (count, size), elements=floats)
    optional = st.just(NO_FLOATS) | table if count else st.just(NO_FLOATS)
    return Trajectory(
        tuple(draw(st.lists(names, min_size=size, max_size=size))),
        draw(stamps_ns),
        np.array(times, dtype=np.int64),
        draw(table),
        draw(optional),
        draw(optional),
    )


@st.composite
def images(draw: st.DrawFn) -> Image:
    encoding = draw(st.sampled_from(sorted(PIXELS)))
    pixel = PIXELS[encoding]
    shape: tuple[int, ...] = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), pixel.channels)
    if pixel.channels == 1:
        shape = shape[:2]
    seed = draw(st.integers(0, 1000))
    data = np.random.default_rng(seed).integers(0, 100, shape).astype(pixel.scalar)
    return Image(data, encoding)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    """Detections as they are read: whole pixels, classes numbered as they appear."""
    count = draw(st.integers(0, 5))
    edges = draw(arrays(np.float32, (count, 4), elements=st.integers(-5000, 5000)))
    scores = sorted(draw(arrays(np.float32, count, elements=st.floats(0, 1, width=32))), reverse=True)
    classes: dict[str, int] = {}
    numbers = [classes.setdefault(draw(names), len(classes)) for _ in range(count)]
    rows = np.column_stack([edges, scores, numbers]).astype(np.float32)
    tracks = draw(st.none() | arrays(np.int64, count, elements=st.integers(-1, 10**18 - 1)))
    tracked = tracks is not None and bool(np.any(tracks >= 0))
    return Detections(rows, tuple(classes), tracks if tracked else None)


payloads: dict[str, st.SearchStrategy[Any]] = {
    IMAGE: images(),
    COMPRESSED: st.builds(
        CompressedImage, arrays(np.uint8, st.integers(0, 40)), st.sampled_from(["jpeg", "png"])
    ),
    JOINTS: joints(),
    TRAJECTORY: trajectories(),
    FLOATS: st.integers(0, 9).flatmap(values),
    OCTETS: st.builds(Packet, st.binary(max_size=40)),
    STRING: st.builds(Text, names),
    DETECTIONS: detections(),
    LABELS: st.builds(Labels, st.lists(names, max_size=5).map(tuple), st.floats(0, 1, width=32)),
}
of_any_type = st.sampled_from(sorted(READABLE)).flatmap(lambda name: st.tuples(st.just(name), payloads[name]))


def same(left: Any, right: Any) -> bool:
    """Whether two payloads hold the same, NaN included."""
    if isinstance(left, np.ndarray):
        return left.dtype.newbyteorder("=") == right.dtype.newbyteorder("=") and np.array_equal(
            left, right, equal_nan=left.dtype.kind == "f"
        )
    if hasattr(left, "__slots__"):
        return type(left) is type(right) and all(
            same(getattr(left, name), getattr(right, name)) for name in left.__slots__
        )
    return bool(left == right)


def header(stamp_ns: int, frame_id: str) -> Any:
    seconds, nanoseconds = divmod(stamp_ns, 10**9)
    stamp = MESSAGES["builtin_interfaces/msg/Time"](sec=seconds, nanosec=nanoseconds)
    return MESSAGES["std_msgs/msg/Header"](stamp=stamp, frame_id=frame_id)


def to_rosbags(type_name: str, stamp_ns: int, frame_id: str, payload: Any) -> Any:
    """Return the message that rosbags has for a payload."""
    make = MESSAGES[type_name]
    if type_name == STRING:
        return make(data=payload.data)
    if type_name in {FLOATS, OCTETS}:
        layout = MESSAGES["std_msgs/msg/MultiArrayLayout"](dim=[], data_offset=0)
        data = np.frombuffer(payload.data, np.uint8) if type_name == OCTETS else payload
        return make(layout=layout, data=data)
    head = header(stamp_ns, frame_id)
    if type_name == COMPRESSED:
        return make(header=head, format=payload.format, data=payload.data)
    if type_name == JOINTS:
        return make(
            header=head,
            name=list(payload.names),
            position=payload.position,
            velocity=payload.velocity,
            effort=payload.effort,
        )
    if type_name == TRAJECTORY:
        return make(
            header=header(payload.start_ns, frame_id),
            joint_names=list(payload.names),
            points=[to_rosbags_point(payload, index) for index in range(len(payload.positions))],
        )
    if type_name == LABELS:
        named = enumerate(payload.names)
        classes = [MESSAGES["vision_msgs/msg/VisionClass"](class_id=n, class_name=name) for n, name in named]
        return make(header=head, class_map=classes, threshold=payload.threshold)
    if type_name == DETECTIONS:
        found = [to_rosbags_detection(head, payload, index) for index in range(len(payload.rows))]
        return make(header=head, detections=found)
    return make(
        header=head,
        height=payload.height,
        width=payload.width,
        encoding=payload.encoding,
        is_bigendian=0,
        step=payload.data.strides[0],
        data=np.ascontiguousarray(payload.data).reshape(-1).view(np.uint8),
    )


def to_rosbags_point(trajectory: Trajectory, index: int) -> Any:
    seconds, nanoseconds = divmod(int(trajectory.time_from_start_ns[index]), 10**9)
    tables = (trajectory.positions, trajectory.velocities, trajectory.accelerations)
    rows = [table[index] if table.size else NO_FLOATS for table in tables]
    return MESSAGES["trajectory_msgs/msg/JointTrajectoryPoint"](
        positions=rows[0],
        velocities=rows[1],
        accelerations=rows[2],
        effort=NO_FLOATS,
        time_from_start=MESSAGES["builtin_interfaces/msg/Duration"](sec=seconds, nanosec=nanoseconds),
    )


def to_rosbags_detection(head: Any, detections: Detections, index: int) -> Any:
    left, top, right, bottom, score, number = detections.rows[index].tolist()
    track = -1 if detections.tracks is None else detections.tracks[index]
    geometry = "geometry_msgs/msg"
    pose = MESSAGES[f"{geometry}/Pose"](
        position=MESSAGES[f"{geometry}/Point"](x=0.0, y=0.0, z=0.0),
        orientation=MESSAGES[f"{geometry}/Quaternion"](x=0.0, y=0.0, z=0.0, w=1.0),
    )
    result = MESSAGES["vision_msgs/msg/ObjectHypothesisWithPose"](
        hypothesis=MESSAGES["vision_msgs/msg/ObjectHypothesis"](
            class_id=detections.names[int(number)], score=score
        ),
        pose=MESSAGES[f"{geometry}/PoseWithCovariance"](pose=pose, covariance=np.zeros(36)),
    )
    centre = MESSAGES["vision_msgs/msg/Point2D"](x=(left + right) / 2, y=(top + bottom) / 2)
    box = MESSAGES["vision_msgs/msg/BoundingBox2D"](
        center=MESSAGES["vision_msgs/msg/Pose2D"](position=centre, theta=0.0),
        size_x=right - left,
        size_y=bottom - top,
    )
    return MESSAGES["vision_msgs/msg/Detection2D"](
        header=head, results=[result], bbox=box, id=str(track) if track >= 0 else ""
    )


@unhurried
@given(of_any_type, stamps_ns, names)
def test_writes_the_bytes_that_rosbags_writes(case: tuple[str, Any], stamp_ns: int, frame_id: str) -> None:
    type_name, payload = case
    expected = STORE.serialize_cdr(to_rosbags(type_name, stamp_ns, frame_id, payload), type_name)
    assert encode(type_name, stamp_ns, frame_id, payload) == bytes(expected)


@pytest.mark.parametrize("little_endian", [True, False])
@unhurried
@given(case=of_any_type, stamp_ns=stamps_ns, frame_id=names)
def test_reads_what_rosbags_writes(
    little_endian: bool, case: tuple[str, Any], stamp_ns: int, frame_id: str
) -> None:
    type_name, payload = case
    message = to_rosbags(type_name, stamp_ns, frame_id, payload)
    decoded = decode(type_name, bytes(STORE.serialize_cdr(message, type_name, little_endian=little_endian)))
    assert same(decoded.payload, payload)
    if type_name == TRAJECTORY:
        stamp_ns = payload.start_ns
    without_header = type_name in {FLOATS, OCTETS, STRING}
    assert decoded.stamp_ns == (None if without_header else stamp_ns)
    assert decoded.frame_id == ("" if without_header else frame_id)


@unhurried
@given(of_any_type, st.data())
def test_a_truncated_message_is_refused(case: tuple[str, Any], data: st.DataObject) -> None:
    type_name, payload = case
    message = encode(type_name, 1, "frame", payload)
    kept = data.draw(st.integers(0, len(message) - 1))
    with pytest.raises(CdrError):
        decode(type_name, message[:kept])


@unhurried
@given(of_any_type, st.data())
def test_flipped_bits_raise_nothing_but_cdr_errors(case: tuple[str, Any], data: st.DataObject) -> None:
    type_name, payload = case
    message = bytearray(encode(type_name, 1, "frame", payload))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with contextlib.suppress(CdrError):
        decode(type_name, bytes(message))


@unhurried
@given(
    st.sampled_from(sorted(READABLE)),
    st.sampled_from([b"", b"\0\1\0\0", b"\0\0\0\0"]),
    st.binary(max_size=200),
)
def test_garbage_raises_nothing_but_cdr_errors(type_name: str, start: bytes, garbage: bytes) -> None:
    with contextlib.suppress(CdrError):
        decode(type_name, start + garbage)


@unhurried
@given(of_any_type)
def test_bytes_after_the_message_are_ignored(case: tuple[str, Any]) -> None:
    type_name, payload = case
    message = encode(type_name, 1, "frame", payload)
    assert same(decode(type_name, message + b"\xff" * 12).payload, payload)


def test_an_unknown_type_is_named() -> None:
    with pytest.raises(UnknownType, match="sensor_msgs/msg/Imu"):
        decode("sensor_msgs/msg/Imu", b"")
    with pytest.raises(UnknownType, match="sensor_msgs/msg/JointState"):
        encode("sensor_msgs/msg/Imu", 0, "", Text(""))


def test_what_is_only_written_is_not_read() -> None:
    assert READABLE < WRITABLE
    for name in WRITABLE - READABLE:
        with pytest.raises(UnknownType, match=f"expected one of .*Detection2DArray.*; got '{name}'"):
            decode(name, b"\0\1\0\0")


def test_a_payload_of_another_type_is_refused() -> None:
    with pytest.raises(CdrError, match="expected a payload of type Joints, got Text"):
        encode(JOINTS, 0, "", Text("hello"))


def test_a_stamp_beyond_32_bits_of_seconds_is_refused() -> None:
    with pytest.raises(CdrError, match="32 bits of seconds"):
        encode(JOINTS, 1 << 62, "", Joints((), NO_FLOATS, NO_FLOATS, NO_FLOATS))


# Images


def image_bytes(**changes: Any) -> bytes:
    fields = {
        "header": header(5, "camera"),
        "height": 2,
        "width": 3,
        "encoding": "rgb8",
        "is_bigendian": 0,
        "step": 9,
        "data": np.arange(18, dtype=np.uint8),
    }
    return bytes(STORE.serialize_cdr(MESSAGES[IMAGE](**(fields | changes)), IMAGE))


@unhurried
@given(of_any_type, st.data())
def test_payloads_that_say_all_make_the_message_anew(case: tuple[str, Any], data: st.DataObject) -> None:
    type_name, payload = case
    message = bytearray(encode(type_name, 1, "frame", payload))
    complete = type_name in {IMAGE, COMPRESSED, JOINTS, STRING}
    assert says_all(type_name, bytes(message), decode(type_name, bytes(message))) == complete
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        decoded = decode(type_name, bytes(message))
    except CdrError:
        return
    if says_all(type_name, bytes(message), decoded):
        again = decode(type_name, encode(type_name, decoded.stamp_ns or 0, decoded.frame_id, decoded.payload))
        assert (again.stamp_ns, again.frame_id) == (decoded.stamp_ns, decoded.frame_id)
        assert same(again.payload, decoded.payload)


def test_an_image_does_not_say_how_its_rows_were_padded_or_its_bytes_swapped() -> None:
    for changes in (
        {"step": 12, "data": np.arange(24, dtype=np.uint8)},
        {"is_bigendian": 1},
        {"is_bigendian": 1, "encoding": "16UC1", "step": 6, "data": np.arange(12, dtype=np.uint8)},
    ):
        message = image_bytes(**changes)
        assert not says_all(IMAGE, message, decode(IMAGE, message))
    assert says_all(IMAGE, image_bytes() + bytes(3), decode(IMAGE, image_bytes()))


def test_an_image_is_a_read_only_view_on_the_message() -> None:
    message = image_bytes()
    image = decode(IMAGE, message).payload
    assert image.data.shape == (2, 3, 3)
    assert not image.data.flags.writeable
    assert not image.data.flags.owndata
    assert np.shares_memory(image.data, np.frombuffer(message, np.uint8))


def test_an_image_over_writable_memory_is_read_only_too() -> None:
    assert not decode(IMAGE, bytearray(image_bytes())).payload.data.flags.writeable


def test_the_padding_of_rows_is_left_out() -> None:
    rows = np.arange(24, dtype=np.uint8)
    image = decode(IMAGE, image_bytes(step=12, data=rows)).payload
    assert np.array_equal(image.data.reshape(2, 9), rows.reshape(2, 12)[:, :9])


def test_wide_scalars_come_in_the_byte_order_that_the_message_states() -> None:
    depth = np.array([[1, 2, 3], [4, 5, 60000]], dtype=np.uint16)
    for order, flag in (("<", 0), (">", 1)):
        data = depth.astype(f"{order}u2").reshape(-1).view(np.uint8)
        message = image_bytes(encoding="16UC1", is_bigendian=flag, step=6, data=data)
        assert np.array_equal(decode(IMAGE, message).payload.data, depth)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"encoding": "rgb9"}, "expected one of .*; got 'rgb9'"),
        ({"height": 0, "data": np.empty(0, np.uint8)}, "expected at least one pixel, got 3x0"),
        ({"width": 0, "step": 0, "data": np.empty(0, np.uint8)}, "expected at least one pixel, got 0x2"),
        (
            {"width": 0, "height": 0, "step": 0, "data": np.empty(0, np.uint8)},
            "expected at least one pixel, got 0x0",
        ),
        ({"width": 4}, "expected at least 12 bytes for 4 pixels rgb8, got 9"),
        ({"height": 3}, "expected 3 rows x 9 = 27 bytes, got 18"),
        ({"height": 1}, "expected 1 rows x 9 = 9 bytes, got 18"),
        ({"encoding": "bgra8"}, "expected at least 12 bytes"),
        ({"step": 8}, "step: expected at least 9 bytes for 3 pixels rgb8, got 8"),
        ({"data": np.empty(17, np.uint8)}, "data: expected 2 rows x 9 = 18 bytes, got 17"),
        ({"height": 16384, "width": 16384, "step": 49152}, "16384 rows x 49152 = 805306368 bytes, got 18"),
        ({"height": 1 << 31, "width": 1 << 31, "step": (1 << 32) - 1}, "expected at least"),
    ],
)
def test_an_image_that_contradicts_itself_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        decode(IMAGE, image_bytes(**changes))


def test_an_image_that_is_larger_than_its_message_is_refused() -> None:
    message = bytearray(image_bytes(height=16384, width=16384, step=49152))
    assert message[-22:-18] == struct.pack("<I", 18)
    message[-22:-18] = struct.pack("<I", 16384 * 49152)
    with pytest.raises(CdrError, match=r"data: expected 805306368 bytes at offset .*, got 18"):
        decode(IMAGE, bytes(message))


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (Image(np.zeros((2, 3, 4), np.uint8), "rgb8"), r"expected \[height, width, 3\] for rgb8"),
        (Image(np.zeros((2, 3), np.uint8), "rgb8"), r"expected \[height, width, 3\] for rgb8"),
        (Image(np.zeros(3, np.uint8), "mono8"), r"expected \[height, width, 1\]"),
        (Image(np.zeros((0, 3), np.uint8), "mono8"), r"expected \[height, width, 1\]"),
        (Image(np.zeros((2, 3, 3), np.float32), "rgb8"), "expected dtype u1 for rgb8, got float32"),
        (Image(np.zeros((2, 3), np.uint8), "grey"), "expected one of"),
    ],
)
def test_an_image_that_does_not_fit_its_encoding_is_not_written(image: Image, reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        encode(IMAGE, 0, "", image)


def test_a_view_is_written_as_what_it_shows() -> None:
    full = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    view = full[::2, 1:4, ::-1]
    assert np.array_equal(decode(IMAGE, encode(IMAGE, 0, "", Image(view, "bgr8"))).payload.data, view)


# Joints and trajectories


def test_joint_values_do_not_match_the_names() -> None:
    wrong = to_rosbags(JOINTS, 0, "", Joints(("a", "b"), np.zeros(3), NO_FLOATS, NO_FLOATS))
    with pytest.raises(CdrError, match=r"position: expected 2 values, one per name, or none; got \(3,\)"):
        decode(JOINTS, bytes(STORE.serialize_cdr(wrong, JOINTS)))


def test_nan_is_carried() -> None:
    position = np.array([np.nan, np.inf])
    message = encode(JOINTS, 0, "", Joints(("a", "b"), position, NO_FLOATS, NO_FLOATS))
    for decoded in (decode(JOINTS, message), JointStateReader().read(message)):
        assert np.array_equal(decoded.payload.position, position, equal_nan=True)


def test_points_of_different_sizes_are_refused() -> None:
    good = Trajectory(("a",), 0, np.array([1, 2]), np.zeros((2, 1)), np.zeros((2, 1)), NO_FLOATS)
    for name, row in (("velocities", NO_FLOATS), ("positions", np.zeros(2)), ("positions", NO_FLOATS)):
        message = to_rosbags(TRAJECTORY, 0, "", good)
        object.__setattr__(message.points[1], name, row)
        with pytest.raises(CdrError, match=f"{name}: expected 1 values in every point"):
            decode(TRAJECTORY, bytes(STORE.serialize_cdr(message, TRAJECTORY)))


def test_times_that_do_not_increase_are_refused() -> None:
    still = Trajectory(("a",), 0, np.array([2, 2]), np.zeros((2, 1)), NO_FLOATS, NO_FLOATS)
    with pytest.raises(CdrError, match="expected times that increase"):
        encode(TRAJECTORY, 0, "", still)
    message = to_rosbags(TRAJECTORY, 0, "", still)
    with pytest.raises(CdrError, match="expected times that increase"):
        decode(TRAJECTORY, bytes(STORE.serialize_cdr(message, TRAJECTORY)))


def test_the_layout_of_a_multi_array_is_skipped() -> None:
    dimension = MESSAGES["std_msgs/msg/MultiArrayDimension"](label="joint", size=7, stride=3)
    layout = MESSAGES["std_msgs/msg/MultiArrayLayout"](dim=[dimension] * 2, data_offset=4)
    message = MESSAGES[FLOATS](layout=layout, data=np.arange(5.0))
    assert np.array_equal(decode(FLOATS, bytes(STORE.serialize_cdr(message, FLOATS))).payload, np.arange(5.0))


# Text


def test_a_string_may_be_empty_with_or_without_its_terminator() -> None:
    for message in (b"\0\1\0\0" + struct.pack("<I", 0), b"\0\1\0\0" + struct.pack("<I", 1) + b"\0"):
        assert decode(STRING, message).payload.data == ""


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\0\1\0\0" + struct.pack("<I", 3) + b"abc", "ends with NUL"),
        (b"\0\1\0\0" + struct.pack("<I", 3) + b"\xff\xfe\0", "expected UTF-8"),
        (b"\0\1\0\0" + struct.pack("<I", 1 << 31), "expected a string of at most"),
        (b"\0\1\0\0" + struct.pack("<I", 9) + b"abc\0", "expected 9 bytes at offset 8, got 4"),
        (b"\0\3\0\0" + struct.pack("<I", 1) + b"\0", "expected a plain CDR message"),
        (b"\0\1", "expected a plain CDR message"),
    ],
)
def test_a_broken_string_is_refused(message: bytes, reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        decode(STRING, message)


def test_a_count_beyond_the_message_is_refused_before_anything_is_allocated() -> None:
    message = bytearray(encode(JOINTS, 0, "", Joints((), NO_FLOATS, NO_FLOATS, NO_FLOATS)))
    message[-4:] = struct.pack("<I", (1 << 32) - 1)
    with pytest.raises(CdrError, match="effort: expected at most 0 bytes of items, got 4294967295 items"):
        decode(JOINTS, bytes(message))


# Fixed layouts


@unhurried
@given(st.lists(st.tuples(stamps_ns, st.sampled_from(["", "base"]), joints(3)), min_size=1, max_size=6))
def test_the_joint_state_reader_reads_as_decode_does(samples: list[tuple[int, str, Joints]]) -> None:
    reader = JointStateReader()
    for stamp_ns, frame_id, sample in [item for item in samples for _ in range(2)]:
        message = encode(JOINTS, stamp_ns, frame_id, sample)
        assert same_decoded(reader.read(message), decode(JOINTS, message))


@unhurried
@given(joints(3), st.data())
def test_the_joint_state_reader_refuses_what_decode_refuses(sample: Joints, data: st.DataObject) -> None:
    message = bytearray(encode(JOINTS, 1, "base", sample))
    reader = JointStateReader()
    reader.read(bytes(message))
    for _ in range(data.draw(st.integers(1, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = bytes(message)
    try:
        expected = decode(JOINTS, changed)
    except CdrError:
        with pytest.raises(CdrError):
            reader.read(changed)
    else:
        assert same_decoded(reader.read(changed), expected)


def same_decoded(left: Decoded, right: Decoded) -> bool:
    return (left.stamp_ns, left.frame_id) == (right.stamp_ns, right.frame_id) and same(
        left.payload, right.payload
    )


def test_the_joint_state_reader_keeps_the_names_and_copies_the_values() -> None:
    reader = JointStateReader()
    message = encode(JOINTS, 0, "", Joints(("a",), np.ones(1), NO_FLOATS, NO_FLOATS))
    first, second = reader.read(message).payload, reader.read(message).payload
    assert first.names is second.names
    second.position[0] = 7.0
    assert reader.read(message).payload.position[0] == 1.0


@unhurried
@given(st.integers(1, 9).flatmap(values))
def test_the_multi_array_writer_writes_as_encode_does(sample: Floats) -> None:
    writer = Float64MultiArrayWriter(sample.size)
    writer.write(np.zeros(sample.size))
    assert writer.write(sample) == encode(FLOATS, 0, "", sample)


@unhurried
@given(st.integers(1, 7), stamps_ns, st.integers(0, 10**12), names, st.data())
def test_the_trajectory_point_writer_writes_as_encode_does(
    size: int, start_ns: int, time_ns: int, frame_id: str, data: st.DataObject
) -> None:
    joint_names = tuple(data.draw(st.lists(names, min_size=size, max_size=size)))
    positions = data.draw(values(size))
    trajectory = Trajectory(joint_names, start_ns, np.array([time_ns]), positions[None], NO_FLOATS, NO_FLOATS)
    writer = TrajectoryPointWriter(joint_names, frame_id=frame_id)
    writer.write(0, 0, np.zeros(size))
    assert writer.write(start_ns, time_ns, positions) == encode(TRAJECTORY, 0, frame_id, trajectory)


def test_the_fixed_writers_refuse_another_size() -> None:
    with pytest.raises(CdrError, match=r"data: expected 3 values, got shape \(1,\)"):
        Float64MultiArrayWriter(3).write(np.zeros(1))
    with pytest.raises(CdrError, match=r"positions: expected 2 values, got shape \(1,\)"):
        TrajectoryPointWriter(("a", "b")).write(0, 0, np.zeros(1))
