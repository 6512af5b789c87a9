# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Images from DDS to a client that knows no ROS."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from lowlat_nodes.nodes.policy.camera_client import CameraClient, Sight
from lowlat_nodes.nodes.policy.camera_server import CameraServer
from lowlat_nodes.nodes.policy.messages import pack
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.channel import Channel
from lowlat_nodes.transport.ros.topics import Input

pytestmark = pytest.mark.ros

IMAGE = "sensor_msgs/msg/Image"


def frame(value: int, height: int = 4) -> Image:
    return Image(width=5, height=height, step=15, encoding="rgb8", data=bytes([value]) * 15 * height)


def pixels(sight: Sight) -> np.ndarray:
    return np.asarray(cdr.decode(IMAGE, sight.data).payload.data)


@pytest.fixture
def server(robot: Any) -> Iterator[CameraServer]:
    inputs = {name: Input(topic=f"/{name}/image", type_name=IMAGE) for name in ("front", "wrist")}
    made = CameraServer("cameras", "/", inputs)
    yield made
    made.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def look_until(robot: Any, client: CameraClient, publisher: Any, message: Image) -> Sight:
    """Publish an image until the client has seen it."""
    seen: list[Sight] = []

    def saw() -> bool:
        seen.extend(client.look().values())
        return bool(seen)

    robot.publish_until(publisher, message, saw)
    return seen[-1]


def test_each_look_brings_what_is_new(robot: Any, server: CameraServer) -> None:
    client = CameraClient(server.connect())
    assert client.look() == {}
    front = robot.outside.create_publisher(Image, "/front/image", 1)
    wrist = robot.outside.create_publisher(Image, "/wrist/image", 1)
    images: dict[str, Sight] = {}

    def saw_both() -> bool:
        front.publish(frame(7))
        wrist.publish(frame(9, height=3))
        images.update(client.look())
        return len(images) == 2

    robot.spin_until(saw_both)
    assert (pixels(images["front"]) == 7).all()
    assert pixels(images["front"]).shape == (4, 5, 3)
    assert (pixels(images["wrist"]) == 9).all()
    assert pixels(images["wrist"]).shape == (3, 5, 3)
    assert images["front"].sent_ns > 0
    assert client.look() == {}


def test_an_image_lives_as_long_as_it_is_used(robot: Any, server: CameraServer) -> None:
    client = CameraClient(server.connect())
    publisher = robot.outside.create_publisher(Image, "/front/image", 1)
    first = pixels(look_until(robot, client, publisher, frame(1)))
    before = open_descriptors()
    for value in range(2, 12):
        assert not (pixels(look_until(robot, client, publisher, frame(value))) == 1).all()
    assert (first == 1).all()
    assert not first.flags.writeable
    robot.spin_until(lambda: open_descriptors() <= before)


def test_a_camera_that_offers_less_is_followed(robot: Any, server: CameraServer) -> None:
    client = CameraClient(server.connect())
    lossy = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = robot.outside.create_publisher(Image, "/front/image", lossy)
    assert (pixels(look_until(robot, client, publisher, frame(5))) == 5).all()


def test_several_clients_get_each_image(robot: Any, server: CameraServer) -> None:
    clients = [CameraClient(server.connect()) for _ in range(3)]
    publisher = robot.outside.create_publisher(Image, "/front/image", 1)
    for value in (3, 4):
        assert (pixels(look_until(robot, clients[0], publisher, frame(value))) == value).all()
        for client in clients[1:]:
            assert (pixels(client.look()["front"]) == value).all()
            assert client.look() == {}


def test_who_waits_gets_the_next_image_of_the_cameras_of_interest(robot: Any, server: CameraServer) -> None:
    waiting = CameraClient(server.connect(), only=["front"])
    other = CameraClient(server.connect())
    publishers = {
        name: robot.outside.create_publisher(Image, f"/{name}/image", 1) for name in ("front", "wrist")
    }
    look_until(robot, other, publishers["wrist"], frame(9))
    waiting.ask()
    assert waiting.receive() == {}
    images: dict[str, Sight] = {}

    def came() -> bool:
        images.update(waiting.receive() or {})
        return bool(images)

    robot.publish_until(publishers["front"], frame(7), came)
    assert images.keys() == {"front"}
    assert (pixels(images["front"]) == 7).all()


def test_a_client_that_goes_makes_room_for_the_next(robot: Any, server: CameraServer) -> None:
    for value in (1, 2, 3):
        channel = server.connect()
        publisher = robot.outside.create_publisher(Image, "/front/image", 1)
        assert (pixels(look_until(robot, CameraClient(channel), publisher, frame(value))) == value).all()
        robot.outside.destroy_publisher(publisher)
        channel.close()


def test_a_server_that_has_ended_shows_nothing(robot: Any) -> None:
    server = CameraServer("cameras", "/", {})
    client = CameraClient(server.connect())
    assert client.look() == {}
    server.close()
    assert client.look() == {}
    client.ask()
    assert client.receive() is None


def test_an_abrupt_change_is_told_at_once_and_a_slow_one_is_not(robot: Any) -> None:
    inputs = {"front": Input(topic="/front/image", type_name=IMAGE)}
    server = CameraServer("cameras", "/", inputs, change_threshold=40.0)
    alarm, client = server.alarm(), CameraClient(server.connect())
    publisher = robot.outside.create_publisher(Image, "/front/image", 1)
    for value in (100, 110, 120):
        look_until(robot, client, publisher, frame(value))
    assert alarm.receive() is None
    robot.publish_until(publisher, frame(200), lambda: alarm.wait(0.0))
    robot.outside.create_publisher(Image, "/front/image", 1).publish(Image(data=b"no image"))
    server.close()


def test_an_answer_that_came_too_late_is_passed_over() -> None:
    ours, theirs = Channel.pair()
    client = CameraClient(theirs)
    ours.send(pack("images", number=0, images={}))
    ours.send(pack("images", number=1, images={}))
    assert client.look() == {}
    assert theirs.receive() is None
    for end in (ours, theirs):
        end.close()


def test_a_type_that_is_not_installed_is_refused(robot: Any) -> None:
    config = Input(topic="/image", type_name=IMAGE)
    object.__setattr__(config, "type_name", "no_such_msgs/msg/Image")
    with pytest.raises(ConfigurationError, match="no_such_msgs"):
        CameraServer("cameras", "/", {"front": config})
