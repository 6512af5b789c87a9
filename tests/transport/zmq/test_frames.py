# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a stream: round trips, the documented bytes, and bytes that follow no document."""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import functools
import re
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import zmq
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import (
    NO_FLOATS,
    CompressedImage,
    DeadLetter,
    Detections,
    Image,
    Joints,
    Labels,
    Packet,
    Record,
    Serialised,
    Structure,
    Text,
    Trajectory,
)
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import DTYPES, WireError, content
from lowlat_nodes.transport.cdr.messages import PIXELS
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.frames import (
    Content,
    decode,
    encode,
    encode_header,
    inline,
    take_apart,
)
from lowlat_nodes.transport.zmq.header import MAX_HEADER

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "stream_protocol.md"

ARRAYS = st.sampled_from(sorted(DTYPES)).flatmap(
    lambda name: arrays.arrays(
        np.dtype(name), arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
    )
)
TRACES = st.builds(Trace, *[st.integers(0, 2**63 - 1)] * 6)
TOPICS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=50)
NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=9)


@st.composite
def detections(draw: st.DrawFn) -> Detections:
    names = tuple(draw(st.lists(NAMES, min_size=1, max_size=5)))
    count = draw(st.integers(0, 5))
    rows = draw(arrays.arrays(np.float32, (count, 6)))
    rows[:, 5] = draw(arrays.arrays(np.float32, count, elements=st.integers(0, len(names) - 1)))
    return Detections(rows, names, draw(st.none() | arrays.arrays(np.int64, count)))


PLAIN = st.recursive(
    NAMES
    | st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(NAMES, values, max_size=4),
    max_leaves=8,
)
RECORDS = st.builds(Record, st.dictionaries(NAMES, PLAIN, max_size=5), NAMES.map(str.encode))
OCTETS = arrays.arrays(np.uint8, st.integers(0, 9))
PACKETS = st.builds(Packet, st.binary(max_size=9), st.binary(max_size=9), NAMES)
COUNTS = st.integers(0, 2**63 - 1)


@st.composite
def images(draw: st.DrawFn) -> Image:
    encoding = draw(st.sampled_from(sorted(PIXELS)))
    pixel = PIXELS[encoding]
    shape: tuple[int, ...] = (draw(st.integers(1, 5)), draw(st.integers(1, 5)), pixel.channels)
    data = draw(arrays.arrays(pixel.scalar, shape if pixel.channels > 1 else shape[:2]))
    return Image(data[:, ::-1] if draw(st.booleans()) else data, encoding)


@st.composite
def joints(draw: st.DrawFn) -> Joints:
    names = tuple(draw(st.lists(NAMES, max_size=5)))
    column = arrays.arrays(np.float64, len(names)) | st.just(NO_FLOATS)
    return Joints(names, draw(column), draw(column), draw(column))


@st.composite
def trajectories(draw: st.DrawFn) -> Trajectory:
    names = tuple(draw(st.lists(NAMES, min_size=1, max_size=5)))
    times = sorted(draw(st.sets(st.integers(-(2**63), 2**63 - 1), max_size=5)))
    table = arrays.arrays(np.float64, (len(times), len(names)))
    optional = table | st.just(NO_FLOATS)
    return Trajectory(
        names, draw(COUNTS), np.array(times, np.int64), draw(table), draw(optional), draw(optional)
    )


PAYLOADS = st.one_of(
    ARRAYS,
    detections(),
    RECORDS,
    images(),
    st.builds(CompressedImage, OCTETS, NAMES),
    joints(),
    trajectories(),
    st.builds(Text, NAMES),
    st.builds(Labels, st.lists(NAMES, max_size=5).map(tuple), st.floats(0, 1)),
    PACKETS,
    st.builds(DeadLetter, PACKETS, NAMES),
    st.builds(Heartbeat, NAMES, NAMES, COUNTS, COUNTS, COUNTS, COUNTS),
)


FOUND = Detections(
    np.array([[10, 20, 30.5, 40, 0.75, 1], [0, 0, 8, 8, 0.5, 0]], np.float32),
    ("cup", "jar"),
    np.array([7, -1]),
)


RESULT = Record({"survey": "ztf", "alert_id": 10, "p": {"SN Ia": 0.5}, "mjd": None}, b"ztf:10")


def framed(frames: Sequence[bytes | memoryview]) -> list[zmq.Frame]:
    return [zmq.Frame(bytes(frame)) for frame in frames]


def read(frames: Sequence[bytes | memoryview]) -> Message:
    return decode(framed(frames)).message


def same(one: Any, other: Any) -> bool:
    """Tell whether two payloads, or parts of them, are the same to the bit."""
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one)]
        return all(same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, memoryview | bytes):
        return bytes(one) == bytes(other)
    return repr(one) == repr(other)  # 1, 1.0 and True differ


