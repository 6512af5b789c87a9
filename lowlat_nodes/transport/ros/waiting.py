# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A thread that waits for the messages of one subscription, or the requests of one service, and nothing else.

An executor rebuilds its wait set from all entities of its nodes for each message, and one slow callback holds
up the rest: 0.4 ms of the 2 ms that a VGA image takes from process to process.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

from rclpy.callback_groups import CallbackGroup
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.service import Service
from rclpy.subscription import Subscription

E = TypeVar("E", Subscription, Service)

_WAIT_NS = 1_000_000_000
_RETRY_S = 0.01
_LOG_PERIOD_S = 5.0


NO_EVENTS = SubscriptionEventCallbacks(use_default_callbacks=False)
"""For subscriptions that are to wake no executor.

Fast DDS wakes who waits for the events of a subscription with each of its messages too, and an executor
builds its wait set anew then.
"""


class OutsideExecutor(CallbackGroup):
    """Keeps executors from taking messages and requests; to leave them asleep takes `NO_EVENTS`, too."""

    def can_execute(self, entity: Any) -> bool:
        """Return whether an executor may run it."""
        return not isinstance(entity, Subscription | Service)

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


class _WaitingThread(ABC, Generic[E]):
    """Takes what comes as it comes, until it is stopped.

    Args:
        node: Owns the entities.
        take: Called in the thread with all that comes; what it raises is logged.
        name: Of the thread.
    """

    def __init__(self, node: Node, take: Callable[[Any], None], *, name: str) -> None:
        self._node = node
        self._take = take
        self._entity: E | None = None
        self._running = True
        with node.context.handle:
            self._wake = rclpy_implementation.GuardCondition(node.context.handle)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def follow(self, entity: E) -> None:
        """Wait for what comes to this one from now on; it must be `OutsideExecutor`."""
        self._entity = entity
        if not self._thread.is_alive():
            self._thread.start()
        self._wake.trigger_guard_condition()

    def stop(self) -> None:
        """End the thread; what it has in hand is finished."""
        self._running = False
        self._wake.trigger_guard_condition()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()

    @abstractmethod
    def _wait_set(self) -> Any:
        """Return a wait set with room for the entity and a guard condition."""

    @abstractmethod
    def _add(self, wait_set: Any, entity: E) -> None:
        """Have the wait set wait for the entity."""

    @abstractmethod
    def _taken(self, entity: E) -> Any | None:
        """Take what came to the entity, whose handle is held; None if nothing did."""

    def _run(self) -> None:
        while self._running and self._node.context.ok():
            entity = self._entity
            assert entity is not None
            try:
                self._wait(entity)
            except rclpy_implementation.InvalidHandle:
                time.sleep(_RETRY_S)  # it was just replaced
            except Exception as error:  # a node must not go deaf because of one message, whatever is wrong
                if self._node.context.ok():
                    self._node.get_logger().error(
                        f"{self._thread.name}: {type(error).__name__}: {error}",
                        throttle_duration_sec=_LOG_PERIOD_S,
                    )
                time.sleep(_RETRY_S)

    def _wait(self, entity: E) -> None:
        with self._node.context.handle, entity.handle:
            wait_set = self._wait_set()
            self._arm(wait_set, entity)
            while self._running and entity is self._entity and self._node.context.ok():
                wait_set.wait(_WAIT_NS)
                taken = self._taken(entity)
                # Before it is handed on, so that whoever gets it need not wait for the interpreter.
                self._arm(wait_set, entity)
                if taken is not None:
                    self._take(taken)
                del taken  # or its memory would be in use while the next one comes

    def _arm(self, wait_set: Any, entity: E) -> None:
        wait_set.clear_entities()
        self._add(wait_set, entity)
        wait_set.add_guard_condition(self._wake)


class SubscriptionThread(_WaitingThread[Subscription]):
    """Takes the messages of a subscription.

    Args:
        node: Owns the subscriptions.
        take: Called in the thread with each message; what it raises is logged. The message is in memory that
            is used again once nothing refers to it.
        name: Of the thread.
        taker: Takes them from the middleware.
    """

    def __init__(self, node: Node, take: Callable[[Any], None], *, name: str, taker: Taker) -> None:
        super().__init__(node, take, name=name)
        self._taker = taker

    def _wait_set(self) -> Any:
        return rclpy_implementation.WaitSet(1, 1, 0, 0, 0, 0, self._node.context.handle)

    def _add(self, wait_set: Any, entity: Subscription) -> None:
        wait_set.add_subscription(entity.handle)

    def _taken(self, entity: Subscription) -> Any | None:
        return self._taker.take(entity)


class ServiceThread(_WaitingThread[Service]):
    """Takes the requests of a service, each as a pair: the request, and what `send_response` needs of it."""

    def _wait_set(self) -> Any:
        return rclpy_implementation.WaitSet(0, 1, 0, 0, 1, 0, self._node.context.handle)

    def _add(self, wait_set: Any, entity: Service) -> None:
        wait_set.add_service(entity.handle)

    def _taken(self, entity: Service) -> Any | None:
        taken = entity.handle.service_take_request(entity.srv_type.Request)
        return None if taken is None or taken[1] is None else taken
