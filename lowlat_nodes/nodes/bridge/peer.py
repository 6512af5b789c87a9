# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A peer of a bridge: what comes from it, and how it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from lowlat_nodes.nodes.bridge.config import PeerSettings
from lowlat_nodes.nodes.bridge.offers import OFFERS, Offers, from_record
from lowlat_nodes.nodes.bridge.to_ros import ToRos
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.peer import Peer
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.zenoh.keys import SCHEME, prefix_of
from lowlat_nodes.transport.zenoh.subscriber import ZenohSubscriber
from lowlat_nodes.transport.zmq.frames import Received
from lowlat_nodes.transport.zmq.header import MAX_VIA
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES
from lowlat_nodes.transport.zmq.subscriber import Subscriber

Lanes = Mapping[str, Sequence[ToRos]]
"""The routes of each topic on the wire."""


class PeerLink:
    """Subscribes to a peer, and hands its messages to the routes of their topics.

    Routes that keep every message have a connection of their own, without shared memory, which holds a few
    messages only.

    Args:
        name: Of the peer in the configuration.
        settings: Where it is.
        lanes: The routes.
        clock: Stamps the receipt.
        own: The name of this bridge on the wire.
        is_here: Tells whether a participant is a bridge on the same ROS graph.
        session: Of Zenoh, for a peer there.

    Raises:
        ConfigurationError: If the endpoint or the keys cannot be had.
    """

    def __init__(
        self,
        name: str,
        settings: PeerSettings,
        lanes: Sequence[ToRos],
        clock: Clock,
        *,
        own: str,
        is_here: Callable[[bytes], bool],
        session: Any = None,
    ) -> None:
        self.name = name
        self._endpoint = settings.endpoint
        self._own = own
        self._is_here = is_here
        self._offers: Offers | None = None
        self._drops = Counters()
        self._failure = ""
        self._lanes = list(lanes)
        self._links: list[tuple[Subscriber | ZenohSubscriber, Lanes]] = []
        for keep in ("newest", "every"):
            chosen = [lane for lane in lanes if lane.named.route.keep == keep]
            if not chosen:
                continue
            # In this order: what a topic is must be known before its first message.
            topics = dict.fromkeys((OFFERS, *(lane.named.zmq for lane in chosen)))
            by_topic = {topic: [lane for lane in chosen if lane.named.zmq == topic] for topic in topics}
            inputs, admit = {topic: topic for topic in topics}, partial(self._admit, by_topic)
            subscriber: Subscriber | ZenohSubscriber
            if settings.endpoint.startswith(SCHEME):
                prefix = prefix_of(settings.endpoint)
                subscriber = ZenohSubscriber(session, prefix, inputs, clock=clock, admit=admit)
            else:
                subscriber = Subscriber(
                    settings.endpoint,
                    inputs,
                    clock=clock,
                    keys=settings.keys(),
                    waiting=max(WAITING_MESSAGES, *(lane.named.route.waiting for lane in chosen)),
                    admit=admit,
                    shared_memory=keep == "newest",
                )
                self._endpoint = subscriber.endpoint
            self._links.append((subscriber, by_topic))

    def start(self) -> None:
        """Connect.

        Raises:
            ConfigurationError: If the endpoint cannot be connected to, such as a host that has no address.
        """
        for subscriber, by_topic in self._links:
            subscriber.start(partial(self._deliver, by_topic))

    def stop(self) -> None:
        """Disconnect."""
        for subscriber in self._subscribers:
            subscriber.stop()

    def follow(self) -> None:
        """Look anew whether what the peer sends comes from this ROS graph."""
        offers = self._offers
        if offers is None:
            return
        here = self._is_here(offers.participant)
        for lane in self._lanes:
            offer = offers.topics.get(lane.named.zmq)
            if offer is not None:
                lane.told(offer, here=here and offer.ros == lane.named.ros)

    @property
    def peer(self) -> Peer:
        """Return what is known of the process at the other end."""
        return self._subscribers[0].peer

    @property
    def _subscribers(self) -> list[Subscriber | ZenohSubscriber]:
        return [subscriber for subscriber, _ in self._links]

    @property
    def last_failure(self) -> str:
        """Return why the newest message was refused, or what keeps the link from standing."""
        failures = [self._failure, *(subscriber.last_failure for subscriber in self._subscribers)]
        return next(filter(None, failures), "")

    def dropped(self) -> dict[str, int]:
        """Return what came to no route, by reason."""
        drops = self._drops.snapshot()
        for subscriber in self._subscribers:
            for reason, count in subscriber.drops.snapshot().items():
                drops[reason] = drops.get(reason, 0) + count
        return drops

    def values(self) -> dict[str, str | int | float]:
        """Return what the diagnostics say of the peer."""
        links = [subscriber.link for subscriber in self._subscribers]
        told: dict[str, str | int | float] = {
            "endpoint": self._endpoint,
            "broken": sum(link.broken for link in links),
            "in_place": sum(subscriber.in_place for subscriber in self._subscribers),
        }
        if trouble := next((link.trouble for link in links if not link.stands), ""):
            told["trouble"] = trouble
        told |= {f"drops.{reason}": count for reason, count in self.dropped().items()}
        return {f"peer.{self.name}.{key}": value for key, value in told.items()}

    def _admit(self, lanes: Lanes, received: Received) -> bool:
        """Refuse what has passed this bridge, or too many of them."""
        if self._own not in received.via and len(received.via) < MAX_VIA:
            return True
        for lane in lanes[received.message.topic]:
            lane.received += 1
            lane.drops.add("own" if self._own in received.via else "far")
        return False

    def _deliver(self, lanes: Lanes, message: Message) -> None:
        if message.topic == OFFERS:
            try:
                self._offers = from_record(message.payload)
            except WireError as error:
                self._drops.add("malformed")
                self._failure = str(error)
            else:
                self.follow()
            return
        for lane in lanes[message.topic]:
            lane.deliver(message)
