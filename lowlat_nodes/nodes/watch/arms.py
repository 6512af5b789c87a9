# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes the newest joint states and commands of each arm, and finds its outline by its description."""

from __future__ import annotations

from typing import Any

import numpy as np
from rclpy.node import Node
from rclpy.qos import ReliabilityPolicy
from std_msgs.msg import String

from lowlat_nodes.control.chain import Chain
from lowlat_nodes.nodes.watch.graph import JOINTS, TRAJECTORY, Graph, Topic
from lowlat_nodes.nodes.watch.seen import Arm
from lowlat_nodes.nodes.watch.sent import sent_ns
from lowlat_nodes.nodes.watch.subscribing import subscribe
from lowlat_nodes.stream.clock import Clock
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.payload import Floats, Joints
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.topics import profile

MOST_ARMS = 8
DESCRIPTION = "robot_description"


class ArmWatch:
    """Subscribes to joint states and commands, best effort and newest only, from `follow` until `rest`.

    Args:
        node: Owns the subscriptions; it must be spun for descriptions, which are latched.
        clock: Steady.
        most: So many topics of joint states; further ones are left out.
    """

    def __init__(self, node: Node, clock: Clock, most: int = MOST_ARMS) -> None:
        self._node = node
        self._clock = clock
        self._most = most
        self._arms: dict[str, _Arm] = {}
        self._descriptions: dict[str, _Description] = {}

    def follow(self, graph: Graph) -> None:
        """Watch the arms that there are now."""
        topics = {topic.name for topic in graph.of_type(JOINTS)[: self._most]}
        for name in self._arms.keys() - topics:
            self._arms.pop(name).close()
        for name in sorted(topics - self._arms.keys()):
            self._arms[name] = _Arm(self._node, name)
        for name, arm in self._arms.items():
            arm.commanded_by(graph.commands(name))
        told = {topic.name for topic in graph.ending_in(DESCRIPTION)[: self._most]}
        for name in self._descriptions.keys() - told:
            self._descriptions.pop(name).close()
        for name in told - self._descriptions.keys():
            self._descriptions[name] = _Description(self._node, name)

    def poll(self) -> None:
        """Take what has come."""
        now_ns = self._clock.now_ns()
        for arm in self._arms.values():
            arm.poll(now_ns)

    def seen(self) -> list[Arm]:
        """Return the arms whose joints are known, by topic."""
        chains = [each.chain for each in self._descriptions.values() if each.chain is not None]
        return [seen for _, arm in sorted(self._arms.items()) if (seen := arm.seen(chains)) is not None]

    def rest(self) -> None:
        """Unsubscribe from everything."""
        while self._arms:
            self._arms.popitem()[1].close()
        while self._descriptions:
            self._descriptions.popitem()[1].close()


class _Arm:
    def __init__(self, node: Node, topic: str) -> None:
        self._node = node
        self._topic = topic
        self._states = subscribe(node, topic, JOINTS)
        self._reader = cdr.JointStateReader()
        self._joints: Joints | None = None
        self._sent_ns = 0
        self._commanded_by: Topic | None = None
        self._commands: PolledSubscription | None = None
        self._command: Any = None

    def commanded_by(self, topic: Topic | None) -> None:
        former = self._commanded_by
        if (
            topic is not None
            and former is not None
            and (topic.name, topic.type_name)
            == (
                former.name,
                former.type_name,
            )
        ):
            return
        if self._commands is not None:
            self._commands.close()
        self._commanded_by, self._commands, self._command = topic, None, None
        if topic is not None:
            self._commands = subscribe(self._node, topic.name, topic.type_name)

    def poll(self, now_ns: int) -> None:
        taken = None if self._states is None else self._states.take()
        if taken is not None:
            try:
                decoded = self._reader.read(taken.data)
            except cdr.CdrError:
                return
            self._joints, self._sent_ns = decoded.payload, sent_ns(taken, now_ns)
        if self._commands is None or self._commanded_by is None:
            return
        taken = self._commands.take()
        if taken is not None:
            try:
                self._command = cdr.decode(self._commanded_by.type_name, taken.data).payload
            except cdr.CdrError:
                return

    def seen(self, chains: list[Chain]) -> Arm | None:
        joints = self._joints
        if joints is None or not joints.position.size:
            return None
        known = [chain for chain in chains if chain.moves(joints.names)]
        chain = max(known, key=lambda each: each.moves(joints.names), default=None)
        outline = (
            None
            if chain is None
            else chain.outline(dict(zip(joints.names, joints.position.tolist(), strict=True)))
        )
        return Arm(self._topic, joints.names, joints.position, self._in_order(joints), outline, self._sent_ns)

    def close(self) -> None:
        for subscription in (self._states, self._commands):
            if subscription is not None:
                subscription.close()

    def _in_order(self, joints: Joints) -> Floats | None:
        """Return the command in the order of the joint states; an array, without names, stays as it is."""
        command = self._command
        if command is None or self._commanded_by is None:
            return None
        if self._commanded_by.type_name != TRAJECTORY:
            return command if command.shape == joints.position.shape else None
        if not len(command.positions):
            return None
        by_name = dict(zip(command.names, command.positions[0].tolist(), strict=True))
        if by_name.keys().isdisjoint(joints.names):
            return None
        return np.array([by_name.get(name, np.nan) for name in joints.names])


class _Description:
    """A latched description; the arm is shown without outline if it cannot be read."""

    def __init__(self, node: Node, topic: str) -> None:
        self.chain: Chain | None = None
        self._node = node
        # Only reliable readers get what was published before they came.
        latched = profile(1, ReliabilityPolicy.RELIABLE, latched=True)
        self._subscription = node.create_subscription(String, topic, self._on_text, latched)

    def close(self) -> None:
        self._node.destroy_subscription(self._subscription)

    def _on_text(self, message: String) -> None:
        try:
            self.chain = Chain.of(message.data)
        except ConfigurationError:
            self.chain = None
