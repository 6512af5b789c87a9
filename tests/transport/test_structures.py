# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of every type that is known here: over the wire and back, against rosbags and against rclpy."""

from __future__ import annotations

import contextlib
import functools
import importlib
import json
import math
import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rosbags.interfaces import Nodetype
from rosbags.typesys import Stores, get_typestore

from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Serialised, Structure
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.bag.errors import TypeUnknown
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.cdr.fields import NUMBERS
from lowlat_nodes.transport.cdr.wire import CdrError
from lowlat_nodes.transport.structures import Structures, TypeMismatch
from lowlat_nodes.transport.zmq.frames import decode, encode, take_apart

TYPES = MessageTypes()
STRUCTURES = Structures(TYPES)

INSTALLED = {
    f"{path.parts[-3]}/msg/{path.stem}"
    for path in Path(sys.prefix, "share").glob("*/msg/*.msg")
    if f"{path.parts[-3]}/msg/{path.stem}" in TYPES
}
NAMES = sorted(INSTALLED | set(get_typestore(Stores.ROS2_JAZZY).fielddefs))

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


def numbers(base: str) -> st.SearchStrategy[Any]:
    dtype = np.dtype(NUMBERS[base][0])
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind == "f":
        # One NaN only: rosbags makes a quiet one of others, as processors do.
        floats = st.floats(width=32 if dtype.itemsize == 4 else 64)
        return floats.map(lambda value: math.nan if math.isnan(value) else value)
    limits = np.iinfo(dtype)
    return st.integers(int(limits.min), int(limits.max))


def item(description: Any) -> st.SearchStrategy[Any]:
    kind, details = description
    if kind == Nodetype.NAME:
        return fields_of(details)
    base, bound = details
    return (
        TEXTS.filter(lambda text: len(text.encode()) <= (bound or 99)) if base == "string" else numbers(base)
    )


def field(description: Any) -> st.SearchStrategy[Any]:
    kind, details = description
    if kind in (Nodetype.BASE, Nodetype.NAME):
        return item(description)
    inner, count = details
    least, most = (count, count) if kind == Nodetype.ARRAY else (0, min(count or 3, 3))
    if inner[0] == Nodetype.BASE and inner[1][0] in NUMBERS:
        dtype = np.dtype("<" + NUMBERS[inner[1][0]][0])
        # Whatever bits: NaN of any kind too.
        bits = np.dtype(f"<u{dtype.itemsize}") if dtype.kind == "f" else dtype
        most = count if kind == Nodetype.ARRAY else count or 200
        sizes = st.integers(least, most)
        return sizes.flatmap(lambda size: arrays.arrays(bits, size)).map(lambda array: array.view(dtype))
    return st.lists(item(inner), min_size=least, max_size=most)


@functools.cache
def fields_of(name: str) -> st.SearchStrategy[dict[str, Any]]:
    if [key for key, _ in TYPES.fields(name)] == ["structure_needs_at_least_one_member"]:
        return st.just({"structure_needs_at_least_one_member": 0})  # no field of the message, says ROS
    return st.fixed_dictionaries({key: field(description) for key, description in TYPES.fields(name)})


def as_rosbags(name: str, fields: dict[str, Any]) -> Any:
    """Return the object that rosbags makes of a message."""
    values = {}
    for key, (kind, details) in TYPES.fields(name):
        value = fields[key]
        inner = details if kind == Nodetype.NAME else details[0][1] if kind > Nodetype.NAME else None
        if kind == Nodetype.NAME:
            value = as_rosbags(inner, value)
        elif kind > Nodetype.NAME and details[0][0] == Nodetype.NAME:
            value = [as_rosbags(inner, each) for each in value]
        elif kind == Nodetype.BASE and details[0] == "byte":
            value = value - 256 if value > 127 else value  # a number with a sign there, without in ROS
        values[key] = value
    return SimpleNamespace(**values)


def same(one: Any, other: Any) -> bool:
    """Tell whether two values are the same, of the same types and with the same bits."""
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, float):
        return type(other) is float and struct.pack("<d", one) == struct.pack("<d", other)
    return type(one) is type(other) and one == other


