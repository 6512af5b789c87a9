# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Takes the newest results of alert nodes, with their light curves where the node tells them."""

from __future__ import annotations

import json
from collections import deque

from rclpy.node import Node

from lowlat_nodes.nodes.alert.light_curve_topic import LIGHT_CURVES
from lowlat_nodes.nodes.watch.graph import TEXT, Graph
from lowlat_nodes.nodes.watch.seen import Alert
from lowlat_nodes.nodes.watch.subscribing import subscribe
from lowlat_nodes.transport import cdr
from lowlat_nodes.transport.ros.polled import PolledSubscription

RESULTS = "results"
MOST_ALERTS = 12
_MOST_TOPICS = 4


class AlertWatch:
    """Subscribes to results, best effort and newest only, from `follow` until `rest`; the last ones are kept.

    Args:
        node: Owns the subscriptions.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._topics: dict[str, tuple[str, PolledSubscription]] = {}
        self._alerts: deque[Alert] = deque(maxlen=MOST_ALERTS)

    def follow(self, graph: Graph) -> None:
        """Watch the alert nodes that there are now."""
        told = {topic.publishers[0]: topic.name for topic in graph.ending_in(RESULTS)}
        told |= {topic.publishers[0]: topic.name for topic in graph.ending_in(LIGHT_CURVES)}
        wanted = {topic: node for node, topic in sorted(told.items())[:_MOST_TOPICS]}
        for name in self._topics.keys() - wanted.keys():
            self._topics.pop(name)[1].close()
        for name in wanted.keys() - self._topics.keys():
            subscription = subscribe(self._node, name, TEXT, MOST_ALERTS)
            if subscription is not None:
                self._topics[name] = wanted[name], subscription

    def poll(self) -> None:
        """Take what has come."""
        for node, subscription in self._topics.values():
            for taken in subscription.drain():
                fields = _result(taken.data)
                if fields is not None:
                    self._alerts.appendleft(Alert(node, fields))

    def seen(self) -> list[Alert]:
        """Return the newest alerts, the newest first."""
        return list(self._alerts)

    def rest(self) -> None:
        """Unsubscribe from everything."""
        while self._topics:
            self._topics.popitem()[1][1].close()


def _result(data: bytes) -> dict[str, object] | None:
    """Return a result; None for any other text."""
    try:
        fields = json.loads(cdr.decode(TEXT, data).payload.data)
    except (cdr.CdrError, ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or not {"object_id", "best", "p"} <= fields.keys():
        return None
    return fields
