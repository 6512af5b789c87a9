# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Latency histogram of fixed memory, quantiles exact to 1 %."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import numpy as np

_SUB_BITS = 7
_MAX_BITS = 50  # about 13 days in nanoseconds
_SLOTS = (_MAX_BITS - _SUB_BITS + 1) << _SUB_BITS


class Histogram:
    """Counts of non-negative integers in log-linear buckets.

    Each power of two is cut into 128 equal buckets (the layout of HdrHistogram, Tene 2012), and a quantile is
    the middle of its bucket, so its relative error is at most 1/256. Values below 256 are exact. Memory is
    45 kB however many values are recorded; recording costs well below a microsecond. Not thread-safe: one
    writer records, and readers take `copy()` of it under their own lock.

    Values beyond 2**50 (13 days in ns) count as 2**50 - 1; negative values count as 0 and in `negative`,
    because a negative latency says that two clocks disagree and must not vanish.
    """

    __slots__ = ("_slots", "count", "maximum", "minimum", "negative", "total")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        self._slots = array("q", bytes(8 * _SLOTS))
        self.count = 0
        self.total = 0
        self.minimum = 0
        self.maximum = 0
        self.negative = 0

    def record(self, value: int) -> None:
        """Count one value."""
        if value < 0:
            self.negative += 1
            value = 0
        shift = value.bit_length() - _SUB_BITS - 1
        if shift <= 0:
            index = value
        elif value >> _MAX_BITS:
            index = _SLOTS - 1
        else:
            index = (shift << _SUB_BITS) + (value >> shift)
        self._slots[index] += 1
        if value > self.maximum:
            self.maximum = value
        if value < self.minimum or self.count == 0:
            self.minimum = value
        self.count += 1
        self.total += value

    def copy(self) -> Histogram:
        """Return an independent copy."""
        twin = Histogram.__new__(Histogram)
        twin._slots = array("q", self._slots)
        twin.count, twin.total, twin.negative = self.count, self.total, self.negative
        twin.minimum, twin.maximum = self.minimum, self.maximum
        return twin

    @property
    def mean(self) -> float:
        """Return the exact mean, 0 when empty."""
        return self.total / self.count if self.count else 0.0

    def quantile(self, q: float) -> int:
        """Return the smallest recorded value that at least a share `q` of all values do not exceed.

        Args:
            q: Share in [0, 1]; 0 gives the exact minimum and 1 the exact maximum.

        Returns:
            The value, within 0.4 %, or 0 when empty.

        Raises:
            ValueError: If `q` lies outside [0, 1].
        """
        return self.quantiles((q,))[0]

    def quantiles(self, shares: Iterable[float]) -> list[int]:
        """Return several quantiles in one pass; `shares` must not decrease."""
        wanted = list(shares)
        if any(not 0.0 <= q <= 1.0 for q in wanted) or wanted != sorted(wanted):
            raise ValueError(f"expected increasing shares between 0 and 1, got {wanted}")
        if self.count == 0:
            return [0] * len(wanted)
        ranks = [max(1, -int(-q * self.count // 1)) for q in wanted]
        # NumPy takes 20 us for this; a loop over the slots takes longer than a tick at 500 Hz can spare.
        indices = np.searchsorted(np.cumsum(np.frombuffer(self._slots, np.int64)), ranks)
        found = [min(max(_middle(int(index)), self.minimum), self.maximum) for index in indices]
        if wanted and wanted[0] == 0.0:
            found[0] = self.minimum
        if wanted and wanted[-1] == 1.0:
            found[-1] = self.maximum
        return found

    def at_most(self, limits: Iterable[int]) -> list[int]:
        """Return how many values do not exceed each limit; values within 0.8 % above one may count, too.

        Args:
            limits: From 0 to 2**50 - 1.
        """
        counts = np.cumsum(np.frombuffer(self._slots, np.int64))
        return [int(counts[_index(limit)]) for limit in limits]


def _index(value: int) -> int:
    """Return the number of the bucket of a value from 0 to 2**50 - 1."""
    shift = max(value.bit_length() - _SUB_BITS - 1, 0)
    return (shift << _SUB_BITS) + (value >> shift)


def _middle(index: int) -> int:
    """Return the middle value of a bucket."""
    shift = (index >> _SUB_BITS) - 1
    if shift <= 0:
        return index
    return ((index - (shift << _SUB_BITS)) << shift) + (1 << shift >> 1)