def through(payload: Any) -> Any:
    """Return a payload as it comes out of the wire."""
    return decode([bytes(frame) for frame in encode(Message("m", payload), "m", 0)]).message.payload


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(data=st.data())
def test_messages_of_every_type_pass_the_wire_byte_for_byte(name: str, data: st.DataObject) -> None:
    fields = data.draw(fields_of(name))
    serialised = TYPES.encode(name, as_rosbags(name, fields))
    read = STRUCTURES.read(name, serialised)
    assert isinstance(read, Structure)
    assert read.type_hash == TYPES.definition(name)[1]
    arrived = through(read)
    assert (arrived.type_name, arrived.type_hash) == (read.type_name, read.type_hash)
    assert same(arrived.fields, read.fields)
    assert STRUCTURES.write(arrived) == serialised
    assert STRUCTURES.write(through(STRUCTURES.serialised(read))) == serialised


@pytest.mark.ros
@pytest.mark.parametrize("name", sorted(INSTALLED))
@settings(max_examples=4)
@given(data=st.data())
def test_messages_are_what_ros_makes_of_them(name: str, data: st.DataObject) -> None:
    from rclpy.serialization import deserialize_message, serialize_message

    package, _, kind = name.split("/")
    try:
        type_ = getattr(importlib.import_module(f"{package}.msg"), kind)
    except ImportError:
        pytest.skip(f"{package} is not built here")
    ours = STRUCTURES.write(Structure(name, data.draw(fields_of(name))))
    theirs = serialize_message(deserialize_message(bytes(ours), type_))
    read = STRUCTURES.read(name, theirs)
    assert STRUCTURES.write(through(read)) == ours
    assert len(theirs) >= len(ours)  # what ROS leaves between the fields and behind them means nothing


def test_hashes_are_those_of_ros() -> None:
    checked = 0
    for name in INSTALLED:
        package, _, kind = name.split("/")
        described = Path(sys.prefix, "share", package, "msg", f"{kind}.json")
        if described.is_file():
            hashes = {
                each["type_name"]: each["hash_string"]
                for each in json.loads(described.read_text())["type_hashes"]
            }
            assert TYPES.definition(name)[1] == hashes[name]
            checked += 1
    assert checked or not INSTALLED


JOINTS = "sensor_msgs/msg/JointState"
HEADER = {"stamp": {"sec": 1, "nanosec": 2}, "frame_id": "base"}


def joint_fields(**changes: Any) -> dict[str, Any]:
    fields = {"header": HEADER, "name": ["a", "b"]}
    return fields | {key: np.arange(2.0) for key in ("position", "velocity", "effort")} | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"name": "ab"}, "name: expected a list, got str"),
        ({"name": [1]}, "name: expected text, got int"),
        ({"name": ["\ud800"]}, "name: expected what UTF-8 can say"),
        ({"position": [1.0]}, r"position: expected an array <f8 \[n\], got <class 'list'>"),
        ({"position": np.zeros(1, np.float32)}, r"position: expected an array <f8 \[n\], got <f4 \[1\]"),
        ({"position": np.zeros((1, 1))}, r"got <f8 \[1, 1\]"),
        ({"more": 1}, "expected the fields header, name, position, velocity, effort; got .*, more"),
        ({"header": 1}, "header: expected a mapping of fields, got int"),
        ({"header": HEADER | {"stamp": {"sec": 2**31, "nanosec": 0}}}, "sec: expected int32, got 2147483648"),
        ({"header": HEADER | {"stamp": {"sec": True, "nanosec": 0}}}, "sec: expected int32, got bool"),
        ({"header": HEADER | {"stamp": {"sec": 0.0, "nanosec": 0}}}, "sec: expected int32, got float"),
    ],
)
def test_fields_that_do_not_fit_the_type_are_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        STRUCTURES.write(Structure(JOINTS, joint_fields(**changes)))


def test_bounds_of_arrays_and_texts_are_kept() -> None:
    covariance = "geometry_msgs/msg/PoseWithCovariance"
    fields = {
        "pose": {
            "position": {"x": 1.0, "y": 2, "z": 3.0},  # a whole number is one too
            "orientation": dict.fromkeys("xyzw", 0.0),
        },
        "covariance": np.zeros(35),
    }
    with pytest.raises(CdrError, match="covariance: expected 36 items, got 35"):
        STRUCTURES.write(Structure(covariance, fields))


def test_a_message_of_another_definition_is_refused() -> None:
    other = "RIHS01_" + "0" * 64
    for payload in (
        Structure(JOINTS, joint_fields(), other),
        Serialised(JOINTS, STRUCTURES.write(Structure(JOINTS, joint_fields())), other),
    ):
        with pytest.raises(TypeMismatch, match="install the same version of the package on both sides"):
            STRUCTURES.write(through(payload))


