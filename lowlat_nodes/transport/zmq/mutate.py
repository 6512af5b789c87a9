# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of every schema, and changed copies of them for a decoder that must refuse what is wrong."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgpack
import numpy as np

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
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.zmq.frames import encode_header, inline, take_apart

_HASH = "RIHS01_" + "5a" * 32
_POSE = {
    "position": {"x": 1.5, "y": -2.0, "z": 0.0},
    "orientation": {"x": 0.0, "y": 0.0, "z": 0.0, "w": 1.0},
}
_STAMPED = {"stamp": {"sec": 1_700_000_000, "nanosec": 5}, "frame_id": "base"}

PAYLOADS: tuple[Any, ...] = (
    np.array([0.5]),
    np.zeros((2, 0, 3), np.int16),
    np.array(1.5, np.float32),
    CompressedImage(np.arange(40, dtype=np.uint8), "jpeg"),
    DeadLetter(Packet(b"bytes", b"key", "ztf[3]@1207"), "SchemaError: no such schema"),
    Detections(
        np.array([[10, 20, 30.5, 40, 0.75, 1], [0, 0, 8, 8, 0.5, 0]], np.float32),
        ("cup", "jar"),
        np.array([7, -1]),
    ),
    Detections(np.zeros((0, 6), np.float32), tuple(f"class {number}" for number in range(80))),
    Heartbeat("/camera/detector", "running", 300, 12_000_000, 100_000_000),
    Image(np.arange(36, dtype=np.uint8).reshape(3, 4, 3), "rgb8"),
    Image(np.arange(6, dtype=np.uint16).reshape(2, 3), "mono16"),
    Joints(("shoulder", "elbow"), np.array([0.1, 0.2]), np.array([1.0, 2.0]), NO_FLOATS),
    Labels(("cup", "jar"), 0.25),
    Packet(b"\x00\x01\x02", b"", "night.avro#7"),
    Record({"survey": "ztf", "alert_id": 10, "p": {"SN Ia": 0.5}, "mjd": None, "seen": [1, 2]}, b"ztf:10"),
    Serialised("std_msgs/msg/Int32", b"\x00\x01\x00\x00\x07\x00\x00\x00", _HASH),
    Structure(
        "geometry_msgs/msg/PoseWithCovarianceStamped",
        {"header": _STAMPED, "pose": {"pose": _POSE, "covariance": np.arange(36.0)}},
        _HASH,
    ),
    Structure(
        "sensor_msgs/msg/PointCloud2",
        {
            "header": _STAMPED,
            "fields": [{"name": name, "offset": 0, "datatype": 7, "count": 1} for name in "xyz"],
            "is_dense": True,
            "data": np.zeros(600, np.uint8),
            "intensities": np.arange(200, dtype=np.float32),
        },
    ),
    Text("put the cup on the tray"),
    Trajectory(
        ("a", "b"), 5, np.array([10, 20, 30]), np.zeros((3, 2)), np.ones((3, 2)), NO_FLOATS
    ),
)  # fmt: skip

Frames = list[bytes]


def sound_messages() -> list[Frames]:
    """Return messages of every schema, each with its arrays as frames, and in shared memory if it has any."""
    found = []
    told: dict[str, Any] = {"epoch": 1 << 63, "budget_ns": 5_000_000, "via": ("north", "south"), "kept": True}
    trace = Trace(1, 2, 3, 4, 5, 1_700_000_000_000_000_000)
    for number, payload in enumerate(PAYLOADS):
        message = Message("out", payload, trace, number, "camera")
        content = take_apart(payload)
        header = encode_header(message, content, number, **(told if number % 2 else {}))
        found.append([b"robot/out", header, *map(bytes, inline(content))])
        if content.arrays:
            place = Place("lowlat_out_17_1700_0a1b2c3d", 3, 77, tuple(range(0, 64 * len(content.arrays), 64)))
            found.append([b"robot/out", encode_header(message, content, number, place=place)])
    return found


_SOUND = 0.01
"""How many messages are left as they are."""

_MARKERS = bytes([*range(0xC0, 0xE0), 0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xFF])
"""First bytes of msgpack values: of every type, and the least and the most of those that hold their size."""

_CLAIMS = (
    b"\xdd\xff\xff\xff\xff",  # a list of 2^32 - 1
    b"\xdc\xff\xff",
    b"\xdf\xff\xff\xff\xff",  # a map
    b"\xde\xff\xff",
    b"\xdb\xff\xff\xff\xff",  # text
    b"\xc6\xff\xff\xff\xff",  # bytes
    b"\xc9\xff\xff\xff\xff\x05",  # an extension
    b"\xcf\xff\xff\xff\xff\xff\xff\xff\xff",  # 2^64 - 1
    b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00",  # -2^63
    b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",  # NaN
    b"\xd6\xff\x00\x00\x00\x00",  # a time
)

_NESTED = (b"\x91", b"\x81\xa1a", b"\x81\x91", b"\x92\xc0", b"\xdc\x40\x00", b"\xde\x10\x00\xa1a")

