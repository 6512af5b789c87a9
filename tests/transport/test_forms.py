# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""ROS messages of every type as processors see them, against what rclpy makes of them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import JointState, LaserScan
from std_msgs.msg import Header

from lowlat_nodes.stream.payload import Joints, Text
from lowlat_nodes.transport.bag.errors import TypeUnknown
from lowlat_nodes.transport.cdr import CdrError
from lowlat_nodes.transport.ros.forms import reader, writer

pytestmark = pytest.mark.ros

SCAN = "sensor_msgs/msg/LaserScan"
HEADER = Header(stamp=Time(sec=5, nanosec=7), frame_id="laser")


def test_a_type_with_a_payload_of_its_own_becomes_that() -> None:
    decoded = reader("sensor_msgs/msg/JointState")(serialize_message(JointState(name=["a"], position=[1.0])))
    assert isinstance(decoded.payload, Joints)
    data = writer("std_msgs/msg/String")(0, "", Text("hello"))
    assert reader("std_msgs/msg/String")(data).payload == Text("hello")


def test_any_other_becomes_an_object_with_its_fields_and_the_stamp_of_its_header() -> None:
    scan = LaserScan(header=HEADER, range_max=30.0, ranges=[1.0, 2.0])
    decoded = reader(SCAN)(memoryview(serialize_message(scan)))
    assert (decoded.stamp_ns, decoded.frame_id) == (5_000_000_007, "laser")
    assert decoded.payload.range_max == 30.0
    assert decoded.payload.ranges.tolist() == [1.0, 2.0]
    assert decoded.payload.ranges.dtype == np.float32


def test_an_object_is_written_as_ros_reads_it() -> None:
    read = reader(SCAN)(serialize_message(LaserScan(header=HEADER, ranges=[1.0]))).payload
    changed = dataclasses.replace(read, ranges=np.array([4.0], np.float32))
    assert deserialize_message(writer(SCAN)(0, "", changed), LaserScan) == LaserScan(
        header=HEADER, ranges=[4.0]
    )


@pytest.mark.parametrize("data", [b"", b"\x00\x01\x00\x00", b"\x00\x01\x00\x00" + b"\xff" * 40])
def test_bytes_that_are_no_such_message_are_refused(data: bytes) -> None:
    with pytest.raises(CdrError):
        reader(SCAN)(data)


def test_a_payload_of_another_type_is_refused() -> None:
    with pytest.raises(CdrError, match="expected a message object of sensor_msgs/msg/LaserScan, got Text"):
        writer(SCAN)(0, "", Text("no scan"))
    pose = reader("geometry_msgs/msg/Point")(b"\x00\x01\x00\x00" + bytes(24)).payload
    with pytest.raises(CdrError, match="got geometry_msgs/msg/Point"):
        writer(SCAN)(0, "", pose)


def test_a_type_that_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeUnknown, match="no_such_msgs/msg/Thing"):
        reader("no_such_msgs/msg/Thing")
    with pytest.raises(TypeUnknown, match="no_such_msgs/msg/Thing"):
        writer("no_such_msgs/msg/Thing")