def test_a_type_that_is_not_known_passes_as_it_is() -> None:
    name = "elsewhere_msgs/msg/Thing"
    payload = STRUCTURES.read(name, b"\x00\x01\x00\x00\x07")
    assert isinstance(payload, Serialised)
    assert bytes(STRUCTURES.write(through(payload))) == b"\x00\x01\x00\x00\x07"
    with pytest.raises(TypeUnknown):
        STRUCTURES.write(Structure(name, {}))


def test_text_that_is_none_passes_as_it_is() -> None:
    data = b"\x00\x01\x00\x00\x03\x00\x00\x00\xff\xfe\x00"
    payload = STRUCTURES.read("std_msgs/msg/String", data)
    assert isinstance(payload, Serialised)
    assert bytes(STRUCTURES.write(through(payload))) == data


def test_wide_strings_pass_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    definition = tmp_path / "share" / "wide_msgs" / "msg" / "Wide.msg"
    definition.parent.mkdir(parents=True)
    definition.write_text("wstring data\n")
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(tmp_path))
    data = b"\x00\x01\x00\x00\x01\x00\x00\x00a\x00"
    payload = STRUCTURES.read("wide_msgs/msg/Wide", data)
    assert isinstance(payload, Serialised)
    assert bytes(STRUCTURES.write(through(payload))) == data
    with pytest.raises(TypeUnknown, match="types with wide strings, wstring, are never known"):
        STRUCTURES.write(Structure("wide_msgs/msg/Wide", {"data": "a"}))


@pytest.mark.parametrize("count", [10, 3000, 100_000])
def test_messages_of_any_size_pass(count: int) -> None:
    point = {"x": 1.0, "y": -2.0, "z": math.pi}
    fields = {"header": HEADER, "polygon": {"points": [point] * count}}
    data = STRUCTURES.write(Structure("geometry_msgs/msg/PolygonStamped", fields))
    payload = STRUCTURES.read("geometry_msgs/msg/PolygonStamped", data)
    assert isinstance(payload, Structure if count == 10 else Serialised)
    assert STRUCTURES.write(through(payload)) == data


def test_a_structure_too_large_for_a_header_is_sent_serialised() -> None:
    payload = Structure("std_msgs/msg/String", {"data": "x" * 100_000})
    assert through(STRUCTURES.serialised(payload)).data == STRUCTURES.write(payload)


def test_more_large_arrays_than_a_header_takes_are_refused() -> None:
    fields = {f"field{number}": np.zeros(10_000) for number in range(9)}
    with pytest.raises(WireError, match="as ROS serialises it"):
        take_apart(Structure("some_msgs/msg/Many", fields))


def test_large_arrays_are_frames_and_views_of_the_message() -> None:
    name = "sensor_msgs/msg/PointCloud2"
    fields = {
        "header": HEADER,
        "height": 1,
        "width": 100_000,
        "fields": [{"name": "x", "offset": 0, "datatype": 7, "count": 1}],
        "is_bigendian": False,
        "point_step": 4,
        "row_step": 400_000,
        "data": np.arange(400_000).astype(np.uint8),
        "is_dense": True,
    }
    serialised = STRUCTURES.write(Structure(name, fields))
    read = STRUCTURES.read(name, serialised)
    assert isinstance(read, Structure)
    assert np.shares_memory(read.fields["data"], np.frombuffer(serialised, np.uint8))
    assert not read.fields["data"].flags.writeable
    content = take_apart(read)
    assert content.nbytes == 400_000
    assert np.shares_memory(content.arrays[0], read.fields["data"])
    assert STRUCTURES.write(through(read)) == serialised


def test_more_large_arrays_than_frames_pass() -> None:
    point = {key: np.arange(80.0 + number) for number, key in enumerate(("positions", "velocities"))}
    points = [
        point
        | {"accelerations": np.empty(0), "effort": np.empty(0), "time_from_start": {"sec": n, "nanosec": 0}}
        for n in range(20)
    ]
    name = "trajectory_msgs/msg/JointTrajectory"
    serialised = STRUCTURES.write(Structure(name, {"header": HEADER, "joint_names": [], "points": points}))
    read = STRUCTURES.read(name, serialised)
    assert isinstance(read, Structure)
    assert len(take_apart(read).arrays) <= 8
    assert STRUCTURES.write(through(read)) == serialised


