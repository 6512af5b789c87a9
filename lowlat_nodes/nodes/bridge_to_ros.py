# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One topic of a ZeroMQ publisher to ROS."""

from __future__ import annotations

import threading
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

from lowlat_nodes.nodes.bridge_config import Named
from lowlat_nodes.nodes.bridge_forms import Inward, Unbridgeable, type_problem
from lowlat_nodes.nodes.bridge_lane import MS, Lane, Offer
from lowlat_nodes.nodes.diagnostics import Window
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.mailbox import Fifo, Mailbox, Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import message_type
from lowlat_nodes.transport.ros.serialised import publish
from lowlat_nodes.transport.ros.topics import profile

_LATCHED_DEPTH = 100  # enough for the static transforms of a robot


class ToRos(Lane):
    """Publishes on a ROS topic what comes from elsewhere.

    Messages wait for a thread of their own, the newest or up to `depth` of them, so that no topic holds up
    another. The topic is advertised as soon as its type is known: from the route, from the bridge on the
    other side, or from the first message.

    Args:
        node: Owns the publisher.
        named: The route.
        total: Measures what all routes forward.
        clock: Stamps what is dequeued and published.
    """

    def __init__(self, node: Node, named: Named, total: Window, clock: Clock) -> None:
        super().__init__(named, total)
        self._node = node
        self._clock = clock
        self._inward = Inward()
        self._lock = threading.Lock()  # around publisher, type and profile
        self._publisher: Any = None
        self._type = ""
        self._offer: Offer | None = None
        route = named.route
        limit_ns = int(route.expire_ms * MS)
        self._mailbox: Mailbox = (
            Newest(clock, max_age_ns=limit_ns)
            if route.keep == "newest"
            else Fifo(clock, route.depth, max_age_ns=limit_ns)
        )
        self._thread = threading.Thread(target=self._run, name=f"route {named.name}", daemon=True)

    def start(self) -> None:
        """Advertise the topic if its type is known, and begin to publish."""
        if self.named.route.type:
            self._advertise(self.named.route.type)
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing any more, and withdraw the topic."""
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._withdraw()

    def told(self, offer: Offer) -> None:
        """Hear from the bridge on the other side what the topic is there."""
        with self._lock:
            if offer == self._offer:
                return
            self._offer = offer
            self._withdraw()
        self._advertise(self.named.route.type or offer.type)

    def deliver(self, message: Message) -> None:
        """Take a message; it waits for its turn."""
        self.received += 1
        if self.in_time(message.trace.received_ns):
            self._mailbox.put(message)

    def dropped(self) -> dict[str, int]:
        """Return all drops by reason, those of the mailbox too."""
        drops = self.drops.snapshot()
        for reason, count in self._mailbox.drops.snapshot().items():
            drops[reason] = drops.get(reason, 0) + count
        return drops

    def _run(self) -> None:
        while not self._mailbox.closed:
            for message in self._mailbox.get():
                self._publish(message)

    def _publish(self, message: Message) -> None:
        try:
            kind = self._type or self.named.route.type or self._inward.type_of(message.payload)
            publisher = self._publisher or self._advertise(kind)
            if publisher is None:
                self.refuse("mismatched", self.problem)
                return
            publish(publisher, self._inward.write(kind, message))
        except Unbridgeable as error:
            self.refuse("mismatched", error)
        except cdr.CdrError as error:
            self.refuse("malformed", error)
        except Exception as error:  # one message must not end the route, whatever is wrong with it
            self.refuse("failed", f"{type(error).__name__}: {error}")
        else:
            message.trace.published_ns = self._clock.now_ns()
            self.give(message.trace)

    def _advertise(self, kind: str) -> Any:
        """Return a publisher for a type; None, and the problem, where there can be none."""
        with self._lock:
            if self._publisher is None and not self._mailbox.closed:
                self.problem = type_problem(kind)
                if not self.problem:
                    self._type = kind
                    self._publisher = self._node.create_publisher(
                        message_type(kind), self.named.ros, self._profile()
                    )
            return self._publisher

    def _withdraw(self) -> None:
        publisher, self._publisher, self._type = self._publisher, None, ""
        if publisher is not None:
            self._node.destroy_publisher(publisher)

    def _profile(self) -> QoSProfile:
        route, offer = self.named.route, self._offer
        reliable = offer is None or offer.reliable
        latched = offer is not None and offer.latched
        if route.reliability != "auto":
            reliable = route.reliability == "reliable"
        if route.durability != "auto":
            latched = route.durability == "transient_local"
        depth = 1 if route.keep == "newest" else route.depth
        if latched:
            depth = max(depth, offer.depth if offer is not None and offer.depth else _LATCHED_DEPTH)
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return profile(depth, reliability, latched=latched)
