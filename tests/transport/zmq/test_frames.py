# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Frames of a stream: round trips, the documented bytes, and bytes that follow no document."""

from __future__ import annotations

import contextlib
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

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Detections, Record
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.arrays import DTYPES, WireError
from lowlat_nodes.transport.zmq.frames import decode, encode
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


def framed(frames: Sequence[bytes | memoryview]) -> list[zmq.Frame]:
    return [zmq.Frame(bytes(frame)) for frame in frames]


def read(frames: Sequence[bytes | memoryview]) -> Message:
    return decode(framed(frames)).message


def same(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


@given(TOPICS, ARRAYS | detections() | RECORDS, TRACES, st.integers(0, 2**64 - 1), NAMES)
def test_messages_come_back_as_they_went(
    topic: str, payload: Any, trace: Trace, sequence: int, frame_id: str
) -> None:
    found = read(encode(Message("out", payload, trace, 0, frame_id), topic, sequence))
    assert (found.topic, found.trace, found.sequence, found.frame_id) == (topic, trace, sequence, frame_id)
    if isinstance(payload, Detections):
        assert same(found.payload.rows, payload.rows)
        assert same(found.payload.tracks, payload.tracks)
        assert found.payload.names == payload.names
    elif isinstance(payload, Record):
        assert repr(found.payload.fields) == repr(payload.fields)  # 1, 1.0 and True differ
        assert found.payload.key == payload.key
    else:
        assert same(found.payload, payload)


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


FOUND = Detections(
    np.array([[10, 20, 30.5, 40, 0.75, 1], [0, 0, 8, 8, 0.5, 0]], np.float32),
    ("cup", "jar"),
    np.array([7, -1]),
)


RESULT = Record({"survey": "ztf", "alert_id": 10, "p": {"SN Ia": 0.5}, "mjd": None}, b"ztf:10")


def documented() -> dict[str, list[bytes]]:
    """Return the frames of each test vector of the document, by its name."""
    blocks = re.findall(r"^`(\w+)`:\n\n```\n(.*?)```$", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
    return {
        name: [bytes.fromhex(frame) for frame in re.split("topic|header|array", text)[1:]]
        for name, text in blocks
    }


DOCUMENTED = {
    "detections": Message("found", FOUND, Trace(1, 2, 3, 4, 5, 1_700_000_000_000_000_000), 0, "camera"),
    "array": Message("brightness", np.array([0.5]), Trace()),
    "record": Message("alerts", RESULT, Trace(0, 7)),
}


@pytest.mark.parametrize("name", DOCUMENTED)
def test_the_documented_bytes(name: str) -> None:
    message = DOCUMENTED[name]
    assert [bytes(frame) for frame in encode(message, f"robot/{message.topic}", 300)] == documented()[name]
    assert decode(framed(documented()[name])).message.trace == message.trace


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


SOUND = [[bytes(frame) for frame in encode(message, "robot", 5)] for message in DOCUMENTED.values()]


@settings(max_examples=500)
@given(st.sampled_from(SOUND), st.data())
def test_changed_bytes_raise_nothing_but_wire_errors(sound: list[bytes], data: st.DataObject) -> None:
    frames = [bytearray(frame) for frame in sound]
    for _ in range(data.draw(st.integers(1, 4))):
        frame = frames[data.draw(st.integers(0, len(frames) - 1))]
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
