# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Limits from robot descriptions, and descriptions that are wrong, hostile or unfinished."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from lowlat_nodes.control.limits import JointLimits
from lowlat_nodes.control.urdf import UrdfJoint, limits_from_urdf, read_joints
from lowlat_nodes.stream.errors import ConfigurationError

ROBOT = b"""<?xml version="1.0" encoding="utf-8"?>
<!-- a comment -->
<robot name="arm" xmlns:xacro="http://www.ros.org/wiki/xacro">
  <link name="base"/>
  <joint name="shoulder" type="revolute">
    <parent link="base"/><child link="upper"/><axis xyz="0 0 1"/>
    <limit lower="-1.5" upper="2.5" velocity="3.0" effort="10"/>
  </joint>
  <joint name="roll" type="continuous"><limit velocity="6.28" effort="1"/></joint>
  <joint name="spin" type="continuous"/>
  <joint name="slide" type="prismatic"><limit upper="0.4" velocity="0.1" effort="1"/></joint>
  <joint name="finger" type="revolute"><limit lower="0" upper="1" velocity="2" effort="1"/>
    <mimic joint="shoulder" multiplier="-1"/></joint>
  <joint name="mount" type="fixed"/>
  <transmission name="t"><joint name="shoulder"><hardwareInterface/></joint></transmission>
  <ros2_control name="rc" type="system"><joint name="shoulder"/></ros2_control>
</robot>
"""


def one_joint(limit: str, kind: str = "revolute") -> bytes:
    return f'<robot name="r"><joint name="j" type="{kind}">{limit}</joint></robot>'.encode()


def test_limits_come_in_the_order_asked_for() -> None:
    found = read_joints(ROBOT, ["slide", "shoulder"])
    assert found == [UrdfJoint(0.0, 0.4, 0.1), UrdfJoint(-1.5, 2.5, 3.0)]


def test_continuous_joints_have_no_range() -> None:
    assert read_joints(ROBOT, ["roll", "spin"]) == [
        UrdfJoint(-math.inf, math.inf, 6.28),
        UrdfJoint(-math.inf, math.inf, math.inf),
    ]


def test_a_mimicking_joint_is_one_like_others() -> None:
    assert read_joints(ROBOT, ["finger"]) == [UrdfJoint(0.0, 1.0, 2.0)]


def test_text_serves_as_well_as_bytes() -> None:
    text = ROBOT.decode().replace(' encoding="utf-8"', "")
    assert read_joints(text, ["shoulder"]) == read_joints(ROBOT, ["shoulder"])


@pytest.mark.parametrize(
    ("urdf", "expected"),
    [
        (ROBOT.replace(b"shoulder", b"shoulde"), "no joint 'shoulder'; did you mean 'shoulde'"),
        (b"<robot/>", "no joint 'shoulder'; it has: none"),
        (ROBOT.replace(b'"roll"', b'"shoulder"'), "two of the name 'shoulder'"),
        (b"<mujoco/>", "root is <robot>, got <mujoco>"),
        (b"<robot>", "expected the XML of a URDF: no element found"),
        (b"", "expected the XML of a URDF"),
        (b"\x00\xff\xfe", "expected the XML of a URDF"),
    ],
)
def test_another_document_is_refused(urdf: bytes, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=expected):
        read_joints(urdf, ["shoulder"])


@pytest.mark.parametrize(
    ("urdf", "expected"),
    [
        (one_joint(""), "a revolute joint needs a <limit>"),
        (one_joint('<limit lower="0" upper="1"/>'), "needs 'velocity'"),
        (one_joint('<limit lower="0" upper="1" velocity="0"/>'), "velocity limit above 0, got 0"),
        (one_joint('<limit velocity="-1"/>', "continuous"), "velocity limit above 0, got -1"),
        (one_joint('<limit velocity="1"/>'), "lower below upper, got 0 and 0"),
        (one_joint('<limit lower="2" upper="1" velocity="1"/>'), "lower below upper, got 2 and 1"),
        (one_joint('<limit lower="${a}" upper="1" velocity="1"/>'), "got '.{a}'; run xacro on it first"),
        (one_joint('<limit lower="nan" upper="1" velocity="1"/>'), "number for 'lower', got 'nan'"),
        (one_joint("", "fixed"), "got 'fixed'"),
        (b'<robot><joint name="j"/></robot>', "got None"),
    ],
)
def test_a_joint_without_sensible_limits_is_refused(urdf: bytes, expected: str) -> None:
    with pytest.raises(ConfigurationError, match=f"joint 'j': .*{expected}"):
        read_joints(urdf, ["j"])


BOMB = """<!DOCTYPE robot [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]>
<robot name="&c;"><joint name="j" type="continuous"/></robot>"""
FILE = '<!DOCTYPE robot [<!ENTITY f SYSTEM "file:///etc/passwd">]><robot name="r">&f;</robot>'


@pytest.mark.parametrize("urdf", [BOMB, FILE, "<!DOCTYPE robot><robot/>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_declarations_and_entities_are_refused_in_any_encoding(urdf: str, encoding: str) -> None:
    with pytest.raises(ConfigurationError, match="no document type declaration"):
        read_joints(urdf.encode(encoding), ["j"])


def test_a_file_fills_in_what_is_not_given(tmp_path: Path) -> None:
    path = tmp_path / "arm.urdf"
    path.write_bytes(ROBOT)
    given = JointLimits(velocity=(1.0, 2.0), acceleration=(9.0,))
    assert limits_from_urdf(path, ["shoulder", "slide"], given) == JointLimits(
        lower=(-1.5, 0.0), upper=(2.5, 0.4), velocity=(1.0, 2.0), acceleration=(9.0,)
    )
    spinning = limits_from_urdf(path, ["spin"], JointLimits())
    assert spinning.per_joint(1) == ([-math.inf], [math.inf], [math.inf], [math.inf])


def test_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot read the URDF.*gone\.urdf"):
        limits_from_urdf(tmp_path / "gone.urdf", ["j"], JointLimits())
    path = tmp_path / "arm.urdf"
    path.write_bytes(ROBOT)
    with pytest.raises(ConfigurationError, match=r"URDF .*arm\.urdf: there is no joint 'elbow'"):
        limits_from_urdf(path, ["elbow"], JointLimits())


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "large.urdf"
    with path.open("wb") as file:
        file.truncate((32 << 20) + 1)
    with pytest.raises(ConfigurationError, match="at most"):
        limits_from_urdf(path, ["j"], JointLimits())
