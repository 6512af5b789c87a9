# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Bridges as processes: killed and started again, stopped and let go on, with the parameters that ship."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("rclpy")

from bridge_rig import PATIENCE_S, Rig, rig
from geometry_msgs.msg import PoseStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import String

from lowlat_nodes import resources

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a bridge as a process."""
    running: list[subprocess.Popen[bytes]] = []

    def run(values: Any, domain: int, name: str = "bridge_node") -> subprocess.Popen[bytes]:
        path = values
        if not isinstance(values, Path):
            path = tmp_path / f"{name}.yaml"
            path.write_text(yaml.safe_dump({f"/{name}": {"ros__parameters": values}}))
        command = [sys.executable, "-m", "lowlat_nodes.nodes.bridge_node", "--ros-args"]
        command += ["-r", f"__node:={name}", "--params-file", str(path), "--log-level", "warn"]
        running.append(subprocess.Popen(command, env={**os.environ, "ROS_DOMAIN_ID": str(domain)}))
        return running[-1]

    yield run
    for process in running:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGCONT)
        process.terminate()
    for process in running:
        process.wait(PATIENCE_S)


def values(world: Rig, direction: str) -> dict[str, Any]:
    route = {"direction": direction, "keep": "every"}
    shared: dict[str, Any] = {
        "routes": {"chat": {"ros": "/chat", **route}, "map": {"ros": "/map", **route}},
    }
    if direction == "to_zmq":
        return {**shared, "zmq": {"endpoint": world.endpoint("there")}}
    return {**shared, "peers": {"there": {"endpoint": world.endpoint("there")}}}


@pytest.mark.parametrize("victim", ["to_zmq", "to_ros"])
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_messages_come_again_after_a_bridge_was_killed_or_stopped(
    world: Rig, ros_domain_id: int, module_ros_domain_id: int, start: Start, victim: str, blow: signal.Signals
) -> None:
    domains = {"to_zmq": ros_domain_id, "to_ros": module_ros_domain_id}
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    bridges = {way: start(values(world, way), domain, f"bridge_{way}") for way, domain in domains.items()}
    heard: list[str] = []
    here.create_subscription(String, "/chat", lambda message: heard.append(message.data), 100)
    chat, latched = (
        there.create_publisher(String, "/chat", 100),
        there.create_publisher(PoseStamped, "/map", LATCHED),
    )
    latched.publish(PoseStamped())
    world.publish_until(chat, String(data="before"), lambda: heard)
    bridges[victim].send_signal(blow)
    if blow == signal.SIGKILL:
        bridges[victim].wait(PATIENCE_S)
        bridges[victim] = start(values(world, victim), domains[victim], f"bridge_{victim}")
    else:
        world.spin(1.0)
        bridges[victim].send_signal(signal.SIGCONT)
    world.publish_until(chat, String(data="after"), lambda: "after" in heard)
    maps: list[PoseStamped] = []
    here.create_subscription(PoseStamped, "/map", maps.append, LATCHED)
    world.spin_until(lambda: maps)


def test_the_parameters_that_ship_are_taken(
    world: Rig, ros_domain_id: int, start: Start, tmp_path: Path
) -> None:
    text = resources.path("config", "bridge.yaml").read_text(encoding="utf-8")
    for port in ("5570", "5571"):  # others may use these
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            text = text.replace(port, str(free.getsockname()[1]))
    path = tmp_path / "shipped.yaml"
    path.write_text(text)
    process = start(path, ros_domain_id)
    node = world.node("camera")
    node.create_publisher(Image, "camera/image", 1)
    world.spin_until(lambda: node.get_subscriptions_info_by_topic("/camera/image"))
    world.spin_until(lambda: node.get_publishers_info_by_topic("/arm/commands"))
    process.send_signal(signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0


def test_bad_parameters_end_the_process_as_ones_that_a_restart_does_not_help(
    ros_domain_id: int, start: Start
) -> None:
    process = start({"routes": {"a": {"ros": "/a", "direction": "to_zqm"}}}, ros_domain_id)
    assert process.wait(PATIENCE_S) == os.EX_CONFIG
