# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Two bridges that meet over Zenoh instead of ZeroMQ."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from bridge_rig import Rig, rig
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import String

pytestmark = [pytest.mark.ros, pytest.mark.zenoh]

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def meeting_point() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{free.getsockname()[1]}"


def test_topics_cross_latched_ones_too_and_the_peer_is_followed(world: Rig) -> None:
    at = meeting_point()
    here, there = world.node("here"), world.node("there")
    says = here.create_publisher(String, "/chat", 10)
    here.create_publisher(String, "/map", LATCHED).publish(String(data="of the hall"))
    chat: list[str] = []
    maps: list[str] = []
    there.create_subscription(String, "/away/chat", lambda message: chat.append(message.data), 10)
    there.create_subscription(String, "/away/map", lambda message: maps.append(message.data), LATCHED)
    reports: list[dict[str, str]] = []

    def collect(message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name.startswith("inward"):
                values = {item.key: item.value for item in status.values}
                reports.append({"message": status.message, **values})

    there.create_subscription(DiagnosticArray, "/diagnostics", collect, 10)
    outward = world.bridge(
        "outward",
        routes={
            "chat": {"ros": "/chat", "direction": "to_zmq", "keep": "every"},
            "map": {"ros": "/map", "direction": "to_zmq", "keep": "every"},
        },
        zmq={"endpoint": "zenoh://robot_1"},
        zenoh={"listen": [at]},
    )
    world.bridge(
        "inward",
        routes={
            "chat": {"ros": "/away/chat", "zmq": "chat", "direction": "to_ros", "keep": "every"},
            "map": {"ros": "/away/map", "zmq": "map", "direction": "to_ros", "keep": "every"},
        },
        peers={"robot": {"endpoint": "zenoh://robot_1"}},
        zenoh={"connect": [at]},
    )
    world.publish_until(says, String(data="hello"), lambda: chat and maps)
    assert (chat[0], maps[0]) == ("hello", "of the hall")
    world.spin_until(lambda: reports and reports[-1].get("peer.robot.state") == "running")
    world.end(outward)
    world.spin_until(lambda: reports[-1].get("peer.robot.state") in {"stopped", "gone"})


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"zmq": {"endpoint": "zenoh://a//b"}}, "expected names with single slashes"),
        (
            {"zmq": {"endpoint": "zenoh://a"}, "zenoh": {"listen": ["tcp/0.0.0.0:0"]}},
            "reaches other machines",
        ),
    ],
)
def test_what_does_not_fit_is_refused(world: Rig, values: dict[str, Any], reason: str) -> None:
    routes = {"chat": {"ros": "/chat", "direction": "to_zmq"}}
    bridge = world.make(routes=routes, **values)
    assert not bridge.start()
    assert reason in bridge.problem
