# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Names of classes, as others may number them."""

from __future__ import annotations

import struct

import pytest

from lowlat_nodes.stream.payload import Labels
from lowlat_nodes.transport.cdr import CdrError, decode, encode

TYPE = "vision_msgs/msg/LabelInfo"


def message(classes: list[tuple[int, str]]) -> bytes:
    data = b"\0\1\0\0" + bytes(8) + struct.pack("<I", 1) + b"\0" + bytes(3) + struct.pack("<I", len(classes))
    for number, name in classes:
        data += bytes(-len(data) % 2) + struct.pack("<H", number)
        data += bytes(-len(data) % 4) + struct.pack("<I", len(name) + 1) + name.encode() + b"\0"
    return data + bytes(-len(data) % 4) + struct.pack("<f", 0.5)


@pytest.mark.ros
def test_rclpy_reads_it_and_its_messages_are_read() -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("vision_msgs.msg")
    names = ("cup", "dining table", "", "人")
    data = encode(TYPE, 7, "camera", Labels(names, 0.25))
    classes = [messages.VisionClass(class_id=n, class_name=name) for n, name in enumerate(names)]
    info = messages.LabelInfo(class_map=classes, threshold=0.25)
    info.header.stamp.nanosec, info.header.frame_id = 7, "camera"
    assert serialization.deserialize_message(data, messages.LabelInfo) == info
    decoded = decode(TYPE, serialization.serialize_message(info))
    assert (decoded.stamp_ns, decoded.frame_id, decoded.payload) == (7, "camera", Labels(names, 0.25))


def test_classes_come_in_any_order_and_leave_numbers_out() -> None:
    labels = decode(TYPE, message([(3, "cup"), (0, "jar")])).payload
    assert labels == Labels(("jar", "", "", "cup"), 0.5)


def test_a_class_that_comes_twice_is_refused() -> None:
    with pytest.raises(CdrError, match="class_map: expected each class once, got 3 again"):
        decode(TYPE, message([(3, "cup"), (3, "jar")]))


def test_classes_are_limited_in_number() -> None:
    names = ("",) * (1 << 14)
    assert decode(TYPE, encode(TYPE, 0, "", Labels(names))).payload.names == names
    with pytest.raises(CdrError, match="class_map: expected at most 16384 classes, got 16385"):
        encode(TYPE, 0, "", Labels((*names, "")))
    with pytest.raises(CdrError, match="class_map: expected at most"):
        decode(TYPE, message([(number, "") for number in range((1 << 14) + 1)]))
