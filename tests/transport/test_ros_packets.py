# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Packets over a ROS topic: what is not asked for waits, and what has no room is counted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import UInt8MultiArray

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.payload import Packet
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport.ros import Output, RosSink, packets
from lowlat_nodes.transport.ros.packets import TYPE_NAME, RosPackets

pytestmark = pytest.mark.ros

PATIENCE_S = 60.0


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Node]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = rclpy.create_node("packets")
    yield made
    made.destroy_node()
    rclpy.shutdown()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)


def take(source: RosPackets, count: int) -> list[Message]:
    messages: list[Message] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(messages) < count:
        assert time.monotonic() < deadline
        messages += source.poll(count - len(messages), 0.1)
    return messages


def bodies(messages: list[Message]) -> list[bytes]:
    return [bytes(message.payload.data) for message in messages]


def test_packets_come_as_a_sink_sends_them(node: Node) -> None:
    sink = RosSink(node, {"packets": Output(topic="alerts", type_name=TYPE_NAME, depth=10)})
    with closing(RosPackets(node, "alerts", ManualClock(7))) as source:
        until(lambda: node.count_subscribers("alerts"))
        large = bytes(range(256)) * 300
        for body in (b"", b"packet", large):
            sink.write(Message("packets", Packet(body)))
        messages = take(source, 3)
        assert bodies(messages) == [b"", b"packet", large]
        assert (messages[0].topic, [message.sequence for message in messages]) == ("packets", [0, 1, 2])
        assert messages[0].trace == Trace(received_ns=7)
        assert source.lag is None
        assert not source.exhausted
        source.commit()
    sink.close()


def test_what_is_not_asked_for_waits(node: Node) -> None:
    publisher = node.create_publisher(UInt8MultiArray, "alerts", QoSProfile(depth=100))
    with closing(RosPackets(node, "alerts", ManualClock())) as source:
        until(publisher.get_subscription_count)
        for number in range(50):
            publisher.publish(UInt8MultiArray(data=bytes([number])))
        assert source.poll(0, 0.0) == []
        messages = take(source, 5) + take(source, 45)
        assert bodies(messages) == [bytes([number]) for number in range(50)]
        assert not source.drops.total


def test_large_packets_come_a_few_at_once(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "_BATCH_BYTES", 2000)
    publisher = node.create_publisher(UInt8MultiArray, "alerts", QoSProfile(depth=100))
    with closing(RosPackets(node, "alerts", ManualClock())) as source:
        until(publisher.get_subscription_count)
        for number in range(7):
            publisher.publish(UInt8MultiArray(data=bytes([number]) * 1000))
        messages: list[Message] = []
        while len(messages) < 7:
            some = source.poll(7, PATIENCE_S)
            assert 1 <= len(some) <= 2
            messages += some
        assert bodies(messages) == [bytes([number]) * 1000 for number in range(7)]


def test_what_has_no_room_is_counted(node: Node) -> None:
    publisher = node.create_publisher(UInt8MultiArray, "alerts", QoSProfile(depth=100))
    with closing(RosPackets(node, "alerts", ManualClock(), depth=5)) as source:
        until(publisher.get_subscription_count)
        publisher.publish(UInt8MultiArray(data=b"first"))
        take(source, 1)
        for number in range(50):
            publisher.publish(UInt8MultiArray(data=bytes([number])))
        deadline = time.monotonic() + PATIENCE_S
        found: list[bytes] = []
        while bytes([49]) not in found:
            assert time.monotonic() < deadline
            found += bodies(source.poll(100, 0.1))
        assert source.drops["lost"] == 50 - len(found)


def test_nothing_comes_where_nobody_publishes(node: Node) -> None:
    with closing(RosPackets(node, "alerts", ManualClock())) as source:
        start = time.monotonic()
        assert source.poll(10, 0.05) == []
        assert time.monotonic() - start >= 0.05
    assert not list(node.subscriptions)