FLOAT32_BITS = [0x7F800001, 0xFF800001, 0x7FBFFFFF, 0x7FC00001, 0xFFC12345, 0x7F800000, 0x80000000, 1]


@pytest.mark.parametrize("bits", FLOAT32_BITS)
def test_every_bit_of_a_number_is_kept(bits: int) -> None:
    data = b"\x00\x01\x00\x00" + struct.pack("<I", bits)
    assert STRUCTURES.write(through(STRUCTURES.read("std_msgs/msg/Float32", data))) == data
    wide = b"\x00\x01\x00\x00" + struct.pack("<Q", bits << 32 | 1)
    assert STRUCTURES.write(through(STRUCTURES.read("std_msgs/msg/Float64", wide))) == wide


def test_a_message_of_the_other_byte_order_is_read() -> None:
    stamped = b"\x00\x00\x00\x00" + struct.pack(">iII", 1, 2, 2) + b"c\0" + bytes(2)
    read = STRUCTURES.read("geometry_msgs/msg/PointStamped", stamped + struct.pack(">3d", 1, 2, 3))
    assert isinstance(read, Structure)
    assert read.fields["point"] == {"x": 1.0, "y": 2.0, "z": 3.0}
    ints = STRUCTURES.read(
        "std_msgs/msg/Int16MultiArray", b"\x00\x00\x00\x00" + struct.pack(">IIIhh", 0, 0, 2, 1, -2)
    )
    assert isinstance(ints, Structure)
    assert ints.fields["data"].tolist() == [1, -2]
    assert ints.fields["data"].dtype.str == "<i2"


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("std_msgs/msg/Bool", b"\x00\x01\x00\x00\x02", "data: expected 0 or 1 as bool, got 2"),
        ("std_msgs/msg/Int32", b"\x00\x01\x00\x00\x02", "data: expected 4 bytes"),
        ("std_msgs/msg/Int32", b"\x00\x03\x00\x00\x02", "expected a plain CDR message"),
        ("std_msgs/msg/String", b"\x00\x01\x00\x00\xff\xff\xff\xff", "data: expected 4294967295 bytes"),
        ("std_msgs/msg/String", b"\x00\x01\x00\x00\x01\x00\x00\x00a", "ends with NUL"),
        (
            "sensor_msgs/msg/JointState",
            b"\x00\x01\x00\x00" + bytes(12) + b"\xff" * 4,
            "name: expected at most",
        ),
    ],
)
def test_bytes_that_are_no_such_message_are_refused(name: str, data: bytes, reason: str) -> None:
    with pytest.raises(CdrError, match=reason):
        STRUCTURES.read(name, data)


@pytest.mark.parametrize("name", ["visualization_msgs/msg/MarkerArray", "sensor_msgs/msg/JointState"])
@settings(max_examples=100)
@given(data=st.data())
def test_changed_bytes_are_read_or_refused(name: str, data: st.DataObject) -> None:
    changed = bytearray(STRUCTURES.write(Structure(name, data.draw(fields_of(name)))))
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(4, len(changed) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CdrError):
        STRUCTURES.write(through(STRUCTURES.read(name, bytes(changed))))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=8)
@given(data=st.data())
def test_a_message_is_checked_as_if_it_were_read(name: str, data: st.DataObject) -> None:
    message = bytearray(TYPES.encode(name, as_rosbags(name, data.draw(fields_of(name)))))
    STRUCTURES.check(name, bytes(message))
    for _ in range(data.draw(st.integers(0, 3))):
        message[data.draw(st.integers(0, len(message) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    changed = bytes(message[: len(message) - data.draw(st.integers(0, 4))])
    try:
        read = STRUCTURES.read(name, changed)
    except CdrError:
        with pytest.raises(CdrError):
            STRUCTURES.check(name, changed)
        return
    if isinstance(read, Structure):  # otherwise the rest was not looked at
        STRUCTURES.check(name, changed)


def test_strings_of_any_bytes_pass_the_check_and_nothing_of_a_type_that_is_not_here() -> None:
    latin = bytearray(TYPES.encode("std_msgs/msg/String", SimpleNamespace(data="gruen")))
    latin[10] = 0xFC
    STRUCTURES.check("std_msgs/msg/String", bytes(latin))
    assert isinstance(STRUCTURES.read("std_msgs/msg/String", bytes(latin)), Serialised)
    with pytest.raises(TypeUnknown):
        STRUCTURES.check("nowhere/msg/Nothing", b"\0\1\0\0")
