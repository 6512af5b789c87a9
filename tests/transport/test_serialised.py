# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Serialised messages past rclpy: the same bytes, and memory that is not used again too early."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image as RosImage

from lowlat_nodes.stream.payload import Image
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import serialised
from lowlat_nodes.transport.ros.serialised import SerialisedReader, publish
from lowlat_nodes.transport.ros.waiting import OutsideExecutor

pytestmark = pytest.mark.ros

TYPE = "sensor_msgs/msg/Image"


class Link:
    """A publisher and a subscription that nobody spins."""

    def __init__(self) -> None:
        self.node = rclpy.create_node("link")
        self.publisher = self.node.create_publisher(RosImage, "image", QoSProfile(depth=10))
        self.subscription = self.node.create_subscription(
            RosImage, "image", lambda _message: None, 10, raw=True, callback_group=OutsideExecutor()
        )
        self.reader = SerialisedReader()
        while not self.publisher.get_subscription_count():
            time.sleep(0.01)

    def send(self, value: int, rows: int = 100) -> bytes:
        data = cdr.encode(TYPE, 1, "camera", Image(np.full((rows, 100, 3), value, np.uint8), "rgb8"))
        publish(self.publisher, data)
        return data

    def take(self) -> Any:
        deadline = time.monotonic() + 30.0
        while True:
            with self.subscription.handle:
                found = self.reader.take(self.subscription)
            if found is not None:
                return found
            assert time.monotonic() < deadline, "no message came"
            time.sleep(0.005)


@pytest.fixture(params=["librcl", "rclpy"])
def link(
    request: pytest.FixtureRequest, ros_domain_id: int, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Link]:
    if request.param == "rclpy":
        monkeypatch.setattr(serialised, "rcl", lambda: None)
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = Link()
    yield made
    made.node.destroy_node()
    rclpy.shutdown()


def test_bytes_arrive_as_they_were_sent(link: Link) -> None:
    for value, rows in ((1, 100), (2, 300), (3, 1)):  # the middle one is large
        sent = link.send(value, rows)
        assert bytes(link.take()) == sent


def test_nothing_is_taken_where_nothing_came(link: Link) -> None:
    with link.subscription.handle:
        assert link.reader.take(link.subscription) is None


def test_what_the_c_library_refuses_is_left_to_rclpy(link: Link) -> None:
    handle = link.subscription.handle
    invalid = SimpleNamespace(pointer=0, take_message=handle.take_message)
    broken = SimpleNamespace(handle=invalid, msg_type=RosImage)
    with handle:
        assert link.reader.take(broken) is None
    sent = link.send(5)
    deadline = time.monotonic() + 30.0
    found = None
    while found is None and time.monotonic() < deadline:
        with handle:
            found = link.reader.take(broken)
    assert found == sent


def test_an_image_that_is_held_is_not_written_over(link: Link) -> None:
    views = []
    for value in range(8):  # more than are kept for the next message
        link.send(value)
        views.append(cdr.decode(TYPE, link.take()).payload.data)
    gc.collect()
    for value, view in enumerate(views):
        assert (view == value).all()
        assert not view.flags.writeable


def test_a_message_for_rclpy_is_read_by_it(link: Link) -> None:
    seen: list[RosImage] = []
    subscription = link.node.create_subscription(RosImage, "image", seen.append, 10)
    executor = rclpy.executors.SingleThreadedExecutor()
    executor.add_node(link.node)
    deadline = time.monotonic() + 30.0
    while not seen and time.monotonic() < deadline:
        link.send(7)
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    assert set(seen[0].data) == {7}
    link.node.destroy_subscription(subscription)


def test_memory_is_used_again(link: Link) -> None:
    if serialised.rcl() is None:
        pytest.skip("rclpy makes fresh bytes of each")
    places = set()
    for value in range(20):
        link.send(value)
        places.add(np.frombuffer(link.take(), np.uint8).ctypes.data)
    assert len(places) <= 4


def test_the_origin_tells_times_number_and_publisher(link: Link) -> None:
    other = link.node.create_publisher(RosImage, "image", 10)
    origins = []
    for _ in range(3):
        link.send(1)
        link.take()
        origins.append(link.reader.origin())
    assert all(0 < each.sent_ns <= each.received_ns for each in origins)
    numbers = [each.number for each in origins]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]
    own = serialised.publisher_gid(link.publisher)
    deadline = time.monotonic() + 30.0
    known: set[bytes] = set()
    while len(known) < 2 and time.monotonic() < deadline:
        known = {bytes(each.endpoint_gid) for each in link.node.get_publishers_info_by_topic("image")}
    assert known == {own, serialised.publisher_gid(other)}
    assert {each.gid for each in origins} == {own if serialised.rcl() else b""}
