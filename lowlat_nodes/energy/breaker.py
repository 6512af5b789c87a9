# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker for one source of calls: who keeps causing cuts is left alone for a while."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from lowlat_nodes.stream.config import setting

WHILE_OPEN = ("refuse", "mean", "warn")
"""What may become of calls while the breaker of their source is open."""


@dataclass(frozen=True)
class BreakerSettings:
    """When a breaker opens, and when it closes again."""

    cuts: int = setting(
        5, low=0, high=64, doc="So many cuts among the last calls of a source open its breaker; 0: none do."
    )
    calls: int = setting(20, low=1, high=64, doc="How many last calls are looked at.")
    cool_down_s: float = setting(
        30.0, unit="s", low=0.1, high=86_400.0, doc="How long it stays open before the source is tried again."
    )
    trials: int = setting(
        3, low=1, high=64, doc="So many calls in a row without a cut close it; a cut opens it again."
    )
    while_open: str = setting(
        "auto",
        choices=("auto", *WHILE_OPEN),
        doc="What becomes of the calls of a source while its breaker is open. refuse: nothing is done. "
        "mean: they may cost the mean of all. warn: as much as others. auto: as suits the node.",
    )


class _State(Enum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Breaker:
    """Counts the cuts of one source.

    ========= ============================================ =============================================
    state     calls                                        becomes
    ========= ============================================ =============================================
    closed    are worked on                                open with the last of `cuts` among `calls`
    open      as `while_open` says                         half open after `cool_down_s`
    half open are worked on, and tried                     closed after `trials` good ones, open with a cut
    ========= ============================================ =============================================

    Args:
        settings: The numbers.
    """

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._state = _State.CLOSED
        self._last = 0  # a bit for each of the last calls, 1 for a cut
        self._mask = (1 << settings.calls) - 1
        self._good = 0
        self._opened_ns = 0

    @property
    def closed(self) -> bool:
        """Return whether the source is as any other."""
        return self._state is _State.CLOSED

    def admits(self, now_ns: int) -> bool:
        """Return whether the next call may be worked on."""
        if self._state is _State.OPEN and now_ns - self._opened_ns >= self._settings.cool_down_s * 1e9:
            self._state, self._good = _State.HALF_OPEN, 0
        return self._state is not _State.OPEN

    def note(self, cut: bool, now_ns: int) -> bool:
        """Take in a call that was worked on, and return whether the breaker opened by it."""
        if self._state is _State.HALF_OPEN:
            self._good += 1
            if cut:
                self._open(now_ns)
            elif self._good >= self._settings.trials:
                self._state, self._last = _State.CLOSED, 0
            return cut
        self._last = (self._last << 1 | cut) & self._mask
        wanted = self._settings.cuts
        if self._state is _State.CLOSED and wanted and self._last.bit_count() >= wanted:
            self._open(now_ns)
            return True
        return False

    def _open(self, now_ns: int) -> None:
        self._state, self._opened_ns = _State.OPEN, now_ns
