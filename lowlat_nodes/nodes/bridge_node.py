# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Carries ROS topics over ZeroMQ and back."""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation

from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.bridge_config import TO_ROS, TO_ZMQ, BridgeConfig, Named, check_routes
from lowlat_nodes.nodes.bridge_lane import BY_DESIGN, Lane
from lowlat_nodes.nodes.bridge_to_ros import ToRos
from lowlat_nodes.nodes.bridge_to_zmq import ToZmq
from lowlat_nodes.nodes.bridged import BridgedPublishers
from lowlat_nodes.nodes.diagnostics import Level, Report, Window, standard_values
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.ros import RosClock
from lowlat_nodes.transport.zmq.publisher import Publisher
from lowlat_nodes.transport.zmq.subscriber import Subscriber

_FOLLOW_S = 0.2  # between two looks at who publishes what
_QUIET_S = 5.0  # between two warnings of messages lost


class BridgeNode(LifecycleHost[BridgeConfig]):
    """Sends what comes on ROS topics to whoever subscribes over ZeroMQ, and publishes what others send."""

    def __init__(self, **ros: Any) -> None:
        self._config: BridgeConfig | None = None
        self._routes: list[Named] = []
        self._bridges: BridgedPublishers | None = None
        self._publisher: Publisher | None = None
        self._writing = threading.Lock()
        self._outward: list[ToZmq] = []
        self._inward: list[ToRos] = []
        self._subscribers: dict[str, Subscriber] = {}
        self._timer: Any = None
        self._window = Window()
        self._told: dict[str, str] = {}
        self._lost = 0
        super().__init__("bridge_node", BridgeConfig, **{"task": "bridge", **ros})

    def setup(self, config: BridgeConfig) -> None:
        """Check the routes, load the keys and listen."""
        self._config = config
        self._routes = [self._named(config, name) for name in config.routes]
        check_routes(self._routes, config.zmq.endpoint, config.peers)
        for peer in config.peers.values():
            peer.keys()
        # Before anything else, so that others know the marker before they hear of our publishers.
        self._bridges = BridgedPublishers(self)
        topics = {each.zmq: each.zmq for each in self._routes if each.route.direction == TO_ZMQ}
        if topics:
            self._publisher = config.zmq.publisher(topics)

    def begin(self) -> None:
        """Subscribe on both sides."""
        config, bridges = self._config, self._bridges
        assert config is not None
        assert bridges is not None
        clock = RosClock(self)
        self._window, self._told, self._lost = Window(), {}, 0
        for named in self._routes:
            if named.route.direction == TO_ZMQ:
                self._outward.append(ToZmq(self, named, self._window, bridges, clock, self._send))
            else:
                self._inward.append(ToRos(self, named, self._window, clock))
        by_peer: dict[str, dict[str, list[ToRos]]] = defaultdict(lambda: defaultdict(list))
        for lane in self._inward:
            lane.start()
            by_peer[lane.named.peer][lane.named.zmq].append(lane)
        for peer, lanes in by_peer.items():
            settings = config.peers[peer]
            subscriber = Subscriber(
                settings.endpoint, {topic: topic for topic in lanes}, clock=clock, keys=settings.keys()
            )
            self._subscribers[peer] = subscriber
            subscriber.start(_Distributor(lanes).deliver)
        self._follow()
        self._timer = self.create_timer(
            _FOLLOW_S, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def halt(self) -> None:
        """Forward nothing any more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        for subscriber in self._subscribers.values():
            subscriber.stop()
        for outward in self._outward:
            outward.stop()
        for inward in self._inward:
            inward.stop()
        self._subscribers, self._outward, self._inward = {}, [], []

    def teardown(self) -> None:
        """Let go of the address."""
        publisher, self._publisher = self._publisher, None
        bridges, self._bridges = self._bridges, None
        if publisher is not None:
            publisher.close()
        if bridges is not None:
            bridges.close()

    def report(self) -> Report:
        """Return rates, ages and drops, in all and by route, and what is wrong with which."""
        lanes: list[Lane] = [*self._outward, *self._inward]
        drops: dict[str, int] = {}
        values: dict[str, str | int | float] = {}
        for lane in lanes:
            values |= lane.values()
            for reason, count in lane.dropped().items():
                drops[reason] = drops.get(reason, 0) + count
        for peer, subscriber in self._subscribers.items():
            for reason, count in subscriber.drops.snapshot().items():
                drops[reason] = drops.get(reason, 0) + count
                values[f"{peer}.drops.{reason}"] = count
        if self._publisher is not None:
            values |= {f"zmq.{name}": count for name, count in self._publisher.counts.snapshot().items()}
        figures = self._window.turn(sum(lane.received for lane in lanes))
        failures = [each.last_failure for each in (*lanes, *self._subscribers.values()) if each.last_failure]
        standard = standard_values(
            self.state, figures=figures, drops=drops, last_failure=failures[-1] if failures else ""
        )
        level, summary = self._judge(lanes, drops, standard)
        return Report(level, summary, standard | values)

    def _judge(
        self, lanes: Sequence[Lane], drops: dict[str, int], values: dict[str, Any]
    ) -> tuple[Level, str]:
        """Return what the figures mean, and warn of what is new since the last report."""
        problems = {lane.named.name: lane.problem for lane in lanes if lane.problem}
        for name, problem in problems.items():
            if self._told.get(name) != problem:
                self.get_logger().warning(f"routes.{name}: {problem}")
        self._told = problems
        lost = {reason: count for reason, count in drops.items() if reason not in BY_DESIGN}
        total = sum(lost.values())
        former, self._lost = self._lost, total
        if total > former:
            which = ", ".join(f"{reason} {count}" for reason, count in lost.items())
            self.get_logger().warning(
                f"{total - former} messages lost (in all: {which}). {values['last_failure']}",
                throttle_duration_sec=_QUIET_S,
            )
            return Level.WARN, f"losing messages: {which}"
        if problems:
            name, problem = next(iter(problems.items()))
            return Level.WARN, f"{name}: {problem}"
        return (Level.OK, "running") if values["rate_in_hz"] else (Level.STALE, "no input")

    def _named(self, config: BridgeConfig, name: str) -> Named:
        route = config.routes[name]
        try:
            topic = self.resolve_topic_name(route.ros)
        except (ValueError, rclpy_implementation.RCLError) as error:
            raise ConfigurationError(
                f"routes.{name}.ros: expected the name of a ROS topic, got {route.ros!r}: {error}"
            ) from error
        peer = config.peer_of(name) if route.direction == TO_ROS else ""
        return Named(name, route, topic, route.zmq or topic.lstrip("/"), peer)

    def _follow(self) -> None:
        for lane in self._outward:
            lane.follow()

    def _send(self, message: Message) -> None:
        assert self._publisher is not None
        with self._writing:
            self._publisher.write(message)


class _Distributor:
    """Hands the messages of one peer to the routes of their topics."""

    def __init__(self, lanes: dict[str, list[ToRos]]) -> None:
        self._lanes = lanes

    def deliver(self, message: Message) -> None:
        for lane in self._lanes.get(message.topic, ()):
            lane.deliver(message)


def main() -> int:
    """Run the node."""
    return run(BridgeNode)


if __name__ == "__main__":
    sys.exit(main())
