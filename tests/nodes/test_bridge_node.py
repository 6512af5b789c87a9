# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The bridge between real ROS topics and real sockets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("rclpy")

from bridge_rig import Rig, rig
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CompressedImage as RosCompressedImage
from sensor_msgs.msg import Image as RosImage
from sensor_msgs.msg import JointState
from std_msgs.msg import String

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import CompressedImage, Image, Joints, Serialised, Text
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

pytestmark = pytest.mark.ros

PIXELS = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)


@pytest.fixture
def world(ros_domain_id: int, tmp_path: Path) -> Iterator[Rig]:
    with rig(tmp_path) as made:
        yield made


@pytest.fixture
def subscribe(world: Rig) -> Iterator[Callable[..., list[Message]]]:
    """Return the list that the messages of a topic on the wire are put into."""
    made: list[Subscriber] = []

    def start(topic: str = "chat", name: str = "there") -> list[Message]:
        heard: list[Message] = []
        made.append(Subscriber(world.endpoint(name), {"it": topic}, clock=SystemClock()))
        made[-1].start(heard.append)
        return heard

    yield start
    for subscriber in made:
        subscriber.stop()


@pytest.fixture
def publisher(world: Rig) -> Iterator[Publisher]:
    """A publisher that is no bridge, at the endpoint `there`."""
    made = Publisher(world.endpoint("there"), {"chat": "chat"})
    yield made
    made.close()


