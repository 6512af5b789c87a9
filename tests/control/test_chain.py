# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import math

import numpy as np
import pytest

from lowlat_nodes.control.chain import Chain
from lowlat_nodes.sim.arm import ArmConfig, urdf
from lowlat_nodes.sim.kinematics import JOINT_NAMES, forward
from lowlat_nodes.stream.errors import ConfigurationError


def joint(name: str, parent: str, child: str, inside: str = "", kind: str = "revolute") -> str:
    return (
        f'<joint name="{name}" type="{kind}"><parent link="{parent}"/><child link="{child}"/>{inside}</joint>'
    )


def robot(*joints: str) -> str:
    return f'<robot name="r">{"".join(joints)}</robot>'


def test_the_simulated_arm_is_where_its_own_kinematics_put_it() -> None:
    chain, random = Chain.of(urdf(ArmConfig())), np.random.default_rng(4)
    assert chain.moves(JOINT_NAMES) == 3
    for q in random.uniform(-2.0, 2.0, (20, 3)):
        outline = chain.outline(dict(zip(JOINT_NAMES, q.tolist(), strict=True)))
        assert outline.shape == (4, 3)
        assert outline[:, :2] == pytest.approx(forward(q))
        assert not outline[:, 2].any()


def test_turns_about_any_axis_and_origins_of_any_orientation() -> None:
    # Roll, pitch and yaw are about fixed axes: a quarter yaw after a quarter roll takes z to x.
    tilted = f'<origin xyz="0 0 1" rpy="{math.pi / 2} 0 {math.pi / 2}"/><axis xyz="0 0 2"/>'
    chain = Chain.of(
        robot(joint("a", "base", "l1", tilted), joint("b", "l1", "l2", '<origin xyz="1 0 3"/>', "fixed"))
    )
    assert chain.outline({"a": 0.0})[-1] == pytest.approx([3.0, 1.0, 1.0])
    assert chain.outline({"a": math.pi / 2})[-1] == pytest.approx([3.0, 0.0, 2.0])


def test_sliding_and_mimicking_joints() -> None:
    chain = Chain.of(
        robot(
            joint("slide", "base", "l1", '<axis xyz="0 1 0"/>', "prismatic"),
            joint(
                "follow",
                "l1",
                "l2",
                '<axis xyz="0 1 0"/><mimic joint="slide" multiplier="-2" offset="0.5"/>',
                "prismatic",
            ),
        )
    )
    assert chain.outline({"slide": 0.2}) == pytest.approx(np.array([[0, 0, 0], [0, 0.2, 0], [0, 0.3, 0]]))
    assert chain.moves(["slide", "other"]) == 1
    assert chain.moves(["follow"]) == 0


def test_of_a_tree_the_longest_chain_counts() -> None:
    origin = '<origin xyz="0 0 1"/>'
    chain = Chain.of(
        robot(
            joint("head", "torso", "head_link", origin),
            joint("a", "torso", "l1", origin),
            joint("b", "l1", "l2", origin),
            joint("camera", "l1", "camera_link", origin, "fixed"),
            joint("tip", "l2", "tool", origin, "fixed"),
        )
    )
    assert chain.moves(["a", "b", "head"]) == 2
    assert len(chain.outline({})) == 4


def test_joints_at_one_place_are_one_point() -> None:
    axes = ("1 0 0", "0 1 0", "0 0 1")
    wrist = [joint(f"w{i}", f"l{i}", f"l{i + 1}", f'<axis xyz="{axis}"/>') for i, axis in enumerate(axes)]
    assert Chain.of(robot(*wrist)).outline({}).shape == (1, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rubbish", "expected the XML of a URDF"),
        ("<sdf/>", "whose root is <robot>"),
        ('<!DOCTYPE robot [<!ENTITY a "b">]><robot/>', "no document type declaration"),
        (robot('<joint name="a" type="fixed"><parent link="b"/></joint>'), "expected a <child link"),
        (robot(joint("a", "b", "c"), joint("d", "e", "c")), "one joint that carries link 'c', got two"),
        (robot(joint("a", "b", "c", '<origin xyz="1 2"/>')), "three numbers for 'xyz'"),
        (robot(joint("a", "b", "c", '<axis xyz="0 ${up} 1"/>')), "expected a number"),
        (robot(joint("a", "b", "c", '<origin rpy="0 0 nan"/>')), "expected a number"),
        (robot(*(joint(f"j{n}", f"l{n}", f"l{n + 1}") for n in range(1001))), "at most 1000 joints"),
    ],
)
def test_what_is_no_description_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Chain.of(text)


def test_joints_in_a_circle_and_none_at_all_have_no_outline() -> None:
    for text in (robot(joint("a", "b", "c"), joint("d", "c", "b")), robot()):
        chain = Chain.of(text)
        assert chain.moves(["a", "d"]) == 0
        assert chain.outline({}).shape == (1, 3)
