# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The newest snapshot, for any number of browsers of any speed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Feed:
    """Holds one snapshot, which the next one replaces: who is slow misses some, and nothing is queued.

    Args:
        linger_s: How long after the last reader it counts as read: a page that is loaded anew is away for
            a moment.
    """

    def __init__(self, linger_s: float = 5.0) -> None:
        self._linger_s = linger_s
        self._newer = threading.Condition()
        self._sequence = 0
        self._data = b""
        self._readers = 0
        self._left_s = float("-inf")
        self._open = True

    def publish(self, data: bytes) -> None:
        """Replace the snapshot and wake who waits for it."""
        with self._newer:
            self._sequence += 1
            self._data = data
            self._newer.notify_all()

    def next(self, after: int, timeout_s: float) -> tuple[int, bytes] | None:
        """Return the newest snapshot and its number once there is one after a number.

        Returns:
            None if that takes long, and once the feed is closed.
        """
        with self._newer:
            self._newer.wait_for(lambda: self._sequence > after or not self._open, timeout_s)
            return (self._sequence, self._data) if self._sequence > after and self._open else None

    @property
    def is_open(self) -> bool:
        """Return whether there will be more."""
        return self._open

    @property
    def watched(self) -> bool:
        """Return whether anybody reads, or did a moment ago."""
        with self._newer:
            return self._readers > 0 or time.monotonic() - self._left_s < self._linger_s

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Count as a reader inside the `with` block."""
        with self._newer:
            self._readers += 1
        try:
            yield
        finally:
            with self._newer:
                self._readers -= 1
                self._left_s = time.monotonic()

    def close(self) -> None:
        """Let whoever waits go."""
        with self._newer:
            self._open = False
            self._newer.notify_all()
