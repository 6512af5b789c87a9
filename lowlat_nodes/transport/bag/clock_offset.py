# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How far the clock of a publisher is from that of the recorder, as the two stamps of its messages tell."""

from __future__ import annotations

import statistics
from array import array
from typing import Any

_SAMPLES = 1 << 14


class ClockOffset:
    """Receipt less publication, over the messages of one publisher.

    A message cannot be received before it was published, so the least difference is the nearest to what the
    clocks differ by: it is too large by the fastest way that a message took (the idea of clock filters, as in
    NTP, RFC 5905). The median says what a message typically took on top.

    Memory is fixed: of many messages every second, fourth, eighth... one is kept for the median.

    Attributes:
        count: Messages with both stamps.
        least_ns: The least difference, 0 without messages.
    """

    def __init__(self) -> None:
        self.count = 0
        self.least_ns = 0
        self._kept = array("q")
        self._every = 1

    def add(self, received_ns: int, published_ns: int) -> None:
        """Take the stamps of a message; one without a stamp of its publisher (0) says nothing."""
        if not published_ns:
            return
        difference_ns = received_ns - published_ns
        self.least_ns = min(self.least_ns, difference_ns) if self.count else difference_ns
        if self.count % self._every == 0:
            self._kept.append(difference_ns)
            if len(self._kept) == _SAMPLES:
                self._kept = self._kept[::2]
                self._every *= 2
        self.count += 1

    @property
    def median_ns(self) -> int:
        """Return the median difference, 0 without messages."""
        return round(statistics.median(self._kept)) if self._kept else 0

    def as_json(self) -> dict[str, Any]:
        """Return the figures as commands print them."""
        if not self.count:
            return {"messages": 0, "least_ms": None, "median_ms": None}
        return {
            "messages": self.count,
            "least_ms": round(self.least_ns / 1e6, 3),
            "median_ms": round(self.median_ns / 1e6, 3),
        }