@given(TOPICS, PAYLOADS, TRACES, st.integers(0, 2**64 - 1), NAMES)
def test_messages_come_back_as_they_went(
    topic: str, payload: Any, trace: Trace, sequence: int, frame_id: str
) -> None:
    found = read(encode(Message("out", payload, trace, 0, frame_id), topic, sequence))
    assert (found.topic, found.trace, found.sequence, found.frame_id) == (topic, trace, sequence, frame_id)
    assert type(found.payload) is type(payload)
    assert same(found.payload, payload)


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**64 - 1), st.lists(NAMES, max_size=8), st.booleans())
def test_what_is_told_beside_a_message_comes_back(
    epoch: int, budget_ns: int, via: list[str], kept: bool
) -> None:
    message = Message("out", Text("hello"))
    content = take_apart(message.payload)
    header = encode_header(message, content, 7, epoch=epoch, budget_ns=budget_ns, via=via, kept=kept)
    received = decode([b"t", header, *inline(content)])
    assert (received.epoch, received.budget_ns, received.via) == (epoch, budget_ns, tuple(via))
    assert received.kept is kept
    assert received.message.payload == message.payload


def test_what_is_not_told_takes_no_bytes() -> None:
    received = decode(encode(Message("out", Text("hello")), "t", 0))
    assert (received.epoch, received.budget_ns, received.via, received.kept) == (0, 0, (), False)
    assert len(encode(Message("out", Text("hello")), "t", 0)[1]) < 60


def test_who_has_looked_at_the_topic_may_give_another() -> None:
    frames = encode(Message("out", Text("hello")), "t", 0)
    assert decode(frames).message.topic == "t"
    assert decode([b"\xff", *frames[1:]], topic="seen").message.topic == "seen"


PLACE = Place("lowlat_camera_17_1700_0a1b2c3d", 3, 2**64 - 1, (0, 4096))
FOUND_BYTES = 2 * 6 * 4


def placed(place: Any, payload: Any = None) -> list[bytes]:
    message = Message("out", FOUND if payload is None else payload)
    return [b"t", encode_header(message, take_apart(message.payload), 7, place=place)]


def test_arrays_in_shared_memory_are_attached_by_their_sizes() -> None:
    asked = []
    parts = [content(array) for array in take_apart(FOUND).arrays]

    def attach(place: Place, sizes: Sequence[int]) -> list[memoryview]:
        asked.append((place, list(sizes)))
        return parts

    found = decode(placed(PLACE), attach=attach).message.payload
    assert asked == [(PLACE, [FOUND_BYTES, 16])]
    assert same(found, FOUND)
    assert np.shares_memory(found.rows, FOUND.rows)
    assert not found.rows.flags.writeable


def test_without_a_way_to_attach_shared_memory_is_refused() -> None:
    with pytest.raises(WireError, match="expected arrays as frames, got a place in shared memory"):
        decode(placed(PLACE))


def test_what_attaching_raises_passes_through() -> None:
    def attach(_place: Place, _sizes: Sequence[int]) -> list[memoryview]:
        raise FileNotFoundError("gone")

    with pytest.raises(FileNotFoundError, match="gone"):
        decode(placed(PLACE), attach=attach)


