# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which publishers of a ROS topic are bridges, so that no bridge sends back what another has brought."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.topic_endpoint_info import TopicEndpointInfo

from lowlat_nodes.transport.ros import message_type
from lowlat_nodes.transport.ros.serialised import publisher_gid

MARKER = "/lowlat_bridges"
"""Every bridge advertises this topic; nothing is ever published on it."""

_MARKER_TYPE = "std_msgs/msg/Empty"
_PARTICIPANT_BYTES = 12  # of a gid of DDS: what all endpoints of one process have in common (GuidPrefix_t)
_UNKNOWN_NODE = "_NODE_NAME_UNKNOWN_"  # what rmw says until the node has introduced itself
_PATIENCE_S = 0.5  # the graph may hear of a publisher a moment after its first message has come
_POLL_S = 0.005
_FRESH_S = 0.1  # each route looks a few times a second, and all of them see the same bridges
_PUBLISHERS = 10_000  # to keep in mind

_Identity = tuple[str, bytes]  # full name of a node, participant


class BridgedPublishers:
    """Knows the bridges of the ROS graph by the topic that each of them advertises.

    A bridge is told by the name of its node, and by its DDS participant until its name is known. All that
    its node publishes counts, diagnostics included. Methods may be called from any thread.

    Args:
        node: A bridge itself, which advertises the topic.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._marker = node.create_publisher(message_type(_MARKER_TYPE), MARKER, QoSProfile(depth=1))
        own = publisher_gid(self._marker)
        self._own: _Identity = (node.get_fully_qualified_name(), own[:_PARTICIPANT_BYTES])
        self._known: dict[bytes, bool] = {}
        self._present = {self._own}
        self._looked = 0.0

    def close(self) -> None:
        """Withdraw the topic."""
        self._node.destroy_publisher(self._marker)

    def others(self) -> list[str]:
        """Return the full names of the other bridges on this ROS graph."""
        return sorted(name for name, participant in self._bridges() if not self._is_own(name, participant))

    def follow(self, endpoints: Sequence[TopicEndpointInfo]) -> list[TopicEndpointInfo]:
        """Look anew at the publishers of a topic, and return those that are no bridges."""
        bridges = self._bridges()
        if len(self._known) > _PUBLISHERS:  # they come and go
            self._known.clear()
        native = []
        for endpoint in endpoints:
            bridge = self._among(endpoint, bridges)
            self._known[bytes(endpoint.endpoint_gid)] = bridge
            if not bridge:
                native.append(endpoint)
        return native

    def brought(self, topic: str, gid: bytes) -> bool:
        """Return whether a bridge published a message; waits half a second for an unknown publisher.

        Args:
            topic: Full name.
            gid: Of the publisher; empty where the middleware does not tell: then one bridge among the
                publishers that is alone with others like it decides.
        """
        if not gid:
            endpoints = self._node.get_publishers_info_by_topic(topic)
            bridges = self._bridges()
            return bool(endpoints) and all(self._among(endpoint, bridges) for endpoint in endpoints)
        deadline = time.monotonic() + _PATIENCE_S
        while (known := self._known.get(gid)) is None:
            self._looked = 0.0
            self.follow(self._node.get_publishers_info_by_topic(topic))
            if gid not in self._known:
                if time.monotonic() > deadline:
                    return False  # it left at once, and bridges do not
                time.sleep(_POLL_S)
        return known

    @property
    def participant(self) -> bytes:
        """Return what tells this process on the ROS graph; empty where the middleware does not tell."""
        return self._own[1]

    def is_here(self, participant: bytes) -> bool:
        """Return whether a participant is a bridge on this ROS graph."""
        return bool(participant) and any(participant == known for _, known in self._bridges())

    def is_ours(self, gid: bytes) -> bool:
        """Return whether this process published a message."""
        return bool(gid) and gid[:_PARTICIPANT_BYTES] == self._own[1]

    def _bridges(self) -> set[_Identity]:
        """Return the bridges that are there, as of a moment ago."""
        now = time.monotonic()
        if now > self._looked + _FRESH_S:
            endpoints = self._node.get_publishers_info_by_topic(MARKER)
            self._present = {self._own, *map(_identity, endpoints)}
            self._looked = now
        return self._present

    def _among(self, endpoint: Any, bridges: set[_Identity]) -> bool:
        name, participant = _identity(endpoint)
        return any(name == known if name and known else participant == where for known, where in bridges)

    def _is_own(self, name: str, participant: bytes) -> bool:
        return name == self._own[0] and participant == (self._own[1] or participant)


def _identity(endpoint: Any) -> _Identity:
    name = endpoint.node_name
    namespace = endpoint.node_namespace.rstrip("/")
    full = "" if name == _UNKNOWN_NODE else f"{namespace}/{name}"
    return full, bytes(endpoint.endpoint_gid)[:_PARTICIPANT_BYTES]
