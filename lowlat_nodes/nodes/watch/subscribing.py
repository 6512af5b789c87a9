# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Subscriptions of who only looks on: best effort, so that no publisher waits for them."""

from __future__ import annotations

from rclpy.node import Node

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.ros.polled import PolledSubscription
from lowlat_nodes.transport.ros.topics import Input


def subscribe(node: Node, topic: str, type_name: str, depth: int = 1) -> PolledSubscription | None:
    """Subscribe to a topic; None where its type is not installed here."""
    try:
        return PolledSubscription(
            node, Input(topic=topic, type_name=type_name, reliability="best_effort", depth=depth)
        )
    except ConfigurationError:
        return None
