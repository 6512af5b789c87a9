# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The one source of time: integer nanoseconds from an injected clock."""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time of one domain in integer nanoseconds."""

    def now_ns(self) -> int:
        """Return the present time; only differences within one domain mean anything."""
        ...


class SteadyClock:
    """CLOCK_MONOTONIC: never jumps, unrelated to any stamp in a message."""

    def now_ns(self) -> int:
        """Return nanoseconds since an arbitrary fixed point."""
        return time.monotonic_ns()


class SystemClock:
    """CLOCK_REALTIME: the domain of ROS stamps without simulated time; it can jump."""

    def now_ns(self) -> int:
        """Return nanoseconds since the Unix epoch."""
        return time.time_ns()


class ManualClock:
    """A clock that moves only when told: simulation, replay and tests. Thread-safe."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """Return the time last set."""
        with self._lock:
            return self._now_ns

    def set(self, now_ns: int) -> None:
        """Jump to a time; backwards too, because recorded and simulated clocks do."""
        with self._lock:
            self._now_ns = now_ns

    def advance(self, by_ns: int) -> int:
        """Move on and return the new time."""
        with self._lock:
            self._now_ns += by_ns
            return self._now_ns
