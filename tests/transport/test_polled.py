# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions without an executor, over DDS."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy")

import rclpy
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import Float64MultiArray, String

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.polled import PolledSubscription, Taken
from lowlat_nodes.transport.ros.topics import Input

pytestmark = pytest.mark.ros

FLOATS, STRING = "std_msgs/msg/Float64MultiArray", "std_msgs/msg/String"


@pytest.fixture
def node(ros_domain_id: int) -> Iterator[Node]:
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    made = rclpy.create_node("polling")
    yield made
    made.destroy_node()
    rclpy.shutdown()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60.0
    while not (result := condition()):
        assert time.monotonic() < deadline, "what the test waits for did not happen"
        time.sleep(0.01)
    return result


def value(taken: Taken) -> float:
    return float(cdr.decode(FLOATS, taken.data).payload[0])


def test_the_newest_message_is_taken_once(node: Node) -> None:
    publisher = node.create_publisher(Float64MultiArray, "topic", 1)
    subscription = PolledSubscription(node, Input(topic="topic", type_name=FLOATS))
    assert subscription.take() is None
    until(publisher.get_subscription_count)
    before_ns = time.time_ns()
    for number in range(5):
        publisher.publish(Float64MultiArray(data=[float(number)]))
    newest = until(subscription.take)
    while value(newest) < 4.0:  # the middleware may still have been busy with the last ones
        newest = until(subscription.take)
    assert subscription.take() is None
    assert before_ns <= newest.sent_ns <= time.time_ns()
    assert 1 <= subscription.received <= 5


def test_a_deeper_history_is_counted_and_its_newest_taken(node: Node) -> None:
    publisher = node.create_publisher(String, "topic", 10)
    subscription = PolledSubscription(
        node, Input(topic="topic", type_name=STRING, depth=10, reliability="reliable")
    )
    until(publisher.get_subscription_count)
    for word in ("one", "two", "three"):
        publisher.publish(String(data=word))
    words = []

    def all_there() -> bool:
        taken = subscription.take()
        if taken is not None:
            words.append(cdr.decode(STRING, taken.data).payload.data)
        return subscription.received == 3

    until(all_there)
    assert words[-1] == "three"


def test_it_follows_publishers_that_offer_less(node: Node) -> None:
    subscription = PolledSubscription(node, Input(topic="topic", type_name=STRING))
    lossy = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    publisher = node.create_publisher(String, "topic", lossy)

    def heard() -> Taken | None:
        subscription.follow_publishers()
        publisher.publish(String(data="hello"))
        return subscription.take()

    assert cdr.decode(STRING, until(heard).data).payload.data == "hello"
    assert len(list(node.subscriptions)) == 1
    subscription.close()
    assert not list(node.subscriptions)


def test_a_message_type_that_is_not_installed_is_refused(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Input(topic="topic", type_name=STRING)
    object.__setattr__(config, "type_name", "no_such_msgs/msg/Thing")
    with pytest.raises(ConfigurationError, match="no_such_msgs/msg/Thing"):
        PolledSubscription(node, config)


def test_everything_that_waits_is_drained_up_to_the_depth(node: Node) -> None:
    publisher = node.create_publisher(Float64MultiArray, "topic", 10)
    subscription = PolledSubscription(node, Input(topic="topic", type_name=FLOATS, depth=3))
    assert subscription.drain() == []
    until(publisher.get_subscription_count)
    for number in range(5):
        publisher.publish(Float64MultiArray(data=[float(number)]))
    found: list[Taken] = []
    until(lambda: found.extend(subscription.drain()) or (found and value(found[-1]) == 4.0))
    values = [value(taken) for taken in found]
    assert values == sorted(set(values))
    assert subscription.received == len(found)


def test_a_node_that_is_spun_sleeps_through_its_messages(node: Node) -> None:
    """Fast DDS wakes who waits for the events of a subscription with each message."""
    publisher = node.create_publisher(Float64MultiArray, "topic", 1)
    subscription = PolledSubscription(node, Input(topic="topic", type_name=FLOATS))
    until(publisher.get_subscription_count)
    assert not subscription._subscription.event_handlers
    rclpy.spin_once(node, timeout_sec=0.0)
    publisher.publish(Float64MultiArray(data=[1.0]))
    rclpy.spin_once(node, timeout_sec=0.1)
    assert value(until(subscription.take)) == 1.0
