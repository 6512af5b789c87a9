# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The heart of a processing loop: beats in the loop itself, and tells others how long ago it went round."""

from __future__ import annotations

from collections.abc import Callable

from lowlat_nodes.stream.clock import Clock, SteadyClock
from lowlat_nodes.stream.heartbeat import MISSED, Beat, Heartbeat

PERIOD_S = 0.25
"""Between two heartbeats of a loop that has nothing else to say."""

_LONGEST_PERIOD_NS = 10_000_000_000
_FORGET = 0.99  # of the slowest turn, each beat: a minute from 10 s down to 1 s


class Pulse:
    """Beats once a period as long as its loop goes round.

    The loop calls `turn` each time round, `wait_s` when it has nothing to do, and `end` when it is over. A
    loop whose turns take longer than the period announces the time of its slowest turn lately (10 s at most)
    instead, so that work that always takes long is not taken for a loop that hangs.

    Everybody else may read `age_ns` and `stuck`, which need no heartbeat to arrive anywhere.

    Args:
        name: Of the loop, as its heartbeats say it.
        beat: Where they go, if anywhere.
        period_s: Time between two of them.
        clock: Steady; never that of a simulation.
    """

    def __init__(
        self,
        name: str,
        beat: Beat | None = None,
        *,
        period_s: float = PERIOD_S,
        clock: Clock | None = None,
    ) -> None:
        self._name = name
        self._beat = beat
        self._now_ns = (clock or SteadyClock()).now_ns
        self._period_ns = self._announced_ns = round(period_s * 1e9)
        self._failed: Callable[[Exception], None] = _ignore
        self._turned_ns = 0  # 0: not in the loop
        self._due_ns = 0

    def begin(self, failed: Callable[[Exception], None]) -> None:
        """Note that the loop begins.

        Args:
            failed: Called in the loop with what a beat raises; the loop goes on.
        """
        self._failed = failed
        self._turned_ns = self._due_ns = self._now_ns()

    def turn(self, state: str, sequence: int, latency_ns: int) -> None:
        """Note a turn of the loop, and beat if it is time to.

        Args:
            state: What the loop does next.
            sequence: How many messages it has finished.
            latency_ns: Receipt to publication of the newest result, 0 without one.
        """
        now_ns = self._now_ns()
        took_ns = now_ns - self._turned_ns
        self._turned_ns = now_ns
        if took_ns > self._announced_ns:
            self._announced_ns = min(took_ns, _LONGEST_PERIOD_NS)
        if now_ns >= self._due_ns:
            self._due_ns = now_ns + self._period_ns
            self._announced_ns = max(self._period_ns, round(self._announced_ns * _FORGET))
            self._send(state, sequence, latency_ns, self._announced_ns)

    def end(self, state: str, sequence: int, latency_ns: int) -> None:
        """Beat for the last time, so that nobody waits for another one."""
        self._turned_ns = 0
        self._send(state, sequence, latency_ns, 0)

    def wait_s(self, longest_s: float) -> float:
        """Return how long the loop may wait for work without missing a beat."""
        return max(0.0, min(longest_s, (self._due_ns - self._now_ns()) * 1e-9))

    def age_ns(self) -> int:
        """Return the time since the last turn, 0 outside of the loop; for any thread."""
        turned_ns = self._turned_ns
        return max(0, self._now_ns() - turned_ns) if turned_ns else 0

    @property
    def stuck(self) -> bool:
        """Whether the loop has not gone round for longer than it may take; for any thread."""
        return self.age_ns() > MISSED * self._announced_ns

    def _send(self, state: str, sequence: int, latency_ns: int, period_ns: int) -> None:
        if self._beat is None:
            return
        try:
            self._beat(Heartbeat(self._name, state, sequence, max(0, latency_ns), period_ns))
        except Exception as error:  # whoever waits for the heartbeat will miss it
            self._failed(error)


def _ignore(_error: Exception) -> None:
    """Do nothing: the loop has not begun."""
