# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for the messages of one subscription and nothing else.

An executor rebuilds its wait set from all entities of its nodes for each message, and one slow callback holds
up the rest: 0.4 ms of the 2 ms that a VGA image takes from process to process.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from rclpy.callback_groups import CallbackGroup
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.subscription import Subscription

_WAIT_NS = 1_000_000_000
_RETRY_S = 0.01
_LOG_PERIOD_S = 5.0


class OutsideExecutor(CallbackGroup):
    """Keeps executors from taking messages; the events of the subscription are still theirs."""

    def can_execute(self, entity: Any) -> bool:
        """Return whether an executor may run it."""
        return not isinstance(entity, Subscription)

    def beginning_execution(self, entity: Any) -> bool:
        """Return whether an executor may run it now."""
        return self.can_execute(entity)

    def ending_execution(self, entity: Any) -> None:
        """Note nothing: events are handled one by one anyway."""


class Taker(Protocol):
    """Takes messages from the middleware."""

    def take(self, subscription: Any) -> Any | None:
        """Take the next message of a subscription whose handle is held; None if there is none."""
        ...


class SubscriptionThread:
    """Takes messages as they come, until it is stopped.

    Args:
        node: Owns the subscriptions.
        take: Called in the thread with each message; what it raises is logged. The message is in memory that
            is used again once nothing refers to it.
        name: Of the thread.
        taker: Takes them from the middleware.
    """

    def __init__(
        self,
        node: Node,
        take: Callable[[Any], None],
        *,
        name: str,
        taker: Taker,
    ) -> None:
        self._node = node
        self._take = take
        self._taker = taker
        self._subscription: Subscription | None = None
        self._running = True
        with node.context.handle:
            self._wake = rclpy_implementation.GuardCondition(node.context.handle)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def follow(self, subscription: Subscription) -> None:
        """Wait for the messages of this subscription from now on; it must be `OutsideExecutor`."""
        self._subscription = subscription
        if not self._thread.is_alive():
            self._thread.start()
        self._wake.trigger_guard_condition()

    def stop(self) -> None:
        """End the thread; a message in hand is finished."""
        self._running = False
        self._wake.trigger_guard_condition()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        while self._running and self._node.context.ok():
            subscription = self._subscription
            assert subscription is not None
            try:
                self._wait(subscription)
            except rclpy_implementation.InvalidHandle:
                time.sleep(_RETRY_S)  # the subscription was just replaced
            except Exception as error:  # a node must not go deaf because of one message, whatever is wrong
                if self._node.context.ok():
                    self._node.get_logger().error(
                        f"{self._thread.name}: {type(error).__name__}: {error}",
                        throttle_duration_sec=_LOG_PERIOD_S,
                    )
                time.sleep(_RETRY_S)

    def _wait(self, subscription: Subscription) -> None:
        with self._node.context.handle, subscription.handle:
            wait_set = rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, self._node.context.handle)
            self._arm(wait_set, subscription)
            while self._running and subscription is self._subscription and self._node.context.ok():
                wait_set.wait(_WAIT_NS)
                message = self._taker.take(subscription)
                # Before the message is handed on, so that whoever gets it need not wait for the interpreter.
                self._arm(wait_set, subscription)
                if message is not None:
                    self._take(message)
                del message  # or its memory would be in use while the next one comes

    def _arm(self, wait_set: Any, subscription: Subscription) -> None:
        wait_set.clear_entities()
        wait_set.add_subscription(subscription.handle)
        wait_set.add_guard_condition(self._wake)