@pytest.mark.parametrize("parts", [[], [b"x"], [b"x" * (FOUND_BYTES - 1), b"x" * 16]])
def test_shared_memory_that_gives_other_bytes_is_refused(parts: list[bytes]) -> None:
    with pytest.raises(WireError):
        decode(placed(PLACE), attach=lambda _place, _sizes: list(map(memoryview, parts)))


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("lowlat", "as 'shm'"),
        ([], "as 'shm'"),
        (["a", 0, 1], "as 'shm'"),
        (["../etc", 0, 1, [0, 0]], "expected the name of a segment in 'shm'"),
        (["a/b", 0, 1, [0, 0]], "the name of a segment"),
        ([".hidden", 0, 1, [0, 0]], "the name of a segment"),
        (["a\n", 0, 1, [0, 0]], "the name of a segment"),
        (["a" * 101, 0, 1, [0, 0]], "the name of a segment"),
        (["", 0, 1, [0, 0]], "the name of a segment"),
        ([1, 0, 1, [0, 0]], "the name of a segment"),
        (["a", -1, 1, [0, 0]], "expected a slot from 0"),
        (["a", 1 << 16, 1, [0, 0]], "expected a slot from 0"),
        (["a", 0.0, 1, [0, 0]], "expected a slot from 0"),
        (["a", 0, 0, [0, 0]], "expected a generation from 1"),
        (["a", 0, True, [0, 0]], "expected a generation from 1"),
        (["a", 0, 1, [0]], "an offset in 'shm' for each of 2 arrays"),
        (["a", 0, 1, [0] * 9], "an offset in 'shm' for each of 2 arrays"),
        (["a", 0, 1, 0], "an offset in 'shm' for each of 2 arrays"),
        (["a", 0, 1, [0, -1]], "expected offsets from 0"),
        (["a", 0, 1, [0, 2**63]], "expected offsets from 0"),
        (["a", 0, 1, [0, 1.5]], "expected offsets from 0"),
    ],
)
def test_a_place_that_is_none_is_refused(place: Any, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        decode(placed(place), attach=lambda _place, _sizes: [])


def test_a_place_for_no_arrays_or_beside_frames_is_refused() -> None:
    with pytest.raises(WireError, match="for each of 0 arrays"):
        decode(placed(["a", 0, 1, []], Record({})), attach=lambda _place, _sizes: [])
    with pytest.raises(WireError, match="expected no frames of arrays beside 'shm', got 1"):
        decode([*placed(PLACE), b"x"], attach=lambda _place, _sizes: [])


def test_nothing_is_attached_for_arrays_that_are_none() -> None:
    fields = msgpack.unpackb(placed(PLACE)[1]) | {"arrays": [["<f4", [-1, 6]], ["<i8", [2]]]}
    with pytest.raises(WireError, match="expected sizes from 0"):
        decode([b"t", msgpack.packb(fields)], attach=lambda _place, _sizes: pytest.fail("attached"))


def test_threads_do_not_share_what_packs() -> None:
    message = Message("out", RESULT)
    expected = encode(message, "t", 1)

    def many(_: int) -> bool:
        return all(encode(message, "t", 1) == expected for _ in range(500))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(many, range(4)))


def test_a_header_that_cannot_be_packed_leaves_nothing_for_the_next() -> None:
    with pytest.raises(WireError):
        encode(Message("out", Record({"a": 1, "b": "\ud800"})), "t", 0)
    assert encode(Message("out", RESULT), "t", 0) == encode(Message("out", RESULT), "t", 0)


def test_arrays_cannot_be_written_to_and_are_not_copied() -> None:
    frames = framed(encode(Message("out", np.zeros(4)), "t", 0))
    payload = decode(frames).message.payload
    assert not payload.flags.writeable
    assert np.shares_memory(payload, np.frombuffer(frames[2].buffer, np.uint8))
    rows = read(encode(Message("out", FOUND), "t", 0)).payload.rows
    assert not rows.flags.writeable


def test_arrays_of_any_layout_are_sent_in_c_order_and_little_endian() -> None:
    for array in (np.arange(6).reshape(2, 3).T, np.array([1.5], ">f4"), np.arange(9)[::2]):
        found = read(encode(Message("out", array), "t", 0)).payload
        assert np.array_equal(found, array)
        assert found.dtype.str in DTYPES


def documented() -> dict[str, list[bytes]]:
    """Return the frames of each test vector of the document, by its name."""
    blocks = re.findall(r"^`(\w+)`:\n\n```\n(.*?)```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return {
        name: [bytes.fromhex(frame) for frame in re.split("topic|header|array", text)[1:]]
        for name, text in blocks
    }


POSE = {"x": 1.5, "y": -2.0, "theta": 0.5}
SCAN = {
    "frame": "laser",
    "counts": np.array([1, 2], np.uint16),
    "pose": POSE,
    "ranges": np.array([0.5, 1.0], np.float32),
    "tags": ["a", "b"],
}
HASH = "RIHS01_" + "0123456789abcdef" * 4
TOLD: dict[str, Any] = {"epoch": 2**63, "budget_ns": 50_000_000, "via": ["north"], "kept": True}

DOCUMENTED: dict[str, Message] = {
    "detections": Message("found", FOUND, Trace(1, 2, 3, 4, 5, 1_700_000_000_000_000_000), 0, "camera"),
    "array": Message("brightness", np.array([0.5]), Trace()),
    "record": Message("alerts", RESULT, Trace(0, 7)),
    "image": Message("camera", Image(np.arange(12, dtype=np.uint8).reshape(2, 2, 3), "rgb8"), Trace(9)),
    "compressed_image": Message(
        "camera", CompressedImage(np.array([0xFF, 0xD8], np.uint8), "jpeg"), Trace(9)
    ),
    "joint_state": Message(
        "joints", Joints(("hip",), np.array([0.5]), np.array([-1.0]), NO_FLOATS), Trace(9)
    ),
    "trajectory": Message(
        "plan",
        Trajectory(("hip",), 9, np.array([0, 10**9]), np.array([[0.5], [1.0]]), NO_FLOATS, NO_FLOATS),
        Trace(9),
    ),
    "text": Message("task", Text("pick up the cup"), Trace()),
    "labels": Message("classes", Labels(("cup", "jar"), 0.25), Trace()),
    "packet": Message("packets", Packet(b"\x01\x02\x03", b"k", "ztf[3]@1207"), Trace(0, 7)),
    "dead_letter": Message("rejects", DeadLetter(Packet(b"\x01"), "no Avro"), Trace(0, 7)),
    "heartbeat": Message("beats", Heartbeat("/detector", "running", 42, 12_000_000, 100_000_000), Trace()),
    "ros": Message("scan", Structure("laser_msgs/msg/Scan", SCAN), Trace(9)),
    "ros_cdr": Message("count", Serialised("std_msgs/msg/Int32", b"\0\1\0\0\7\0\0\0", HASH), Trace()),
    "told": Message("task", Text("stop"), Trace()),
    "shm": Message("camera", Image(np.zeros((720, 1280, 3), np.uint8), "bgr8"), Trace(9), 0, "camera"),
}
DOCUMENTED_PLACE = Place("lowlat_camera_17_1700_0a1b2c3d", 3, 77, (0,))


