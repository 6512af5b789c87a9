# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One ROS topic to ZeroMQ."""

from __future__ import annotations

import time
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, HistoryPolicy, QoSProfile, ReliabilityPolicy

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.nodes.bag.qos import compatible, offered, to_publish, to_record
from lowlat_nodes.nodes.bridge.bridged import BridgedPublishers
from lowlat_nodes.nodes.bridge.config import Named
from lowlat_nodes.nodes.bridge.forms import COMPRESSED_IMAGE, IMAGE, Outward, type_problem
from lowlat_nodes.nodes.bridge.lane import MS, Lane
from lowlat_nodes.nodes.bridge.offers import Offer
from lowlat_nodes.nodes.diagnostics import Window
from lowlat_nodes.nodes.energy.node_energy import NodeEnergy
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import message_type
from lowlat_nodes.transport.ros.serialised import SerialisedReader
from lowlat_nodes.transport.ros.waiting import NO_EVENTS, OutsideExecutor, SubscriptionThread
from lowlat_nodes.transport.zenoh.publisher import ZenohPublisher
from lowlat_nodes.transport.zmq.publisher import Publisher

_LOOK_S = 1.0
_PUBLISHERS = 1000  # whose numbers are kept in mind


class ToZmq(Lane):
    """Subscribes to a ROS topic once somebody publishes it, and sends what comes.

    A thread of its own takes messages as they come, and thins out, compresses and sends them. What it is not
    ready for waits in the history of the subscription, and where that is full the oldest go.

    Args:
        node: Owns the subscription.
        named: The route.
        total: Measures what all routes forward.
        energy: Counts it.
        bridges: Tells what bridges have published.
        clock: Stamps the receipt.
        publisher: Takes the messages.
        via: The name of this bridge on the wire.
    """

    def __init__(
        self,
        node: Node,
        named: Named,
        total: Window,
        energy: NodeEnergy,
        bridges: BridgedPublishers,
        clock: Clock,
        publisher: Publisher | ZenohPublisher,
        via: str,
    ) -> None:
        super().__init__(named, total, energy)
        self.offer: Offer | None = None
        self._node = node
        self._bridges = bridges
        self._clock = clock
        self._publisher = publisher
        self._via = (via,)
        self._reader = SerialisedReader()
        self._outward: Outward | None = None
        self._type = self._chosen = ""
        self._profiles: list[QoSProfile] = []
        self._request: QoSProfile | None = None
        self._subscription: Any = None
        self._thread: SubscriptionThread | None = None
        self._count = -1
        self._due = 0.0
        self._numbers: dict[bytes, int] = {}
        self._latched = False
        self._writers: set[bytes] = set()

    def look(self) -> None:
        """Look who publishes, for `offer` and `follow`.

        All that is told of them costs time, so it is asked for where their number changes, and once a second.
        """
        self._profiles = []
        count, now = self._node.count_publishers(self.named.ros), time.monotonic()
        if count == self._count and now < self._due:
            return
        self._count, self._due = count, now + _LOOK_S
        endpoints = self._node.get_publishers_info_by_topic(self.named.ros)
        native = self._bridges.follow(endpoints)
        if not self.named.route.forward_bridged:
            endpoints = native
        if not endpoints:
            return
        types = sorted({endpoint.topic_type for endpoint in endpoints})
        chosen = self.named.route.type or (self._type if self._type in types else types[0])
        self.problem = self._type_problem(chosen, types)
        if chosen not in types or type_problem(chosen):
            return
        profiles = [endpoint.qos_profile for endpoint in endpoints if endpoint.topic_type == chosen]
        self.offer = self._offered(chosen, profiles)
        self._forget({bytes(endpoint.endpoint_gid) for endpoint in endpoints})
        self._chosen, self._profiles = chosen, profiles

    def follow(self) -> None:
        """Subscribe as it suits those who publish; what `offer` says must be known to others by now."""
        if not self._profiles:
            return
        try:
            self._subscribe(self._chosen, self._profiles)
        except rclpy_implementation.RCLError as error:  # this process has another type under this name
            self.problem = f"ROS does not let us subscribe to {self.named.ros}: {error}"

    def _offered(self, chosen: str, profiles: list[QoSProfile]) -> Offer:
        offer = to_publish([offered(profile) for profile in profiles])
        reliable = offer.reliability == ReliabilityPolicy.RELIABLE
        latched = offer.durability == DurabilityPolicy.TRANSIENT_LOCAL
        if self.named.route.durability != "auto":
            latched = self.named.route.durability == "transient_local"
        if latched and not self._latched:  # before the first message comes
            self._latched = True
            self._publisher.latch(self.named.zmq)
        crossing = COMPRESSED_IMAGE if chosen == IMAGE and self.named.route.image == "jpeg" else chosen
        return Offer(crossing, self.named.ros, reliable, latched, len(profiles) if latched else 0)

    def _forget(self, publishers: set[bytes]) -> None:
        """Keep no latched message of a publisher that has gone, as the middleware does not."""
        for gid in self._writers - publishers:
            self._publisher.forget(self.named.zmq, gid)
        self._writers = publishers

    def stop(self) -> None:
        """Unsubscribe; a message in hand is finished."""
        self._unsubscribe()
        self.offer = None

    def _unsubscribe(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self._request = None

    def _type_problem(self, chosen: str, types: list[str]) -> str:
        if chosen not in types:
            return f"expected publishers of {chosen} on {self.named.ros}, got {', '.join(types)}"
        if problem := type_problem(chosen):
            return problem
        if len(types) > 1:
            return f"{self.named.ros} has several types ({', '.join(types)}); only {chosen} is forwarded"
        return ""

    def _subscribe(self, chosen: str, profiles: list[QoSProfile]) -> None:
        request = self._wanted(profiles)
        if not compatible(request, profiles):
            self.problem = (
                f"some publishers of {self.named.ros} offer less than routes.{self.named.name} asks for "
                "(reliability, durability): they are not heard; auto takes what all of them offer"
            )
        if chosen == self._type and self._request is not None and _same(request, self._request):
            return
        if chosen != self._type:  # the middleware has one type for a topic at a time
            self._unsubscribe()
            self._type, self._outward = chosen, Outward(chosen, self.named.route)
        self._request = request
        former, self._subscription = (
            self._subscription,
            self._node.create_subscription(
                message_type(chosen),
                self.named.ros,
                _never_called,
                request,
                raw=True,
                callback_group=OutsideExecutor(),
                event_callbacks=NO_EVENTS,
            ),
        )
        if self._thread is None:
            self._thread = SubscriptionThread(
                self._node, self._take, name=f"route {self.named.name}", taker=self._reader
            )
        self._thread.follow(self._subscription)
        if former is not None:
            self._node.destroy_subscription(former)

    def _wanted(self, profiles: list[QoSProfile]) -> QoSProfile:
        route = self.named.route
        wanted = to_record(profiles, 1)
        if route.reliability != "auto":
            wanted.reliability = ReliabilityPolicy[route.reliability.upper()]
        if route.durability != "auto":
            wanted.durability = DurabilityPolicy[route.durability.upper()]
        latched = wanted.durability == DurabilityPolicy.TRANSIENT_LOCAL
        wanted.history = HistoryPolicy.KEEP_LAST
        # Of a latched topic each publisher has something to say.
        wanted.depth = route.depth if latched else route.waiting
        return wanted

    def _take(self, data: cdr.Buffer) -> None:
        now_ns = self._clock.now_ns()
        origin = self._reader.origin()
        self.received += 1
        if origin.number is not None and not self._new(origin.gid, origin.number):
            return
        if self._bridges.is_ours(origin.gid) or (
            not self.named.route.forward_bridged and self._bridges.brought(self.named.ros, origin.gid)
        ):
            self.drops.add("bridged")
            return
        if not self.in_time(now_ns):
            return
        assert self._outward is not None
        self.energy.begin()
        try:
            message = self._outward.read(self.named.zmq, data)
            message.trace.received_ns = now_ns
            limit_ns = int(self.named.route.expire_ms * MS)
            if limit_ns and message.trace.age_ns(now_ns) > limit_ns:
                self.drops.add("stale")
                return
            published_ns = message.trace.published_ns = self._clock.now_ns()
            # A stamp ahead of our clock must not make a message last longer than one of now.
            age_ns = max(message.trace.age_ns(published_ns), 0)
            budget_ns = max(limit_ns - age_ns, 1) if limit_ns else 0
            self._publisher.write(message, budget_ns=budget_ns, via=self._via, origin=origin.gid)
        except (cdr.CdrError, BadImage) as error:
            self.refuse("malformed", error)
        except Exception as error:  # one message must not end the route, whatever is wrong with it
            self.refuse("failed", f"{type(error).__name__}: {error}")
        else:
            self.give(message.trace)

    def _new(self, gid: bytes, number: int) -> bool:
        """Return whether this message comes for the first time, and count those missing before it."""
        last = self._numbers.pop(gid, None)
        self._numbers[gid] = max(number, last or 0)  # the newest at the end
        if len(self._numbers) > _PUBLISHERS:
            del self._numbers[next(iter(self._numbers))]
        if last is None:
            return True
        if number <= last:  # a latched one, after the subscription was renewed
            self.received -= 1
            return False
        if missing := number - last - 1:
            self.drops.add("lost" if self.named.route.keep == "every" else "superseded", missing)
            self.received += missing
        return True


def _same(one: QoSProfile, other: QoSProfile) -> bool:
    return (one.reliability, one.durability, one.depth) == (other.reliability, other.durability, other.depth)


def _never_called(_message: Any) -> None:
    raise AssertionError
