# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Boxes as lines: the bytes of rosbags and rclpy, and a colour for each class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from rosbags.typesys import Stores, get_typestore

from lowlat_nodes.stream.payload import Detections
from lowlat_nodes.transport.cdr import CdrError, encode

TYPE = "visualization_msgs/msg/ImageMarker"
STAMP_NS = 1_700_000_000_123_456_789
STORE = get_typestore(Stores.ROS2_JAZZY)


def detections(classes: list[int]) -> Detections:
    rows = [[10 * index, 20, 10 * index + 5, 40, 0.5, number] for index, number in enumerate(classes)]
    return Detections(np.array(rows, np.float32).reshape(-1, 6), ("a", "b", "c"))


def read(data: bytes) -> Any:
    return STORE.deserialize_cdr(data, TYPE)


def colours(marker: Any) -> list[tuple[float, ...]]:
    return [(colour.r, colour.g, colour.b, colour.a) for colour in marker.outline_colors]


@pytest.mark.parametrize("frame_id", ["", "cam", "camera"])
@pytest.mark.parametrize("classes", [[], [0], [2, 0, 1]])
def test_the_bytes_are_those_of_rosbags(classes: list[int], frame_id: str) -> None:
    data = encode(TYPE, STAMP_NS, frame_id, detections(classes))
    marker = read(data)
    assert (marker.header.stamp.sec, marker.header.stamp.nanosec) == divmod(STAMP_NS, 10**9)
    assert marker.header.frame_id == frame_id
    assert (marker.type, marker.action) == (marker.LINE_LIST, marker.ADD)
    assert bytes(STORE.serialize_cdr(marker, TYPE)) == data


@pytest.mark.ros
@pytest.mark.parametrize("classes", [[], [2, 0, 1]])
def test_rclpy_reads_it(classes: list[int]) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    messages = pytest.importorskip("visualization_msgs.msg")
    data = encode(TYPE, STAMP_NS, "camera", detections(classes))
    marker = serialization.deserialize_message(data, messages.ImageMarker)
    assert marker.header.frame_id == "camera"
    assert (marker.ns, marker.type, marker.scale, marker.outline_color.a) == ("detections", 2, 2.0, 1.0)
    assert len(marker.points) == 8 * len(classes)
    assert len(marker.outline_colors) == 4 * len(classes)


def test_four_lines_go_around_a_box() -> None:
    marker = read(encode(TYPE, 0, "", detections([0])))
    points = [(point.x, point.y, point.z) for point in marker.points]
    corners = [(0, 20, 0), (5, 20, 0), (5, 40, 0), (0, 40, 0)]
    assert points == [corners[index] for pair in ((0, 1), (1, 2), (2, 3), (3, 0)) for index in pair]


def test_each_class_has_a_colour_of_its_own() -> None:
    shown = colours(read(encode(TYPE, 0, "", detections([0, 1, 0, 2]))))
    boxes = [set(shown[4 * index : 4 * index + 4]) for index in range(4)]
    assert all(len(box) == 1 for box in boxes)
    assert boxes[0] == boxes[2]
    assert len(set(shown)) == 3
    assert all(0 <= value <= 1 for colour in shown for value in colour)


def test_rows_of_another_form_are_refused() -> None:
    with pytest.raises(CdrError, match=r"rows: expected \[n, 6\], got \(2, 5\)"):
        encode(TYPE, 0, "", Detections(np.zeros((2, 5), np.float32), ()))
