# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Carries ROS topics over ZeroMQ and back."""

from __future__ import annotations

import platform
import secrets
import sys
from collections.abc import Sequence
from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.impl.implementation_singleton import rclpy_implementation

from lowlat_nodes.nodes.base import LifecycleHost
from lowlat_nodes.nodes.bridge.bridged import BridgedPublishers
from lowlat_nodes.nodes.bridge.config import (
    TO_ROS,
    TO_ZMQ,
    BridgeConfig,
    Named,
    check_routes,
    check_services,
)
from lowlat_nodes.nodes.bridge.lane import BY_DESIGN, Lane
from lowlat_nodes.nodes.bridge.offers import OFFERS, Offers, to_record
from lowlat_nodes.nodes.bridge.peer import PeerLink
from lowlat_nodes.nodes.bridge.services import BridgedServices
from lowlat_nodes.nodes.bridge.to_ros import ToRos
from lowlat_nodes.nodes.bridge.to_zmq import ToZmq
from lowlat_nodes.nodes.diagnostics import (
    Level,
    Report,
    Window,
    judge_clock,
    judge_loop,
    judge_peers,
    standard_values,
)
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.heartbeat import RUNNING, STOPPED
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.pulse import Pulse
from lowlat_nodes.transport.ros import RosClock
from lowlat_nodes.transport.zenoh.keys import SCHEME, prefix_of
from lowlat_nodes.transport.zenoh.publisher import ZenohPublisher
from lowlat_nodes.transport.zenoh.session import open_session
from lowlat_nodes.transport.zmq.header import MAX_VIA_NAME
from lowlat_nodes.transport.zmq.options import WAITING_MESSAGES
from lowlat_nodes.transport.zmq.publisher import Publisher

_FOLLOW_S = 0.2  # between two looks at who publishes what
_QUIET_S = 5.0  # between two warnings of messages lost


