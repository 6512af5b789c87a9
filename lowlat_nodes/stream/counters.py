# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Named event counts: drops by reason, failures by kind."""

from __future__ import annotations

import threading


class Counters:
    """Thread-safe counts by name, in order of first use.

    Names come from our own code, never from outside, so their number is bounded.
    """

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._lock = threading.Lock()

    def add(self, name: str, by: int = 1) -> None:
        """Count an event."""
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + by

    def clear(self) -> None:
        """Forget all counts."""
        with self._lock:
            self._counts.clear()

    def __getitem__(self, name: str) -> int:
        """Return a count, 0 for what never happened."""
        with self._lock:
            return self._counts.get(name, 0)

    def snapshot(self) -> dict[str, int]:
        """Return a copy of all counts."""
        with self._lock:
            return dict(self._counts)

    @property
    def total(self) -> int:
        """Return the sum over all names."""
        with self._lock:
            return sum(self._counts.values())
