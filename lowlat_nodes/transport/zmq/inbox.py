# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Requests that wait for one worker: bounded for each client and in bytes, clients in turn."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import zmq

from lowlat_nodes.stream.counters import Counters


@dataclass(slots=True, eq=False)
class Arrival:
    """A message from a client.

    Attributes:
        route: Where the answer goes.
        frames: The message, without the route.
        received_ns: CLOCK_MONOTONIC time at which it left the socket.
    """

    route: bytes
    frames: list[zmq.Frame]
    received_ns: int

    @property
    def size(self) -> int:
        """Return its bytes."""
        return sum(map(len, self.frames))

    @property
    def client(self) -> str:
        """Return who sent it: the key that the client has proved to have, or the address of its machine."""
        for name in ("User-Id", "Peer-Address"):
            try:
                found = self.frames[-1].get(name)
            except (zmq.ZMQError, IndexError):
                continue
            if found:
                return str(found)
        return ""


class Inbox:
    """Keeps the newest requests of each client; whatever it drops is counted.

    ========== ==========================================================================
    superseded the client sent more than may wait, and this was its oldest
    crowded    too many clients, or too many bytes of others, wait already
    ========== ==========================================================================

    Args:
        per_client: How many requests of one client may wait.
        clients: How many clients may have requests waiting.
        max_bytes: How many bytes may wait in all.
        counts: Where drops are counted.
    """

    def __init__(self, *, per_client: int, clients: int, max_bytes: int, counts: Counters) -> None:
        self._per_client = per_client
        self._clients = clients
        self._left = max_bytes
        self._counts = counts
        self._waiting: dict[bytes, deque[Arrival]] = {}  # in the order of their turns
        # Reentrant, because a signal handler may close it in the thread that takes.
        self._condition = threading.Condition(threading.RLock())
        self._closed = False

    def put(self, arrival: Arrival) -> None:
        """Let a request wait for its turn."""
        with self._condition:
            mine = self._waiting.get(arrival.route, deque())
            while len(mine) >= self._per_client or (mine and arrival.size > self._left):
                self._left += mine.popleft().size
                self._counts.add("superseded")
            fits = arrival.size <= self._left and (
                arrival.route in self._waiting or len(self._waiting) < self._clients
            )
            if fits:
                mine.append(arrival)
                self._left -= arrival.size
            else:
                self._counts.add("crowded")
            if mine:
                self._waiting[arrival.route] = mine
                self._condition.notify()
            else:
                self._waiting.pop(arrival.route, None)

    def take(self, timeout_s: float | None = None) -> Arrival | None:
        """Wait for a request and take it; None on time-out, or when closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._waiting or self._closed, timeout_s)
            if self._closed or not self._waiting:
                return None
            route = next(iter(self._waiting))
            mine = self._waiting.pop(route)
            arrival = mine.popleft()
            self._left += arrival.size
            if mine:
                self._waiting[route] = mine  # behind the others
            return arrival

    @property
    def closed(self) -> bool:
        """Return whether nothing comes any more."""
        return self._closed

    def close(self) -> None:
        """Wake whoever takes; safe in signal handlers."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()
