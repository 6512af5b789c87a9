# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The topics that a node has while it runs stand on its page, with type, quality of service and direction."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy")

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, ReliabilityPolicy

from lowlat_nodes import resources
from lowlat_nodes.nodes.parameter_file import parameters_of, read

pytestmark = pytest.mark.ros

DOCS = Path(__file__).resolve().parents[2] / "docs"
OF_EVERY_NODE = ("/rosout", "/parameter_events")
RELIABILITY = {ReliabilityPolicy.RELIABLE: "reliable", ReliabilityPolicy.BEST_EFFORT: "best effort"}


@dataclass(frozen=True)
class Case:
    """A node and how it is started.

    Attributes:
        cls: Its class.
        file: Parameter file of config/.
        more: Parameters besides.
        renamed: What its page calls a topic in other words.
        parts: Its other names in the ROS graph, of processes of its own.
        topics: Topics that are there when it is complete.
    """

    cls: str
    file: str = ""
    more: Mapping[str, Any] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[str, ...] = ()
    topics: tuple[str, ...] = ("/diagnostics",)


CASES = {
    "sim_arm_node": Case("SimArmNode", more={"priority": 0}),  # its threads are those of the test runner
    "shapes_camera_node": Case("ShapesCameraNode", more={"backgrounds": "drawn"}),
    "energy_node": Case(
        "EnergyNode", more={"meters.battery": "battery"}, renamed={"battery": "meters.battery"}
    ),
    "policy_node": Case(
        "PolicyNode",
        "policy.yaml",
        {"realtime.priority": 0},
        {"camera/image": "observation.camera.NAME.topic", "arm/commands": "~/commands"},
        ("policy_node_tick", "policy_node_cameras"),
        ("/diagnostics", "/arm/commands", "/joint_states", "/camera/image", "/task"),
    ),
    "detector_node": Case(
        "DetectorNode",
        "detector.yaml",
        {"backend.kind": "onnxruntime", "backend.threads": 1},
        {
            "camera/image": "image",
            "~/camera/detections": "~/detections",
            "~/camera/markers": "~/markers",
            "~/camera/debug_image": "~/debug_image",
        },
    ),
    "alert_node": Case(
        "AlertNode",
        more={"source.kind": "ros", "filter.young.keep": "days < 10"},
        renamed={"~/young": "~/FILTER"},
    ),
    "bridge_node": Case(
        "BridgeNode",
        more={
            "zmq.endpoint": "ipc://pages",
            "peers.other.endpoint": "ipc://nobody",
            "routes.a.ros": "given",
            "routes.a.direction": "to_zmq",
            "routes.a.type": "std_msgs/msg/String",
            "routes.b.ros": "got",
            "routes.b.direction": "to_ros",
            "routes.b.type": "std_msgs/msg/String",
        },
        renamed={"given": "direction: to_zmq", "got": "direction: to_ros"},
    ),
}


@dataclass(frozen=True)
class Endpoint:
    """A publisher or a subscription of a node."""

    topic: str
    type_name: str
    direction: str
    reliability: str
    latched: bool


def endpoints(outside: Any, node: str) -> Iterator[Endpoint]:
    ways = (
        ("out", outside.get_publisher_names_and_types_by_node, outside.get_publishers_info_by_topic),
        ("in", outside.get_subscriber_names_and_types_by_node, outside.get_subscriptions_info_by_topic),
    )
    for direction, names_and_types, infos in ways:
        try:
            found = names_and_types(node, "/")
        except rclpy_implementation.NodeNameNonExistentError:  # its process has not come up yet
            continue
        for topic, types in found:
            for info in infos(topic):
                if info.node_name == node and topic not in OF_EVERY_NODE:
                    latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
                    reliability = RELIABILITY[info.qos_profile.reliability]
                    yield Endpoint(topic, types[0], direction, reliability, latched)


def rows(page: str) -> list[list[str]]:
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    section = text.split("\n## Topics\n", 1)[1].split("\n## ", 1)[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def names(cell: str) -> list[str]:
    return re.findall(r"`[^`]+`", cell)


def on_page(topic: str, node: str) -> str:
    """Return a full name as pages write it."""
    private = f"/{node}/"
    return f"~/{topic.removeprefix(private)}" if topic.startswith(private) else topic.lstrip("/")


@pytest.mark.parametrize("name", CASES)
def test_what_a_node_publishes_and_hears_is_on_its_page(
    name: str, robot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOWLAT_ENERGY_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    if name == "sim_arm_node":
        pytest.importorskip("mujoco")
    case = CASES[name]
    values: dict[str, Any] = {}
    if case.file:
        values |= parameters_of(f"/{name}", read(resources.path("config", case.file)))
    values |= case.more
    overrides = [Parameter(key, value=value) for key, value in values.items() if value != []]
    module = importlib.import_module(f"lowlat_nodes.nodes.{name}")
    node = robot.add(getattr(module, case.cls)(overrides=overrides))
    assert node.start(), node.problem

    table = [row for row in rows(name) if row[0]]
    told: list[Endpoint] = []

    def all_there() -> bool:
        told[:] = [each for part in (name, *case.parts) for each in endpoints(robot.outside, part)]
        return {each.topic for each in told} >= {*case.topics, f"/{name}/energy"}

    robot.spin_until(all_there)
    missing = []
    for each in told:
        shown = on_page(each.topic, name)
        shown = case.renamed.get(shown, shown)
        if shown == "~/transition_event":  # of every lifecycle node: docs/nodes.md
            continue
        row = next((row for row in table if {f"`{shown}`", f"`/{shown}`"} & set(names(row[0]))), None)
        if row is None:
            missing.append(f"{each}: no row has `{shown}`")
            continue
        kind = each.type_name.replace("/msg/", "/")
        if kind not in row[1] and kind.split("/")[1] not in row[1] and "any" not in row[1]:
            missing.append(f"{each}: the type is {row[1]}")
        if not re.match(rf"{each.direction}\b", row[3]):
            missing.append(f"{each}: the direction is {row[3]}")
        if each.latched != ("latched" in row[2]) and not re.search("see|volatile", row[2]):
            missing.append(f"{each}: {row[2]} of what is {'latched' if each.latched else 'not latched'}")
        if not each.latched and each.reliability not in row[2] and not re.search("see|volatile", row[2]):
            missing.append(f"{each}: {row[2]} of what is {each.reliability}")
    assert not missing, "\n".join(missing)
