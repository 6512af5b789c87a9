# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads the ROS graph as the middleware of one node knows it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from rclpy.node import Node

from lowlat_nodes.nodes.watch.graph import Graph, Topic

_OF_ROS = re.compile(r"/(rosout|parameter_events|clock)\Z|.*/(transition_event|_[^/]*)\Z")
_MOST_TOPICS = 500
_MOST_NODES = 300


class GraphReader:
    """Asks the middleware, which knows without asking others.

    Args:
        node: Who looks; it is no part of what is read.
        diagnostics: The topic on which nodes report; no part of it either.
    """

    def __init__(self, node: Node, diagnostics: str) -> None:
        self._node = node
        self._name = node.get_fully_qualified_name()
        self._diagnostics = node.resolve_topic_name(diagnostics)

    def read(self) -> Graph:
        """Return the graph, of at most 500 topics and 300 nodes."""
        topics: dict[str, Topic] = {}
        for name, types in sorted(self._node.get_topic_names_and_types()):
            if len(topics) < _MOST_TOPICS and name != self._diagnostics and not _OF_ROS.match(name):
                publishers = self._names(self._node.get_publishers_info_by_topic(name))
                subscribers = self._names(self._node.get_subscriptions_info_by_topic(name))
                topics[name] = Topic(name, types[0], publishers, subscribers)
        return Graph(tuple(sorted(self._nodes())[:_MOST_NODES]), topics)

    def reporters(self) -> dict[str, frozenset[bytes]]:
        """Return what tells the publishers of each node that reports from those of its former lives."""
        found: dict[str, set[bytes]] = {}
        for end in self._node.get_publishers_info_by_topic(self._diagnostics):
            found.setdefault(_full(end.node_namespace, end.node_name), set()).add(bytes(end.endpoint_gid))
        return {name: frozenset(gids) for name, gids in found.items() if _is_shown(name)}

    def _nodes(self) -> set[str]:
        names = {_full(space, name) for name, space in self._node.get_node_names_and_namespaces()}
        return set(filter(_is_shown, names - {self._name}))

    def _names(self, ends: Iterable[Any]) -> tuple[str, ...]:
        names = {_full(end.node_namespace, end.node_name) for end in ends}
        return tuple(sorted(filter(_is_shown, names - {self._name})))


def _full(namespace: str, name: str) -> str:
    return f"{namespace.rstrip('/')}/{name}"


def _is_shown(name: str) -> bool:
    """Return whether a node is neither hidden, as those of the ros2 command are, nor yet without a name."""
    return not name.rpartition("/")[2].startswith("_")
