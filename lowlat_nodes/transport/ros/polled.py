# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A subscription without an executor: its owner takes the newest message when it wants one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node

from lowlat_nodes.transport.ros.topics import Input, choose_reliability, message_type, overridable, profile
from lowlat_nodes.transport.ros.waiting import NO_EVENTS, OutsideExecutor


@dataclass(frozen=True, slots=True)
class Taken:
    """A serialised message and what the middleware knows about it.

    Attributes:
        data: The bytes.
        sent_ns: When the publisher handed it over, system time; 0 if not known.
    """

    data: bytes
    sent_ns: int


class PolledSubscription:
    """Holds the newest message of a topic until it is taken: for loops with a rhythm of their own.

    The depth-1 history of the middleware is the mailbox; what is overwritten in it costs this process
    nothing.

    Args:
        node: Owns the subscription. It need not be spun; if it is, this subscription is left alone. For
            `qos_overrides` of the reliability it must have been made with
            `automatically_declare_parameters_from_overrides`.
        config: What to read; `max_age_ms` is the caller's business.

    Raises:
        ConfigurationError: If the message type is not installed.
    """

    def __init__(self, node: Node, config: Input) -> None:
        self.received = 0
        self._node = node
        self._config = config
        self._type = message_type(config.type_name)
        topic = node.resolve_topic_name(config.topic)
        # Only a value that the user gave exists before the subscription is made.
        self._chooses = config.reliability == "auto" and not node.has_parameter(
            f"qos_overrides.{topic}.subscription.reliability"
        )
        self._reliability = self._wanted()
        self._subscription = self._subscribe()
        self._deep = self._subscription.qos_profile.depth > 1

    def take(self) -> Taken | None:
        """Return the newest message that was not taken yet, None if there is none; never waits."""
        handle = self._subscription.handle
        newest = None
        with handle:
            while (taken := handle.take_message(self._type, True)) is not None:
                newest = taken
                self.received += 1
                if not self._deep:
                    break
        return None if newest is None else _taken(newest)

    def drain(self) -> list[Taken]:
        """Return what waits in the history, oldest first; never waits."""
        handle, found = self._subscription.handle, []
        with handle:
            for _ in range(self._subscription.qos_profile.depth):  # a fast publisher must not hold us up
                taken = handle.take_message(self._type, True)
                if taken is None:
                    break
                self.received += 1
                found.append(_taken(taken))
        return found

    def follow_publishers(self) -> None:
        """Renew the subscription if `reliability: auto` calls for another one by now; not for a hot path."""
        wanted = self._wanted()
        if self._chooses and wanted != self._reliability:
            self._reliability = wanted
            former, self._subscription = self._subscription, self._subscribe()
            self._node.destroy_subscription(former)

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def _wanted(self) -> Any:
        offered = [
            endpoint.qos_profile.reliability
            for endpoint in self._node.get_publishers_info_by_topic(self._config.topic)
        ]
        return choose_reliability(self._config.reliability, self._config.type_name, offered)

    def _subscribe(self) -> Any:
        return self._node.create_subscription(
            self._type,
            self._config.topic,
            lambda _message: None,
            profile(self._config.depth, self._reliability),
            qos_overriding_options=overridable(reliability=not self._chooses),
            raw=True,
            callback_group=OutsideExecutor(),
            event_callbacks=NO_EVENTS,
        )


def _taken(message: Any) -> Taken:
    data, info = message
    return Taken(data, info.get("source_timestamp", 0) if isinstance(info, dict) else 0)
