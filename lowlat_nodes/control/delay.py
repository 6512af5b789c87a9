# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How long an inference takes, as a windowed quantile that forgets spikes."""

from __future__ import annotations

import math
from collections import deque


class DelayEstimator:
    """A quantile of the newest measured delays.

    A running maximum never forgets the warm-up, and a mean is too early half of the time. A high quantile
    over a short window is late only as often as asked for, and a single spike moves it by one rank.

    Args:
        window: How many delays are remembered.
        quantile: Share of inferences that should be in time, in (0, 1].
    """

    def __init__(self, *, window: int = 40, quantile: float = 0.9) -> None:
        if not 0.0 < quantile <= 1.0 or window < 1:
            raise ValueError(f"expected window >= 1 and 0 < quantile <= 1, got {window} and {quantile}")
        self._delays: deque[int] = deque(maxlen=window)
        self._quantile = quantile
        self._estimate_ns = 0

    @property
    def estimate_ns(self) -> int:
        """Return the delay to plan with, 0 while nothing was measured."""
        return self._estimate_ns

    @property
    def longest_ns(self) -> int:
        """Return the longest of the delays that are remembered, 0 while nothing was measured."""
        return max(self._delays, default=0)

    @property
    def known(self) -> bool:
        """Return whether anything was measured yet."""
        return bool(self._delays)

    def record(self, delay_ns: int) -> None:
        """Take in a measured delay, from the request to the tick that can use the answer."""
        self._delays.append(delay_ns)
        ordered = sorted(self._delays)
        self._estimate_ns = ordered[math.ceil(self._quantile * len(ordered)) - 1]