def documented_frames(name: str) -> list[bytes]:
    """Return what a test vector should be."""
    message = DOCUMENTED[name]
    taken = take_apart(message.payload)
    if name == "ros":  # a sender may make a frame of any array
        details = taken.details | {"fields": taken.details["fields"] | {"ranges": {"@": 0}}}
        taken = Content("ros", details, [SCAN["ranges"]], 8, [("<f4", (2,))])
    place = DOCUMENTED_PLACE if name == "shm" else None
    header = encode_header(message, taken, 300, place=place, **(TOLD if name == "told" else {}))
    parts = [] if place else [bytes(part) for part in inline(taken)]
    return [f"robot/{message.topic}".encode(), header, *parts]


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_documented_bytes(name: str) -> None:
    assert documented()[name] == documented_frames(name)
    shared = [memoryview(bytes(720 * 1280 * 3))]
    received = decode(framed(documented()[name]), attach=lambda _place, _sizes: shared)
    assert received.message.trace == DOCUMENTED[name].trace
    assert same(received.message.payload, DOCUMENTED[name].payload)


def test_all_that_is_documented_is_checked() -> None:
    assert set(documented()) == set(DOCUMENTED)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ("hello", "expected a payload of type .*Text.*; got str"),
        (np.array(["a"]), "expected an array of"),
        (np.array([object()]), "expected an array of"),
        (Detections(np.zeros((2, 5), np.float32), ("cup",)), r"expected <f4 \[n, 6\]"),
        (Detections(np.zeros((2, 6), np.float32), ("cup",), np.zeros(3, np.int64)), "perhaps <i8"),
        (Detections(np.ones((2, 6), np.float32), ("cup",)), "expected classes from 0 to 0"),
        (Detections(np.full((2, 6), np.nan, np.float32), ("cup",)), "expected classes from 0 to 0"),
        (Detections(np.zeros((0, 6), np.float32), ("x" * 100,) * 1000), "a header of at most 65536"),
        (Record({"a": "x" * MAX_HEADER}), "a header of at most 65536"),
        (Record({"a": [float("nan")]}), "expected finite numbers, got nan"),
        (Record({"a": 2**63}), "whole numbers of 64 bits"),
        (Record({"a": np.float64(1)}), "expected plain data"),
        (Record({"a": b"bytes"}), "expected plain data"),
        (Record({1: 2}), "expected text as names"),
        (Record({"a": "\ud800"}), "header: .*surrogates not allowed"),
        (Record({}, b"\xff"), "expected UTF-8 as key"),
        (Record({}, b"x" * 1025), "a key of at most 1024 characters"),
    ],
)
def test_what_has_no_form_on_the_wire_is_refused(payload: Any, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        encode(Message("out", payload), "t", 0)


@pytest.mark.parametrize("topic", ["", "x" * 256])
def test_a_topic_that_is_none_is_refused(topic: str) -> None:
    with pytest.raises(WireError, match="topic of 1 to 255 bytes"):
        encode(Message("out", np.zeros(1)), topic, 0)


HEADER: dict[str, Any] = {
    "v": 1,
    "schema": "array",
    "seq": 7,
    "trace": [0] * 6,
    "frame_id": "camera",
    "arrays": [["<f4", [2]]],
}
CONTENT = np.zeros(2, np.float32).tobytes()


def test_unknown_keys_are_ignored_and_a_frame_need_not_be_named() -> None:
    fields = HEADER | {"later": {"a": [1]}}
    del fields["frame_id"]
    assert read([b"t", msgpack.packb(fields), CONTENT]).payload.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"v": 2}, "expected version 1 as 'v', got 2"),
        ({"v": True}, "expected version 1 as 'v', got True"),
        ({"v": "1"}, "expected version 1"),
        ({"schema": "pixels"}, "expected a 'schema' of array, .*; got 'pixels'"),
        ({"schema": ["array"]}, "expected a 'schema' of"),
        ({"seq": -1}, "expected 'seq' from 0"),
        ({"seq": 1.0}, "expected 'seq' from 0"),
        ({"frame_id": 3}, "expected 'frame_id' as text"),
        ({"frame_id": "x" * 1025}, "expected 'frame_id' as text of at most 1024"),
        ({"trace": [0] * 5}, "expected 6 stamps"),
        ({"trace": {}}, "expected 6 stamps"),
        ({"trace": [0] * 5 + [-1]}, "expected stamps from 0"),
        ({"trace": [0] * 5 + [2**63]}, "expected stamps from 0"),
        ({"trace": [0.5] * 6}, "expected stamps from 0"),
        ({"arrays": []}, "an entry in 'arrays' for each of 1 frames"),
        ({"arrays": 1}, "expected a list as 'arrays'"),
        ({"arrays": ["<f4"]}, r"expected \[dtype, \[size, ...\]\] for each array"),
        ({"arrays": [["<f4", [2], 1]]}, r"expected \[dtype, \[size, ...\]\] for each array"),
        ({"arrays": [["|O", [1]]]}, "expected a dtype of"),
        ({"arrays": [["<f4", [3]]]}, "takes 12 bytes, 8 came with it"),
        ({"arrays": [["<f4", [1]]]}, "takes 4 bytes, 8 came with it"),
        ({"arrays": [["<f4", [2**60, 2**60]]]}, "expected sizes from 0 to"),
        ({"arrays": [["<f4", [-2]]]}, "expected sizes from 0 to"),
        ({"arrays": [["<f4", [1] * 9]]}, "expected a shape of at most 8"),
        ({"schema": "record", "fields": {}}, "record: expected no arrays, got 1"),
        ({"schema": "detections"}, "expected a list of text as 'names'"),
        ({"schema": "detections", "names": [1]}, "expected a list of text as 'names'"),
        ({"schema": "detections", "names": ["cup"]}, r"expected <f4 \[n, 6\]"),
    ],
)
def test_a_header_that_is_wrong_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        read([b"t", msgpack.packb(HEADER | changes), CONTENT])