class BridgeNode(LifecycleHost[BridgeConfig]):
    """Sends what comes on ROS topics to whoever subscribes over ZeroMQ, and publishes what others send."""

    def __init__(self, **ros: Any) -> None:
        self._config: BridgeConfig | None = None
        self._routes: list[Named] = []
        self._bridges: BridgedPublishers | None = None
        self._session: Any = None  # of Zenoh
        self._publisher: Publisher | ZenohPublisher | None = None
        self._outward: list[ToZmq] = []
        self._inward: list[ToRos] = []
        self._peers: list[PeerLink] = []
        self._offered: Offers | None = None
        self._timer: Any = None
        self._calls: BridgedServices | None = None
        self._pulse: Pulse | None = None
        self._window = Window()
        self._told: dict[str, str] = {}
        self._lost = 0
        super().__init__("bridge_node", BridgeConfig, **{"task": "bridge", **ros})

    def setup(self, config: BridgeConfig) -> None:
        """Check the routes, load the keys and listen."""
        self._config = config
        self._routes = [self._named(config, name) for name in config.routes]
        check_routes(self._routes, config.zmq.endpoint, config.peers)
        names = {name: self._service_name(name, item.ros) for name, item in config.services.items()}
        check_services(config.services, names)
        self._calls = BridgedServices(self, config, names)
        for peer in config.peers.values():
            peer.keys()
        # Before anything else, so that others know the marker before they hear of our publishers.
        self._bridges = BridgedPublishers(self)
        self._session = open_session(config.zenoh) if config.over_zenoh else None
        self._publisher = self._make_publisher(config)

    def _make_publisher(self, config: BridgeConfig) -> Publisher | ZenohPublisher | None:
        outward = [each for each in self._routes if each.route.direction == TO_ZMQ]
        outputs = {topic: topic for topic in (OFFERS, *(each.zmq for each in outward))}
        if config.zmq.endpoint.startswith(SCHEME):
            return ZenohPublisher(self._session, prefix_of(config.zmq.endpoint), outputs, latched={OFFERS})
        waiting = max([WAITING_MESSAGES, *(each.route.waiting for each in outward)])
        return config.zmq.publisher(outputs, waiting=waiting, latched={OFFERS})

    def begin(self) -> None:
        """Subscribe on both sides."""
        config, bridges = self._config, self._bridges
        assert config is not None
        assert bridges is not None
        clock = RosClock(self)
        own = f"{self.get_fully_qualified_name()}@{platform.node()}/{secrets.token_hex(4)}"[-MAX_VIA_NAME:]
        self._window, self._told, self._lost, self._offered = Window(), {}, 0, None
        for named in self._routes:
            if named.route.direction == TO_ROS:
                self._inward.append(ToRos(self, named, self._window, self.energy, clock))
            else:
                assert self._publisher is not None
                self._outward.append(
                    ToZmq(self, named, self._window, self.energy, bridges, clock, self._publisher, own)
                )
        for name in dict.fromkeys(lane.named.peer for lane in self._inward):
            lanes = [lane for lane in self._inward if lane.named.peer == name]
            self._peers.append(
                PeerLink(
                    name,
                    config.peers[name],
                    lanes,
                    clock,
                    own=own,
                    is_here=bridges.is_here,
                    session=self._session,
                )
            )
        for lane in self._inward:
            lane.start()
        if self._calls is not None:
            self._calls.start()
        for peer in self._peers:
            peer.start()
        beat = None if self._publisher is None else self._publisher.beat
        self._pulse = Pulse(self.get_fully_qualified_name(), beat)
        self._pulse.begin(lambda error: self.get_logger().error(f"heartbeat: {error}", once=True))
        self._follow()
        self._timer = self.create_timer(
            _FOLLOW_S, self._follow, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )

    def halt(self) -> None:
        """Forward nothing any more."""
        if self._timer is not None:
            self.destroy_timer(self._timer)
            self._timer = None
        pulse, self._pulse = self._pulse, None
        if pulse is not None:
            pulse.end(STOPPED, *self._done())
        if self._calls is not None:
            self._calls.stop()
        for part in (*self._peers, *self._outward, *self._inward):
            part.stop()
        self._peers, self._outward, self._inward = [], [], []

    def teardown(self) -> None:
        """Let go of the address."""
        publisher, self._publisher = self._publisher, None
        bridges, self._bridges = self._bridges, None
        session, self._session = self._session, None
        if publisher is not None:
            publisher.close()
        if session is not None:
            session.close()
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
        for peer in self._peers:
            values |= peer.values()
            for reason, count in peer.dropped().items():
                drops[reason] = drops.get(reason, 0) + count
        if self._calls is not None:
            values |= self._calls.values()
        if self._publisher is not None:
            values |= {f"zmq.{name}": count for name, count in self._publisher.counts.snapshot().items()}
            values["zmq.endpoint"] = self._publisher.endpoint
        figures = self._window.turn(sum(lane.received for lane in lanes))
        failures = [each.last_failure for each in (*lanes, *self._peers) if each.last_failure]
        standard = standard_values(
            self.state, figures=figures, drops=drops, last_failure=failures[-1] if failures else ""
        )
        level, summary = self._judge(lanes, drops, standard)
        report = judge_clock(Report(level, summary, standard | values))
        report = judge_peers(report, {peer.name: peer.peer for peer in self._peers})
        return report if self._pulse is None else judge_loop(report, self._pulse)

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
        if problems:
            name, problem = next(iter(problems.items()))
            return Level.WARN, f"{name}: {problem}"
        if total > former:
            return Level.WARN, f"losing messages: {which}"
        return (Level.OK, "running") if values["rate_in_hz"] else (Level.STALE, "no input")

    def _named(self, config: BridgeConfig, name: str) -> Named:
        route = config.routes[name]
        try:
            topic = self.resolve_topic_name(route.ros)
        except (ValueError, rclpy_implementation.RCLError) as error:
            raise ConfigurationError(
                f"routes.{name}.ros: expected the name of a ROS topic, got {route.ros!r}: {error}"
            ) from error
        peer = config.peer_of(f"routes.{name}", route.peer, "endpoint") if route.direction == TO_ROS else ""
        return Named(name, route, topic, route.zmq or topic.lstrip("/"), peer)

    def _service_name(self, name: str, ros: str) -> str:
        try:
            return str(self.resolve_service_name(ros))
        except (ValueError, rclpy_implementation.RCLError) as error:
            raise ConfigurationError(
                f"services.{name}.ros: expected the name of a ROS service, got {ros!r}: {error}"
            ) from error

    def _done(self) -> tuple[int, int]:
        """Return how many messages have gone on, and the latency of one of the newest."""
        lanes: list[Lane] = [*self._outward, *self._inward]
        return sum(lane.given for lane in lanes), max((lane.latency_ns for lane in lanes), default=0)

    def _follow(self) -> None:
        """Look who publishes what on ROS, tell other bridges, and that this one is alive."""
        if self._pulse is not None:
            self._pulse.turn(RUNNING, *self._done())
        for peer in self._peers:
            peer.follow()
        for lane in self._outward:
            lane.look()
        self._tell()
        for lane in self._outward:
            lane.follow()

    def _tell(self) -> None:
        """Tell other bridges what is new of the topics, before the first message of them comes."""
        if self._publisher is None or self._bridges is None:
            return
        topics = {lane.named.zmq: lane.offer for lane in self._outward if lane.offer is not None}
        offers = Offers(self._bridges.participant, topics)
        if offers != self._offered:
            self._offered = offers
            self._publisher.write(Message(OFFERS, to_record(offers)))


def main() -> int:
    """Run the node."""
    return run(BridgeNode)


if __name__ == "__main__":
    sys.exit(main())
