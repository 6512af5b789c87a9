# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge between real ROS topics and real sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from bridge_rig import Rig, rig
from geometry_msgs.msg import PoseStamped

pytestmark = pytest.mark.ros


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def chat(world: Rig, direction: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge with one route for /chat."""
    route = {"ros": "/chat", "direction": direction, "keep": "every", **more}
    if direction == "to_zmq":
        return {"routes": {"chat": route}, "zmq": {"endpoint": world.endpoint("there")}}
    return {"routes": {"chat": route}, "peers": {"there": {"endpoint": world.endpoint("there")}}}


def test_a_message_crosses_from_one_domain_to_another_with_its_stamp(
    world: Rig, module_ros_domain_id: int
) -> None:
    other = module_ros_domain_id
    there, here = world.node("there"), world.node("here", other)
    world.bridge(**chat(world, "to_zmq"))
    world.bridge(domain=other, **chat(world, "to_ros"))
    heard: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/chat", heard.append, 10)
    said = PoseStamped()
    said.header.stamp.sec, said.header.stamp.nanosec, said.header.frame_id = 12, 34, "map"
    said.pose.position.x = 1.5
    world.publish_until(there.create_publisher(PoseStamped, "/chat", 10), said, lambda: heard)
    assert heard[0] == said
