# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A subscription that takes serialised messages and decodes them itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.clock import Clock as RclpyClock
from rclpy.clock import ClockType
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy

from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.endpoint import Deliver
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.trace import Trace
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.clock import RosClock
from lowlat_nodes.transport.ros.forms import reader
from lowlat_nodes.transport.ros.images import IMAGE, image_taker
from lowlat_nodes.transport.ros.images import decode as decode_image
from lowlat_nodes.transport.ros.serialised import SerialisedReader
from lowlat_nodes.transport.ros.topics import (
    Input,
    choose_reliability,
    message_type,
    overridable,
    profile,
)
from lowlat_nodes.transport.ros.waiting import NO_EVENTS, OutsideExecutor, SubscriptionThread

_LOOK_S = 0.25  # how late a publisher that offers another reliability is noticed


class RosSource:
    """Delivers the messages of one topic.

    Messages arrive as bytes and are read by `transport.cdr`: images become views on those bytes, without the
    copy and the per-message objects of rclpy, and messages without a payload of their own become objects with
    their fields. Bytes that are not the message they should be are counted and dropped; of images in a thread
    of their own those that contradict themselves, because what is no Image at all does not get past the
    middleware, which logs it.

    Args:
        node: Owns the subscription.
        name: The topic of the delivered messages: a processor's input name.
        config: What to read. With `reliability: auto` the subscription is renewed when the publishers call
            for another one, as a timer of the node finds out; with any other, a publisher that cannot be
            heard is told of. `qos_overrides` parameters win; for that of the reliability the node must have
            been made with `automatically_declare_parameters_from_overrides`.
        clock: Stamps the receipt; the node's clock unless given.
        own_thread: Whether messages are waited for and delivered in a thread of this source, for the least
            delay; otherwise in the thread that spins the node.

    Attributes:
        received: How many messages came, malformed ones included.
        drops: What was dropped here: `malformed`, or `stale` by `max_age_ms`.
        last_failure: Why the newest malformed message was refused.

    Raises:
        ConfigurationError: If the message type is not installed.
    """

    def __init__(
        self, node: Node, name: str, config: Input, *, clock: Clock | None = None, own_thread: bool = False
    ) -> None:
        self.name = name
        self.config = config
        self.received = 0
        self.drops = Counters()
        self.last_failure = ""
        self._node = node
        self._clock = clock or RosClock(node)
        self._max_age_ns = int(config.max_age_ms * 1_000_000)
        self._message_type = message_type(config.type_name)
        self._decode: Callable[[Any], cdr.Decoded] = reader(config.type_name)
        self._taker = image_taker() if own_thread and config.type_name == IMAGE else None
        if self._taker is not None:
            self._decode = decode_image
        self._deliver: Deliver | None = None
        self._subscription: Any = None
        self._look: Any = None
        self._unheard = 0  # publishers that have been told of
        self._own_thread = own_thread
        self._thread: SubscriptionThread | None = None

    @property
    def topic(self) -> str:
        """Return the full topic name, after namespace and remappings."""
        name: str = self._node.resolve_topic_name(self.config.topic)
        return name

    @property
    def reliability(self) -> str:
        """Return what the subscription asks for now: reliable or best_effort; empty while stopped."""
        return "" if self._subscription is None else self._subscription.qos_profile.reliability.name.lower()

    def start(self, deliver: Deliver) -> None:
        """Subscribe."""
        self._deliver = deliver
        if self._own_thread:
            self._thread = SubscriptionThread(
                self._node,
                self._take,
                name=f"source {self.name}",
                taker=self._taker or SerialisedReader(),
            )
        self._renew(self._wanted_reliability(self._offered()))
        self._look = self._node.create_timer(
            _LOOK_S, self._follow_publishers, clock=RclpyClock(clock_type=ClockType.STEADY_TIME)
        )

    def stop(self) -> None:
        """Unsubscribe; messages that are on their way are forgotten."""
        self._deliver = None
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        if self._look is not None:
            self._node.destroy_timer(self._look)
            self._look = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def _offered(self) -> list[ReliabilityPolicy]:
        return [
            endpoint.qos_profile.reliability
            for endpoint in self._node.get_publishers_info_by_topic(self.config.topic)
        ]

    def _wanted_reliability(self, offered: Sequence[ReliabilityPolicy]) -> ReliabilityPolicy:
        return choose_reliability(self.config.reliability, self.config.type_name, offered)

    def _chooses(self) -> bool:
        """Return whether the reliability is ours to choose."""
        # Only a value that the user gave exists before the subscription is made.
        given = self._node.has_parameter(f"qos_overrides.{self.topic}.subscription.reliability")
        return self.config.reliability == "auto" and not given

    def _subscribe(self, reliability: ReliabilityPolicy) -> Any:
        return self._node.create_subscription(
            self._message_type,
            self.config.topic,
            self._take,
            profile(self.config.depth, reliability),
            event_callbacks=NO_EVENTS,
            qos_overriding_options=overridable(reliability=not self._chooses()),
            raw=True,
            callback_group=OutsideExecutor() if self._own_thread else None,
        )

    def _renew(self, reliability: ReliabilityPolicy) -> None:
        former, self._subscription = self._subscription, self._subscribe(reliability)
        if self._thread is not None:
            self._thread.follow(self._subscription)
        if former is not None:
            self._node.destroy_subscription(former)

    def _follow_publishers(self) -> None:
        """Ask for what the publishers offer, or tell of those that offer too little."""
        if self._subscription is None:
            return
        offered, asked = self._offered(), self._subscription.qos_profile.reliability
        if self._chooses():
            reliability = self._wanted_reliability(offered)
            if reliability != asked:
                self._node.get_logger().info(
                    f"{self.topic}: subscribing {reliability.name.lower()} now, as its publishers offer"
                )
                self._renew(reliability)
            return
        lossy = offered.count(ReliabilityPolicy.BEST_EFFORT)
        unheard = lossy if asked == ReliabilityPolicy.RELIABLE else 0
        if unheard > self._unheard:
            self._node.get_logger().warning(
                f"{self.topic}: {unheard} of {len(offered)} publishers cannot be heard: they offer best "
                "effort and reliable was asked for; set reliability to auto or best_effort"
            )
        self._unheard = unheard

    def _take(self, data: Any) -> None:
        deliver = self._deliver
        if deliver is None:
            return
        now_ns = self._clock.now_ns()
        sequence = self.received
        self.received += 1
        try:
            decoded = self._decode(data)
        except cdr.CdrError as error:
            self.drops.add("malformed")
            self.last_failure = f"{self.name}: {error}"
            return
        trace = Trace(decoded.stamp_ns or 0, now_ns)
        if self._max_age_ns and trace.age_ns(now_ns) > self._max_age_ns:
            self.drops.add("stale")
            return
        deliver(Message(self.name, decoded.payload, trace, sequence, decoded.frame_id))
