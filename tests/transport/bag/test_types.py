# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Standard and installed message types are known by name; nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lowlat_nodes.transport.bag import BagError, MessageTypes, TypeUnknown

TWIST = "geometry_msgs/msg/Twist"


@pytest.fixture
def prefix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An ament prefix with a package of its own that uses another package and a standard one."""
    for package, name, text in (
        (
            "robot_msgs",
            "Gripper",
            "std_msgs/Header header\nFinger[] fingers\nother_msgs/Grip[2] grips\nstring NAME=x\n",
        ),
        ("robot_msgs", "Finger", "float64 angle\nuint8[4] raw\n"),
        ("other_msgs", "Grip", "bool closed\n"),
        ("robot_msgs", "Broken", "float64 [\n"),
        ("robot_msgs", "Orphan", "missing_msgs/Thing thing\n"),
    ):
        folder = tmp_path / "share" / package / "msg"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.msg").write_text(text)
    monkeypatch.setenv("AMENT_PREFIX_PATH", os.pathsep.join(["", str(tmp_path)]))
    return tmp_path


def test_a_standard_type_is_read_and_written() -> None:
    types = MessageTypes()
    data = b"\x00\x01\x00\x00" + np.arange(6.0).tobytes()
    message = types.decode(TWIST, data)
    assert (message.linear.y, message.angular.z) == (1.0, 5.0)
    assert types.encode(TWIST, message) == data


def test_the_other_byte_order_is_read_and_what_follows_ignored() -> None:
    data = b"\x00\x00\x00\x00" + np.arange(6.0).astype(">f8").tobytes() + bytes(20)
    assert MessageTypes().decode(TWIST, data).angular.x == 3.0


def test_definitions_are_those_of_ros() -> None:
    text, type_hash = MessageTypes().definition(TWIST)
    assert text.startswith("geometry_msgs/Vector3 linear\ngeometry_msgs/Vector3 angular\n")
    # As the nav2 bag of the test data has it, which a ROS installation recorded.
    assert type_hash == "RIHS01_9c45bf16fe0983d80e3cfe750d6835843d265a9a6c46bd2e609fcddde6fb8d2a"


def test_an_installed_type_is_read_from_its_definition(prefix: Path) -> None:
    types = MessageTypes()
    assert "robot_msgs/msg/Gripper" in types
    text, type_hash = types.definition("robot_msgs/msg/Gripper")
    assert "MSG: robot_msgs/Finger" in text
    assert "MSG: other_msgs/Grip" in text
    assert type_hash.startswith("RIHS01_")
    data = b"\x00\x01\x00\x00" + bytes(8) + b"\x01\0\0\0" + bytes(8) + b"\x00\x01"
    gripper = types.decode("robot_msgs/msg/Gripper", data)
    assert [grip.closed for grip in gripper.grips] == [False, True]
    assert types.encode("robot_msgs/msg/Gripper", gripper) == data


@pytest.mark.parametrize(
    "name",
    [
        "nav2_msgs/msg/Costmap",
        "robot_msgs/msg/Missing",
        "robot_msgs/msg/Orphan",
        "robot_msgs/msg/Broken",
        "robot_msgs/srv/Gripper",
        "../robot_msgs/msg/Gripper",
        "robot_msgs/msg/../../etc/passwd",
        "",
    ],
)
def test_anything_else_is_unknown(prefix: Path, name: str) -> None:
    types = MessageTypes()
    assert name not in types
    with pytest.raises(TypeUnknown, match="is not known here; install the package"):
        types.decode(name, b"\x00\x01\x00\x00")


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00", b"\x00\x01\x00\x00", b"\x00\x07\x00\x00" + bytes(48), b"\x00\x01\x00\x00" + bytes(40)],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(BagError, match=TWIST):
        MessageTypes().decode(TWIST, data)


def test_a_sequence_that_claims_to_be_huge_is_refused() -> None:
    data = b"\x00\x01\x00\x00" + bytes(12) + b"\xff\xff\xff\xff" * 4
    for name in (
        "sensor_msgs/msg/LaserScan",
        "diagnostic_msgs/msg/DiagnosticArray",
        "sensor_msgs/msg/JointState",
    ):
        with pytest.raises(BagError, match=name):
            MessageTypes().decode(name, data)


def test_an_object_that_does_not_fit_is_refused() -> None:
    with pytest.raises(BagError, match=f"expected the fields of {TWIST}"):
        MessageTypes().encode(TWIST, object())
