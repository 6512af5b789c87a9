# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Our definitions of vision_msgs are those of vision_msgs 4.1.1 on the wire."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

FOLDER = Path(__file__).resolve().parents[2] / "interfaces" / "vision_msgs" / "msg"

# REP-2016 type hashes of the definitions that ros-jazzy-vision-msgs 4.1.1 installs.
HASHES = {
    "BoundingBox2D": "008eacbb0cf8f26e83795547bed013eec3675485ef386ec056d80eaaf1c1ce2f",
    "Detection2D": "0d12b69df5c593b3455b7346fac8205437a7d4bcb09b9e0e0b2dde787ded38ea",
    "Detection2DArray": "214274120007f4a683866481336b70310268cfa107aebe9d594a6acf75bda968",
    "LabelInfo": "3d37df4015cdf660cc851c51897f2acd957e1ca6205ba0a99aebffb9406b0783",
    "ObjectHypothesis": "51da43cec11c01957a64d1e05a24acd18aae7745ec30b74348ad5f6d634f7f90",
    "ObjectHypothesisWithPose": "41c12344c0396c48b81df12467c192d99b2a0eb1463c5c37194e4223251c80bc",
    "Point2D": "eab0e83f44ab4de92ceaf76dd7d0e7638f2bdd1d16ffbe16c7a136c48e407247",
    "Pose2D": "b0b5d1d7b4c20dd4fcde3ed1d4b289a919290572007d67a97043814db25d3648",
    "VisionClass": "1e4a11f0fed50b5623cb8ff26ca0e37952a48a9c074d16f804b44e9164c2037a",
}


def test_every_definition_is_checked() -> None:
    assert {path.stem for path in FOLDER.glob("*.msg")} == set(HASHES)


@pytest.mark.parametrize("name", HASHES)
def test_the_definition_has_the_type_hash_of_the_original(name: str) -> None:
    store = get_typestore(Stores.ROS2_JAZZY)
    types = {}
    for path in FOLDER.glob("*.msg"):
        types |= get_types_from_msg(path.read_text(encoding="utf-8"), f"vision_msgs/msg/{path.stem}")
    store.register(types)
    assert store.hash_rihs01(f"vision_msgs/msg/{name}") == f"RIHS01_{HASHES[name]}"


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Any]:
    rclpy = pytest.importorskip("rclpy")
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node("type_hashes", context=context)
    yield node
    node.destroy_node()
    rclpy.shutdown(context=context)


@pytest.mark.ros
@pytest.mark.parametrize("name", HASHES)
def test_what_is_installed_has_it_too(name: str, node: Any) -> None:
    """The hash that Fast DDS announces, of messages built here as well as of those of a ROS installation."""
    messages = pytest.importorskip("vision_msgs.msg")
    node.create_publisher(getattr(messages, name), "topic", 1)
    (publisher,) = node.get_publishers_info_by_topic("topic")
    assert publisher.topic_type == f"vision_msgs/msg/{name}"
    assert publisher.topic_type_hash.value.hex() == HASHES[name]