@pytest.mark.parametrize(
    ("names", "forms", "reason"),
    [
        (["cup"], [], r"expected <f4 \[n, 6\]"),
        (["cup"], [("<f8", [1, 6])], r"expected <f4 \[n, 6\]"),
        (["cup"], [("<f4", [6])], r"expected <f4 \[n, 6\]"),
        (["cup"], [("<f4", [])], r"expected <f4 \[n, 6\]"),
        (["cup"], [("<f4", [1, 6]), ("<i8", [2])], r"perhaps <i8 \[n\]"),
        (["cup"], [("<f4", [1, 6]), ("<i8", [1]), ("<i8", [1])], r"perhaps <i8 \[n\]"),
        ([], [("<f4", [1, 6])], "expected classes from 0 to -1"),
    ],
)
def test_arrays_that_are_no_detections_are_refused(
    names: list[str], forms: list[tuple[str, list[int]]], reason: str
) -> None:
    fields = HEADER | {"schema": "detections", "names": names, "arrays": forms}
    parts = [np.zeros(shape, dtype).tobytes() for dtype, shape in forms]
    with pytest.raises(WireError, match=reason):
        read([b"t", msgpack.packb(fields), *parts])


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "record: expected a mapping, got None"),
        ({"fields": [1]}, "record: expected a mapping"),
        ({"fields": {"a": float("inf")}}, "expected finite numbers"),
        ({"fields": {"a": 2**63}}, "whole numbers of 64 bits"),
        ({"fields": {}, "key": 1}, "expected 'key' as text"),
        ({"fields": {}, "key": "x" * 1025}, "expected 'key' as text of at most 1024"),
        ({"fields": {"a": [[[[[[[[]]]]]]]]}}, "on 8 levels"),
        ({"fields": {"a": {1: 2}}}, "header: expected msgpack"),
    ],
)
def test_what_is_no_record_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        read([b"t", msgpack.packb(HEADER | {"schema": "record", "arrays": []} | changes)])


def test_a_record_needs_no_key() -> None:
    fields = HEADER | {"schema": "record", "arrays": [], "fields": {"a": 1}}
    payload = read([b"t", msgpack.packb(fields)]).payload
    assert (payload.fields, payload.key) == ({"a": 1}, b"")


