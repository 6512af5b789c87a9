# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Messages of every installed type cross from ROS over ZeroMQ to ROS, bit for bit."""

from __future__ import annotations

import importlib
import itertools
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from bridge_rig import PATIENCE_S, Rig, rig
from rclpy.qos import QoSProfile

from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.structures import Structures

pytestmark = pytest.mark.ros

STRUCTURES = Structures(MessageTypes())
NAMES = sorted(
    f"{path.parts[-3]}/msg/{path.stem}" for path in Path(sys.prefix, "share").glob("*_msgs/msg/*.msg")
)
FORMS = ("auto", "fields", "cdr")
ROUND = 3  # messages of each type
_DEEPEST = 3  # nested sequences


def random_message(kind: Any, dice: np.random.Generator, depth: int = 0) -> Any:
    """Return a message whose every field has some value of its type."""
    message = kind()
    for name, field_type in message.get_fields_and_field_types().items():
        setattr(message, name, random_value(field_type, getattr(message, name), dice, depth))
    return message


def random_value(field_type: str, default: Any, dice: np.random.Generator, depth: int) -> Any:
    if field_type.startswith("sequence<"):
        inner, _, bound = field_type[len("sequence<") : -1].partition(", ")
        count = int(dice.integers(0, min(int(bound or 3), 3) + 1)) if depth < _DEEPEST else 0
        return [random_value(inner, None, dice, depth + 1) for _ in range(count)]
    if field_type.endswith("]"):
        inner, _, count_text = field_type[:-1].partition("[")
        values = [random_value(inner, None, dice, depth + 1) for _ in range(int(count_text))]
        return np.array(values, default.dtype) if isinstance(default, np.ndarray) else values
    if "/" in field_type:
        package, _, name = field_type.partition("/")
        return random_message(getattr(importlib.import_module(f"{package}.msg"), name), dice, depth + 1)
    if field_type.startswith("string"):
        return "".join(dice.choice(list("abcäöü 東京\n"), int(dice.integers(0, 9))))
    if field_type == "boolean":
        return bool(dice.integers(0, 2))
    if field_type == "octet":
        return bytes([int(dice.integers(0, 256))])
    if field_type in {"float", "double"}:
        value = dice.choice([0.0, -0.0, 1.5, float("inf"), -1e30, 1e-30])
        return float(np.float32(value))
    limits = np.iinfo(field_type)
    return int(dice.integers(limits.min, limits.max, endpoint=True, dtype=field_type))


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


def test_messages_of_every_type_cross_bit_for_bit(world: Rig, module_ros_domain_id: int) -> None:
    """All types at once, in turns in each form; test_structures has every form of every type."""
    from rclpy.serialization import serialize_message

    assert len(NAMES) > 100
    kinds = {}
    for name in NAMES:
        package, _, short = name.partition("/msg/")
        kinds[name] = getattr(importlib.import_module(f"{package}.msg"), short)
    topics = {name: f"/t{number}" for number, name in enumerate(NAMES)}
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    route = {"keep": "every", "depth": 1000}
    world.bridge(
        zmq={"endpoint": world.endpoint("there")},
        routes={
            topic[1:]: {"ros": topic, "direction": "to_zmq", "form": form, **route}
            for topic, form in zip(topics.values(), itertools.cycle(FORMS))
        },
    )
    far = world.bridge(
        domain=module_ros_domain_id,
        peers={"there": {"endpoint": world.endpoint("there")}},
        routes={topic[1:]: {"ros": topic, "direction": "to_ros", **route} for topic in topics.values()},
    )
    heard: dict[str, list[bytes]] = {name: [] for name in NAMES}
    profile = QoSProfile(depth=1000)
    publishers = {}
    for name, topic in topics.items():
        here.create_subscription(kinds[name], topic, heard[name].append, profile, raw=True)
        publishers[name] = there.create_publisher(kinds[name], topic, profile)
    dice = np.random.default_rng(5)
    sent = {
        name: [serialize_message(random_message(kinds[name], dice)) for _ in range(ROUND)] for name in NAMES
    }
    expected = {name: {unpadded(name, data) for data in sent[name]} for name in NAMES}

    def missing() -> list[str]:
        return [name for name in NAMES if not expected[name] <= {unpadded(name, got) for got in heard[name]}]

    left = NAMES
    deadline = time.monotonic() + 4 * PATIENCE_S  # a hundred types, and a loaded machine takes minutes
    while left := [name for name in missing() if name in left]:
        assert time.monotonic() < deadline, f"these did not arrive: {left}"
        for name in left:
            for data in sent[name]:
                publishers[name].publish(data)
        world.spin(0.2)
    for name in NAMES:
        assert {unpadded(name, got) for got in heard[name]} == expected[name], name
    values = far.report().values
    assert not [key for key in values if ".drops.m" in key]  # malformed, mismatched


def unpadded(name: str, data: bytes) -> bytes:
    """Return a message with zeros where Fast CDR leaves whatever was in memory, to align what follows."""
    return bytes(STRUCTURES.write(STRUCTURES.read(name, bytes(data))))