_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 7, 255, 2**31, 2**32, 2**53, 2**63 - 1, 2**63, 2**64 - 1, -(2**63), 0.0, 1.5,
    -0.5, float("nan"), float("inf"), "", "a", "x" * 300, "x" * 2000, "\0", "../../etc/passwd", "|O", "<f8",
    "|u1", "<f2", "image", "ros", "rgb8", [], {}, [[]], [{}], [0], [-1], ["a"], [2**40] * 8, [0] * 9,
    [1.0, 2.0], ["<f8", [2]], [["<f8", [2]]], [["|u1", [1]]] * 9, {"@": 0}, {"@": -1}, {"@": True},
    {"<f8": [1, 2]}, {"|u1": [256]}, {"<f4": ["a"]}, {"a": {"a": {"a": [{"a": None}]}}}, [0] * 100,
    ["a"] * 100, ["lowlat", 0, 1, [0]],
)  # fmt: skip


class Mutator:
    """Makes changed copies of messages, without end.

    Args:
        sound: The messages, as frames.
        seed: Of all that is random.
    """

    def __init__(self, sound: Sequence[Frames], seed: int) -> None:
        self._sound = sound
        self._draw = random.Random(seed).random
        # What breaks msgpack comes after what needs it whole.
        self._changes: tuple[Callable[[Frames], None], ...] = (
            self._replace,
            self._replace,
            self._flip,
            self._mark,
            self._cut,
            self._claim,
            self._nest,
            self._reframe,
            self._cross,
        )

    def messages(self, count: int) -> Iterator[Frames]:
        """Yield changed messages, and a few that are not."""
        for _ in range(count):
            sound = self._sound[self._below(len(self._sound))]
            frames = list(sound)
            if self._draw() >= _SOUND:
                while frames == sound:
                    self._change(frames)
            yield frames

    def _change(self, frames: Frames) -> None:
        changes = self._changes
        for number in sorted(self._below(len(changes)) for _ in range(1 + self._below(3))):
            if frames:
                changes[number](frames)

    def _below(self, limit: int) -> int:
        return int(self._draw() * limit)

    def _any_frame(self, frames: Frames) -> int:
        """Return the number of a frame, mostly of the header; -1 if there is none with any bytes."""
        number = 1 if self._draw() < 0.8 else self._below(len(frames))
        return number if number < len(frames) and frames[number] else -1

    def _replace(self, frames: Frames) -> None:
        """Put another value in some place of the header, or take one away, or give it twice."""
        try:
            fields = msgpack.unpackb(frames[1])
        except (ValueError, IndexError):  # one that is broken already
            return
        inside = fields
        while True:
            keys = list(inside) if isinstance(inside, dict) else range(len(inside))
            if not keys:
                return
            key = keys[self._below(len(keys))]
            value = inside[key]
            if not isinstance(value, dict | list) or self._draw() < 0.3:
                break
            inside = value
        choice = self._draw()
        if choice < 0.1:
            del inside[key]
        elif choice < 0.2 and isinstance(inside, list):
            inside.append(value)
        elif choice < 0.4 and type(value) is int:
            inside[key] = value + self._below(5) - 2
        else:
            inside[key] = _VALUES[self._below(len(_VALUES))]
        try:
            frames[1] = msgpack.packb(fields)
        except (ValueError, OverflowError):  # one less than the least number
            return

    def _flip(self, frames: Frames) -> None:
        """Change some bits."""
        number = self._any_frame(frames)
        if number >= 0:
            changed = bytearray(frames[number])
            for _ in range(1 + self._below(4)):
                changed[self._below(len(changed))] ^= 1 << self._below(8)
            frames[number] = bytes(changed)

    def _mark(self, frames: Frames) -> None:
        """Make a byte the first one of another value."""
        number = self._any_frame(frames)
        if number >= 0:
            changed = bytearray(frames[number])
            changed[self._below(len(changed))] = _MARKERS[self._below(len(_MARKERS))]
            frames[number] = bytes(changed)

    def _cut(self, frames: Frames) -> None:
        """Take bytes away, at the end or in the midst."""
        number = self._any_frame(frames)
        if number >= 0:
            frame = frames[number]
            begin = self._below(len(frame))
            end = len(frame) if self._draw() < 0.5 else begin + self._below(9)
            frames[number] = frame[:begin] + frame[end:]

    def _claim(self, frames: Frames) -> None:
        """Put in a value that claims to be huge, or is."""
        self._insert(frames, _CLAIMS[self._below(len(_CLAIMS))])

    def _nest(self, frames: Frames) -> None:
        """Put in containers in containers."""
        nested = _NESTED[self._below(len(_NESTED))]
        self._insert(frames, nested * (1 << self._below(12 if self._draw() < 0.1 else 7)))

    def _insert(self, frames: Frames, data: bytes) -> None:
        number = self._any_frame(frames)
        if number >= 0:
            frame = frames[number]
            at = self._below(len(frame) + 1)
            over = len(data) if self._draw() < 0.5 else 0
            frames[number] = frame[:at] + data + frame[at + over :]

    def _reframe(self, frames: Frames) -> None:
        """Take away frames, give them twice, or let them change places."""
        choice, number = self._below(4), self._below(len(frames))
        if choice == 0:
            del frames[number]
        elif choice == 1:
            frames.insert(number, frames[self._below(len(frames))])
        elif choice == 2:
            frames.extend([b"\0" * self._below(100)] * self._below(12))
        else:
            other = self._below(len(frames))
            frames[number], frames[other] = frames[other], frames[number]

    def _cross(self, frames: Frames) -> None:
        """Put in the arrays of another message, or go on with it within a frame."""
        other = self._sound[self._below(len(self._sound))]
        if self._draw() < 0.5:
            frames[2:] = other[2:]
        else:
            number = self._below(min(len(frames), len(other)))
            at = self._below(len(frames[number]) + 1)
            frames[number] = frames[number][:at] + other[number][at:]