def chat(world: Rig, direction: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge with one route for /chat."""
    route = {"ros": "/chat", "direction": direction, "keep": "every", **more}
    if direction == "to_zmq":
        return {"routes": {"chat": route}, "zmq": {"endpoint": world.endpoint("there")}}
    return {"routes": {"chat": route}, "peers": {"there": {"endpoint": world.endpoint("there")}}}


def both_ways(world: Rig, own: str, other: str, **more: Any) -> dict[str, Any]:
    """Return the parameters of a bridge that carries /chat from and to another one."""
    route = {"ros": "/chat", "keep": "every", **more}
    return {
        "routes": {"out": {**route, "direction": "to_zmq"}, "in": {**route, "direction": "to_ros"}},
        "zmq": {"endpoint": world.endpoint(own)},
        "peers": {"other": {"endpoint": world.endpoint(other)}},
    }


def picture(stamp: int = 5, encoding: str = "rgb8", pixels: Any = PIXELS) -> RosImage:
    message = RosImage(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.header.stamp.sec, message.header.frame_id = stamp, "optical"
    message.step, message.data = pixels[0].nbytes, pixels.tobytes()
    return message


def values(bridge: Any, **expected: Any) -> dict[str, Any]:
    return bridge.report().values


def drops(bridge: Any, route: str = "chat") -> dict[str, int]:
    (lane,) = [each for each in (*bridge._outward, *bridge._inward) if each.named.name == route]
    return lane.dropped()


def test_a_message_crosses_to_another_domain_with_its_stamp(world: Rig, module_ros_domain_id: int) -> None:
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


def test_images_joints_and_texts_are_sent_for_any_reader(world: Rig, subscribe: Any) -> None:
    there = world.node("there")
    world.bridge(
        zmq={"endpoint": world.endpoint("there")},
        routes={
            name: {"ros": f"/{name}", "direction": "to_zmq"} for name in ("camera", "joints", "text", "pose")
        },
    )
    joints = JointState(name=["a", "b"], position=[1.0, float("nan")])
    joints.header.stamp.sec = 7
    for topic, said, payload in (
        ("camera", picture(), Image),
        ("joints", joints, Joints),
        ("text", String(data="grün"), Text),
        ("pose", PoseStamped(), Serialised),
    ):
        heard = subscribe(topic)
        world.publish_until(there.create_publisher(type(said), f"/{topic}", 1), said, lambda: heard)  # noqa: B023
        assert type(heard[0].payload) is payload
        if topic == "camera":
            assert (heard[0].trace.capture_ns, heard[0].frame_id) == (5_000_000_000, "optical")
            assert np.array_equal(heard[0].payload.data, PIXELS)
        if topic == "joints":
            assert heard[0].trace.capture_ns == 7_000_000_000
            assert heard[0].payload.names == ("a", "b")
        if topic == "text":
            assert heard[0].payload.data == "grün"


def test_what_an_image_cannot_say_in_general_travels_as_it_is(world: Rig, subscribe: Any) -> None:
    there = world.node("there")
    heard = subscribe()
    world.bridge(**chat(world, "to_zmq"))
    padded = picture()
    padded.step, padded.data = 200, bytes(48 * 200)
    publisher = there.create_publisher(RosImage, "/chat", 1)
    for said in (padded, picture(encoding="nv21")):
        heard.clear()
        world.publish_until(publisher, said, lambda: heard)
        assert type(heard[-1].payload) is Serialised


def test_images_are_compressed_and_unpacked(world: Rig, module_ros_domain_id: int, subscribe: Any) -> None:
    there, here = world.node("there"), world.node("here", module_ros_domain_id)
    smooth = np.full((48, 64, 3), (200, 100, 50), np.uint8)
    world.bridge(**chat(world, "to_zmq", image="jpeg", jpeg_quality=95))
    world.bridge(
        domain=module_ros_domain_id,
        peers={"there": {"endpoint": world.endpoint("there")}},
        routes={
            "file": {"ros": "/file", "zmq": "chat", "direction": "to_ros"},
            "image": {"ros": "/image", "zmq": "chat", "direction": "to_ros", "type": "sensor_msgs/msg/Image"},
        },
    )
    wire = subscribe()
    files: list[RosCompressedImage] = []
    images: list[RosImage] = []
    here.create_subscription(RosCompressedImage, "/file", files.append, 1)
    here.create_subscription(RosImage, "/image", images.append, 1)
    world.publish_until(
        there.create_publisher(RosImage, "/chat", 1),
        picture(pixels=smooth),
        lambda: wire and files and images,
    )
    assert type(wire[0].payload) is CompressedImage
    assert files[0].format == "rgb8; jpeg compressed bgr8"
    assert files[0].header.stamp.sec == images[0].header.stamp.sec == 5
    unpacked = cv2.imdecode(np.frombuffer(files[0].data, np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(unpacked[:, :, ::-1].astype(int) - smooth).max() < 8
    assert images[0].encoding == "bgr8"
    assert np.array_equal(np.frombuffer(images[0].data, np.uint8), unpacked.reshape(-1))


def test_what_is_no_picture_is_not_compressed_but_counted(world: Rig) -> None:
    there = world.node("there")
    bridge = world.bridge(**chat(world, "to_zmq", image="jpeg"))
    depth = picture(encoding="32FC1", pixels=np.ones((4, 4, 1), np.float32))
    world.publish_until(
        there.create_publisher(RosImage, "/chat", 1), depth, lambda: drops(bridge).get("malformed")
    )
    assert "32FC1" in bridge.report().values["last_failure"]


@pytest.mark.parametrize("apart", [False, True])
def test_two_bridges_back_to_back_multiply_nothing(
    world: Rig, module_ros_domain_id: int, apart: bool
) -> None:
    other = module_ros_domain_id if apart else None
    nodes = [world.node("left"), world.node("right", other)]
    world.bridge("one", **both_ways(world, "one", "two"))
    world.bridge("two", other, **both_ways(world, "two", "one"))
    heard: list[list[str]] = [[], []]
    for node, words in zip(nodes, heard, strict=True):
        node.create_subscription(
            String, "/chat", lambda message, words=words: words.append(message.data), 100
        )
    publishers = [node.create_publisher(String, "/chat", 100) for node in nodes]

    def crossed() -> bool:
        for side, publisher in enumerate(publishers):
            publisher.publish(String(data=f"hello {side}"))
        return all({"hello 0", "hello 1"} <= set(words) for words in heard)

    world.spin_until(crossed)
    for index in range(20):
        for side, publisher in enumerate(publishers):
            publisher.publish(String(data=f"{side} {index}"))
    expected = {f"{side} {index}" for side in (0, 1) for index in range(20)}
    world.spin_until(lambda: all(expected <= set(words) for words in heard))
    world.spin(0.5)
    for words in heard:
        assert Counter(word for word in words if not word.startswith("hello")) == Counter(expected)