@pytest.mark.parametrize(
    ("frames", "reason"),
    [
        ([], "expected 2 to 10 frames, got 0"),
        ([b"t"], "expected 2 to 10 frames, got 1"),
        ([b"t"] * 11, "expected 2 to 10 frames, got 11"),
        ([b"", b"\x80"], "topic: expected 1 to 255 bytes, got 0"),
        ([b"x" * 256, b"\x80"], "topic: expected 1 to 255 bytes, got 256"),
        ([b"\xff", b"\x80"], "topic: expected UTF-8"),
        ([b"t", b""], "header: expected msgpack"),
        ([b"t", b"\x80\x80"], "header: expected msgpack"),
        ([b"t", b"\x93\x01\x02\x03"], "header: expected a map, got list"),
        ([b"t", b"\x81\x01\x02"], "header: expected msgpack"),
        ([b"t", b"\x81\xa1v\xc7\x01\x05x"], "header: expected msgpack"),
        ([b"t", b"\xdd\xff\xff\xff\xff"], "header: expected msgpack"),
        ([b"t", b"\x91" * 5000], "header: expected msgpack"),
        ([b"t", bytes(MAX_HEADER + 1)], "header: expected at most 65536 bytes, got 65537"),
    ],
)
def test_frames_that_are_no_message_are_refused(frames: list[bytes], reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        read(frames)


@settings(max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=4))
def test_garbage_raises_nothing_but_wire_errors(frames: list[bytes]) -> None:
    with contextlib.suppress(WireError):
        read(frames)


SOUND = [documented_frames(name) for name in DOCUMENTED]


@settings(max_examples=500)
@given(st.sampled_from(SOUND), st.data())
def test_changed_bytes_raise_nothing_but_wire_errors(sound: list[bytes], data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in sound]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = data.draw(st.sampled_from([frame for frame in frames if frame]))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(WireError):
        message = decode(framed(frames)).message
        if isinstance(message.payload, Detections):
            assert all(
                message.payload.names[int(number)] is not None for number in message.payload.rows[:, 5]
            )


@pytest.mark.parametrize("sound", SOUND)
def test_a_frame_cut_anywhere_is_refused(sound: list[bytes]) -> None:
    for index in range(1, len(sound)):
        for size in range(len(sound[index])):
            with pytest.raises(WireError):
                read([*sound[:index], sound[index][:size], *sound[index + 1 :]])


def test_a_message_that_claims_to_be_huge_costs_nothing() -> None:
    fields = HEADER | {"arrays": [["<f8", [1 << 20, 1 << 20]]]}
    frames = framed([b"t", msgpack.packb(fields), b""])
    tracemalloc.start()
    try:
        with pytest.raises(WireError):
            decode(frames)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


IMAGE = np.zeros((2, 3, 3), np.uint8)
JOINT = np.zeros(2)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (Image(IMAGE, "rgb9"), "expected an 'encoding' of mono8, .*; got 'rgb9'"),
        (Image(IMAGE, "rgba8"), r"expected \|u1 \[height, width, 4\] for rgba8, got \|u1 \[2, 3, 3\]"),
        (Image(IMAGE, "mono8"), r"expected \|u1 \[height, width\] for mono8"),
        (Image(IMAGE[0], "rgb8"), "for rgb8"),
        (Image(IMAGE[:, :0], "rgb8"), "for rgb8"),
        (Image(IMAGE.astype(np.uint16), "rgb8"), "for rgb8, got <u2"),
        (Image(IMAGE.astype(np.float32), "rgb16"), "expected <u2"),
        (CompressedImage(IMAGE, "jpeg"), r"compressed_image: expected the file as \|u1 \[n\], got"),
        (CompressedImage(np.zeros(2, np.int8), "jpeg"), r"expected the file as \|u1 \[n\], got \|i1 \[2\]"),
        (CompressedImage(IMAGE[0, 0], "x" * 1025), "expected 'format' as text of at most 1024"),
        (Joints(("a",), JOINT, NO_FLOATS, NO_FLOATS), r"expected 3 arrays of <f8 \[1\] or \[0\]"),
        (Joints(("a", "b"), JOINT.astype(np.float32), JOINT, JOINT), "expected 3 arrays of <f8"),  # type: ignore[arg-type]
        (Joints(("a",) * 20_000, NO_FLOATS, NO_FLOATS, NO_FLOATS), "expected at most 16384 'names'"),
        (Joints(("a" * 1025,), NO_FLOATS, NO_FLOATS, NO_FLOATS), "of at most 1024 characters"),
        (Joints((1,), NO_FLOATS, NO_FLOATS, NO_FLOATS), "expected a list of text as 'names'"),  # type: ignore[arg-type]
        (Labels(("a",), float("nan")), "labels: expected 'threshold' as a finite number"),
        (Text("\ud800"), "text: expected what UTF-8 can say"),
        (Text("x" * ((1 << 20) + 1)), "text: expected at most 1048576 bytes"),
        (Packet(b"a", b"k" * ((1 << 16) + 1)), "packet: expected a key of at most 65536 bytes"),
        (Packet(b"a", b"", "x" * 1025), "packet: expected 'origin' as text"),
        (Heartbeat("n", "idle", -1, 0, 0), "heartbeat: expected 'sequence' from 0"),
        (Heartbeat("n", "x" * 1025, 0, 0, 0), "heartbeat: expected 'state' as text"),
        (Structure("nonsense", {}), "ros: expected a 'type' such as"),
        (Structure("a/msg/B", {}, "RIHS01_xyz"), "ros: expected RIHS01_ and 64"),
        (Structure("a/msg/B", {"a b": 1}), "ros: expected names of fields"),
        (Structure("a/msg/B", {"a": None}), "ros: expected text, numbers, arrays"),
        (Structure("a/msg/B", {"a": 2**64}), "header: Integer value out of range"),
        (Structure("a/msg/B", {"a": [1, 2]}), "lists of text or of mappings"),
        (
            Structure("a/msg/B", {"a": np.zeros((2, 2))}),
            r"ros: expected arrays \[n\] of what ROS has",
        ),
        (Structure("a/msg/B", {"a": np.zeros(2, np.float16)}), "of what ROS has"),
        (Serialised("a/msg/B", b"\0\1"), "ros_cdr: expected CDR with its encapsulation header"),
    ],
)
def test_payloads_that_contradict_themselves_are_refused(payload: Any, reason: str) -> None:
    with pytest.raises(WireError, match=reason):
        encode(Message("out", payload), "t", 0)


