# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""One topic of a ZeroMQ publisher to ROS."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

from lowlat_nodes.images.errors import BadImage
from lowlat_nodes.nodes.bridge.config import Named
from lowlat_nodes.nodes.bridge.forms import Inward, Unbridgeable, type_problem
from lowlat_nodes.nodes.bridge.lane import MS, Lane
from lowlat_nodes.nodes.bridge.offers import MOST_LATCHED, Offer
from lowlat_nodes.nodes.diagnostics import Window
from lowlat_nodes.nodes.energy.node_energy import NodeEnergy
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.mailbox import Fifo, Mailbox, Newest
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros import message_type
from lowlat_nodes.transport.ros.serialised import publish
from lowlat_nodes.transport.ros.topics import profile

_LATCHED_DEPTH = 10  # at least, of messages for those who come later


class ToRos(Lane):
    """Publishes on a ROS topic what comes from elsewhere.

    Messages wait for a thread of their own, the newest or up to `depth` of them, so that no topic holds up
    another. The topic is advertised as soon as its type is known: from the route, from the bridge on the
    other side, or from the first message.

    Args:
        node: Owns the publisher.
        named: The route.
        total: Measures what all routes forward.
        energy: Counts it.
        clock: Stamps what is dequeued and published.
    """

    def __init__(self, node: Node, named: Named, total: Window, energy: NodeEnergy, clock: Clock) -> None:
        super().__init__(named, total, energy)
        self._node = node
        self._clock = clock
        self._inward = Inward()
        self._lock = threading.Lock()  # around the publisher and what is known of the topic
        self._publisher: Any = None
        self._type = ""
        self._offer: Offer | None = None
        self._profile = self._wanted()
        self._here = False
        self._kept: deque[bytes] = deque(maxlen=MOST_LATCHED)  # of a latched topic, to be said again
        self._limit_ns = int(named.route.expire_ms * MS)
        self._stopped = False
        latched = named.route.durability == "transient_local"
        self._mailbox = self._room(every=latched or named.route.keep == "every")
        self._thread = threading.Thread(target=self._run, name=f"route {named.name}", daemon=True)

    def start(self) -> None:
        """Advertise the topic if its type is known, and begin to publish."""
        with self._lock:
            if self.named.route.type:
                self._advertise(self.named.route.type)
        self._thread.start()

    def stop(self) -> None:
        """Publish nothing any more, and withdraw the topic."""
        self._stopped = True
        self._mailbox.close()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            self._withdraw()

    def told(self, offer: Offer, *, here: bool) -> None:
        """Hear from the bridge on the other side what the topic is there.

        Args:
            offer: What it is.
            here: Whether that bridge takes it from this same topic of this same ROS graph.
        """
        with self._lock:
            self._here = here
            self._offer = offer
            if self._wanted().durability == DurabilityPolicy.TRANSIENT_LOCAL:
                self._keep_every()
            kind = self.named.route.type or offer.type
            wanted = self._wanted()
            if self._publisher is not None and (
                here or kind != self._type or _exceeds(wanted, self._profile)
            ):
                self._withdraw()
            if here:
                self.problem = (
                    f"{self.named.ros} is bridged to itself: the other bridge takes it from this same ROS "
                    "graph, so that nothing is to be published; name another topic or another domain"
                )
            elif self._publisher is None:
                publisher = self._advertise(kind)
                for data in self._kept if publisher is not None else ():
                    publish(publisher, data)

    def deliver(self, message: Message) -> None:
        """Take a message; it waits for its turn."""
        self.received += 1
        if self._here:
            self.drops.add("here")
        elif self.in_time(message.trace.received_ns):
            self._mailbox.put(message)

    def dropped(self) -> dict[str, int]:
        """Return all drops by reason, those of the mailbox too."""
        drops = self.drops.snapshot()
        for reason, count in self._mailbox.drops.snapshot().items():
            drops[reason] = drops.get(reason, 0) + count
        return drops

    def _run(self) -> None:
        while not self._stopped:
            for message in self._mailbox.get():
                self._forward(message)

    def _room(self, *, every: bool) -> Mailbox:
        if every:
            return Fifo(self._clock, self.named.route.depth, max_age_ns=self._limit_ns)
        return Newest(self._clock, max_age_ns=self._limit_ns)

    def _keep_every(self) -> None:
        """Let messages of a latched topic wait side by side: each of its publishers has something to say."""
        if isinstance(self._mailbox, Newest):
            former, self._mailbox = self._mailbox, self._room(every=True)
            for message in former.get(0.0):
                self._mailbox.put(message)
            former.close()
            for reason, count in former.drops.snapshot().items():
                self.drops.add(reason, count)

    def _forward(self, message: Message) -> None:
        self.energy.begin()
        try:
            with self._lock:
                self._publish(message)
        except Unbridgeable as error:
            self.refuse("mismatched", error)
        except (cdr.CdrError, BadImage) as error:
            self.refuse("malformed", error)
        except Exception as error:  # one message must not end the route, whatever is wrong with it
            self.refuse("failed", f"{type(error).__name__}: {error}")
        else:
            message.trace.published_ns = self._clock.now_ns()
            self.give(message.trace)

    def _publish(self, message: Message) -> None:
        kind = self._type or self.named.route.type or self._inward.type_of(message.payload)
        publisher = self._publisher or self._advertise(kind)
        if publisher is None:
            raise Unbridgeable(self.problem)
        data = self._inward.write(kind, message)
        publish(publisher, data)
        if self._profile.durability == DurabilityPolicy.TRANSIENT_LOCAL:
            self._kept.append(data)

    def _advertise(self, kind: str) -> Any:
        """Return a publisher for a type; None, and the problem, where there can be none."""
        self.problem = type_problem(kind)
        if not self.problem and not self._stopped:
            if kind != self._type:
                self._kept.clear()
            self._type, self._profile = kind, self._wanted()
            try:
                self._publisher = self._node.create_publisher(
                    message_type(kind), self.named.ros, self._profile
                )
            except rclpy_implementation.RCLError as error:  # it is tried again
                self.problem = f"ROS does not let us publish {kind} on {self.named.ros}: {error}"
        return self._publisher

    def _withdraw(self) -> None:
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            self._node.destroy_publisher(publisher)

    def _wanted(self) -> QoSProfile:
        """Return the profile to publish with, by what is known now."""
        route, offer = self.named.route, self._offer
        reliable = offer is None or offer.reliable
        latched = offer is not None and offer.latched
        if route.reliability != "auto":
            reliable = route.reliability == "reliable"
        if route.durability != "auto":
            latched = route.durability == "transient_local"
        depth = route.waiting
        if latched:
            depth = max(depth, _LATCHED_DEPTH, offer.depth if offer is not None else 0)
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        return profile(depth, reliability, latched=latched)


def _exceeds(wanted: QoSProfile, present: QoSProfile) -> bool:
    """Return whether a publisher with the present profile is not good enough, or promises too much."""
    return (wanted.reliability, wanted.durability) != (present.reliability, present.durability) or (
        wanted.depth > present.depth
    )