def test_big_endian_and_padded_images_are_sent_as_any() -> None:
    for data in (IMAGE.astype(">u2"), np.zeros((2, 8, 3), np.uint16)[:, :3], np.ones((2, 3, 3), np.uint16)):
        found = read(encode(Message("out", Image(data, "rgb16")), "t", 0)).payload
        assert np.array_equal(found.data, data)
        assert found.data.dtype.str == "<u2"
    grey = read(encode(Message("out", Image(IMAGE[:, :, :1], "mono8")), "t", 0)).payload
    assert grey.data.shape == (2, 3)


def test_trajectories_go_forward_in_time() -> None:
    table = np.zeros((2, 1))
    for times, start_ns in (([1, 1], 0), ([2, 1], 0), ([1, 2], -1)):
        payload = Trajectory(("a",), start_ns, np.array(times), table, NO_FLOATS, NO_FLOATS)
        with pytest.raises(WireError, match=r"times that increase|'start_ns' from 0"):
            encode(Message("out", payload), "t", 0)


def test_a_long_reason_is_cut() -> None:
    letter = DeadLetter(Packet(b"a"), "x" * 100_000)
    assert len(read(encode(Message("out", letter), "t", 0)).payload.reason) == 8192


U1, F8, I8 = ["|u1", [2]], ["<f8", [2]], ["<i8", [2]]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"schema": "image", "arrays": [U1]}, "expected an 'encoding' of"),
        ({"schema": "image", "arrays": [U1], "encoding": ["rgb8"]}, "expected an 'encoding' of"),
        ({"schema": "image", "arrays": [U1], "encoding": "mono8"}, r"expected \|u1 \[height, width\]"),
        ({"schema": "image", "arrays": [], "encoding": "mono8"}, "image: expected 1 array, got 0"),
        ({"schema": "compressed_image", "arrays": [U1, U1]}, "compressed_image: expected 1 array, got 2"),
        ({"schema": "compressed_image", "arrays": [F8]}, r"expected the file as \|u1 \[n\]"),
        ({"schema": "compressed_image", "arrays": [U1], "format": 1}, "expected 'format' as text"),
        ({"schema": "joint_state", "arrays": [F8, F8, F8]}, "expected a list of text as 'names'"),
        ({"schema": "joint_state", "arrays": [F8, F8], "names": ["a", "b"]}, "expected 3 arrays of <f8"),
        ({"schema": "joint_state", "arrays": [F8, F8, I8], "names": ["a", "b"]}, "expected 3 arrays of <f8"),
        ({"schema": "trajectory", "arrays": [], "names": []}, "expected 'start_ns' from 0"),
        ({"schema": "trajectory", "arrays": [], "names": [], "start_ns": 0}, "expected <i8"),
        ({"schema": "trajectory", "arrays": [I8] * 4, "names": [], "start_ns": 0}, "expected <i8"),
        ({"schema": "text", "arrays": []}, "text: expected 1 array"),
        ({"schema": "text", "arrays": [F8]}, r"text: expected UTF-8 as \|u1 \[n\]"),
        ({"schema": "labels", "arrays": [], "names": ["a"], "threshold": "low"}, "expected 'threshold'"),
        ({"schema": "labels", "arrays": [], "names": ["a"], "threshold": True}, "expected 'threshold'"),
        ({"schema": "labels", "arrays": [U1], "names": ["a"]}, "labels: expected no arrays"),
        ({"schema": "packet", "arrays": []}, "packet: expected 1 or 2 arrays"),
        ({"schema": "packet", "arrays": [U1, F8]}, "packet: expected its key"),
        ({"schema": "packet", "arrays": [U1], "origin": 1}, "expected 'origin' as text"),
        ({"schema": "dead_letter", "arrays": [U1], "reason": 1}, "expected 'reason' as text"),
        ({"schema": "heartbeat", "arrays": []}, "heartbeat: expected a map as 'fields'"),
        ({"schema": "heartbeat", "arrays": [], "fields": {}}, "expected 'sequence' from 0"),
        ({"schema": "ros_cdr", "arrays": [U1], "type": "a/msg/B"}, "encapsulation header"),
        ({"schema": "ros_cdr", "arrays": [], "type": "a/msg/B"}, "ros_cdr: expected 1 array"),
        ({"schema": "ros", "arrays": [], "type": "a/msg/B"}, "ros: expected a map as 'fields'"),
        ({"schema": "ros", "arrays": [], "fields": {}}, "ros: expected a 'type' such as"),
        ({"epoch": -1}, "expected 'epoch' and 'budget_ns' from 0"),
        ({"budget_ns": 1.5}, "expected 'epoch' and 'budget_ns' from 0"),
        ({"via": "a"}, "expected at most 8 texts as 'via'"),
        ({"via": ["a"] * 9}, "expected at most 8 texts as 'via'"),
        ({"via": [1]}, "expected at most 8 texts as 'via'"),
        ({"via": ["a" * 256]}, "expected at most 255 characters in each text"),
    ],
)
def test_a_header_that_does_not_fit_its_schema_is_refused(changes: dict[str, Any], reason: str) -> None:
    fields = HEADER | {"arrays": [["<f4", [2]]]} | changes
    parts = [np.zeros(shape, dtype).tobytes() for dtype, shape in fields["arrays"]]
    with pytest.raises(WireError, match=reason):
        read([b"t", msgpack.packb(fields), *parts])


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"a": None}, "expected text, numbers, maps, and lists"),
        ({"a": [1]}, "lists of text or of maps"),
        ({"a": ["b", {}]}, "lists of text or of maps"),
        ({"a": [[]]}, "lists of text or of maps"),
        ({"a": {"b c": 1}}, "expected names of fields"),
        ({"a": {"@": 0}, "b": {"@": 0}}, r"expected each array \[n\] once in 'fields', got 0"),
        ({"a": {"@": 1}}, r"expected each array \[n\] once in 'fields', got 1"),
        ({"a": {"@": True}}, r"expected each array \[n\] once in 'fields', got True"),
        ({}, "expected every array in 'fields', number 0 is not"),
        ({"a": {"@": 0}, "b": {"<f8": 1}}, "expected a list of numbers that <f8 has"),
        ({"a": {"@": 0}, "b": {"<f8": ["x"]}}, "expected a list of numbers that <f8 has"),
        ({"a": {"@": 0}, "b": {"<f2": [1.0]}}, "expected a list of numbers that <f2 has"),
        ({"a": {"@": 0}, "b": {"|b1": [1]}}, r"expected a list of numbers that \|b1 has"),
        ({"a": {"@": 0}, "b": {"|u1": [1.0]}}, r"expected a list of numbers that \|u1 has"),
        ({"a": {"@": 0}, "b": {"|u1": [256]}}, "expected numbers from 0 to 255"),
        ({"a": {"@": 0}, "b": {"<i8": [2**63]}}, "expected numbers from -9223372036854775808"),
        ({"a": {"|u1": [1], "b": 1}}, "expected names of fields"),
        (functools.reduce(lambda inner, _: {"b": inner}, range(40), {}), "on at most 32 levels"),
    ],
)
def test_fields_that_are_none_are_refused(fields: dict[str, Any], reason: str) -> None:
    header = HEADER | {"schema": "ros", "type": "a/msg/B", "fields": fields}
    with pytest.raises(WireError, match=reason):
        read([b"t", msgpack.packb(header), CONTENT])


def test_other_encoders_may_write_whole_numbers_for_others() -> None:
    header = HEADER | {"schema": "ros", "type": "a/msg/B", "arrays": [], "fields": {"a": {"<f4": [1, 2.5]}}}
    found = read([b"t", msgpack.packb(header)]).payload.fields["a"]
    assert (found.dtype.str, found.tolist()) == ("<f4", [1.0, 2.5])
    assert not found.flags.writeable
