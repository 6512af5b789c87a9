# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Which chunk is in force at which tick: the swap rules.

========================================================= ==================================================
a chunk arrives and ...                                   then
========================================================= ==================================================
it contains NaN, infinity or what no limiter takes        refused, `not_finite`
its request is older than the newest one accepted         refused, `superseded`
its last row is already past                              refused, `expired`
it is due later                                           `scheduled`: waits, and takes over at that tick;
                                                          chunks waiting for the same or a later tick go
it is due later, and as many as may wait come before it   refused, `crowded`
it is due now                                             `swapped`: takes over at this tick
it is late, and lateness is part of the plan (aligned)    `aligned`: takes over at the row that is due now
it is late by at most `max_late_ns`, rule `trim`          `trimmed`: takes over at the row that is due now
it is late otherwise                                      refused, `late`
========================================================= ==================================================

No row is ever played later than it is due. A chunk in force stays until another takes over or it expires;
after that there is no target, and the miss policy has to answer.
"""

from __future__ import annotations

import copy
from enum import Enum

import numpy as np

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.limits import LARGEST
from lowlat_nodes.stream.payload import Floats


class Outcome(str, Enum):
    """What became of a chunk on arrival."""

    SCHEDULED = "scheduled"
    SWAPPED = "swapped"
    ALIGNED = "aligned"
    TRIMMED = "trimmed"
    NOT_FINITE = "not_finite"
    SUPERSEDED = "superseded"
    EXPIRED = "expired"
    LATE = "late"
    CROWDED = "crowded"

    @property
    def accepted(self) -> bool:
        """Return whether the chunk is or will be in force."""
        return self in _ACCEPTED


_ACCEPTED = frozenset({Outcome.SCHEDULED, Outcome.SWAPPED, Outcome.ALIGNED, Outcome.TRIMMED})


class ChunkExecutor:
    """Keeps the chunk in force and those scheduled to follow. Not thread-safe: the tick loop owns it.

    Args:
        trim_late: Whether a late chunk may take over at the row that is due; otherwise it is refused.
        max_late_ns: How late a chunk may be for that; 0 sets no limit but its own end.
        max_scheduled: Bound on waiting chunks.
    """

    def __init__(self, *, trim_late: bool = True, max_late_ns: int = 0, max_scheduled: int = 8) -> None:
        self._trim_late = trim_late
        self._max_late_ns = max_late_ns
        self._max_scheduled = max_scheduled
        self._running: Chunk | None = None
        self._scheduled: list[Chunk] = []
        self._newest_request = -1

    @property
    def running(self) -> Chunk | None:
        """Return the chunk in force, possibly expired."""
        return self._running

    @property
    def last(self) -> Chunk | None:
        """Return the last chunk of the plan, possibly expired."""
        return self._scheduled[-1] if self._scheduled else self._running

    def clear(self) -> None:
        """Forget the plan; chunks for requests made before are refused from now on by their numbers."""
        self._running = None
        self._scheduled.clear()

    def refuse_until(self, request: int) -> None:
        """Refuse every chunk that answers this request or an earlier one."""
        self._newest_request = max(self._newest_request, request)

    def accept(self, chunk: Chunk, now_ns: int, *, aligned: bool = False) -> Outcome:
        """Take in an arriving chunk by the rules above.

        Args:
            chunk: The arriving chunk.
            now_ns: The tick that comes next; a chunk due then takes over in it.
            aligned: Its start lies in the past by intention.
        """
        # NaN compares with nothing; the limiter's bound is on the sum over the joints.
        if not (np.abs(chunk.targets) < LARGEST / chunk.targets.shape[1]).all():
            return Outcome.NOT_FINITE
        if chunk.request <= self._newest_request:
            return Outcome.SUPERSEDED
        if chunk.last_ns < now_ns:
            return Outcome.EXPIRED
        late_ns = now_ns - chunk.start_ns
        outcome = Outcome.SCHEDULED
        if late_ns == 0:
            outcome = Outcome.SWAPPED
        elif late_ns > 0 and aligned:
            outcome = Outcome.ALIGNED
        elif late_ns > 0:
            if not self._trim_late or (self._max_late_ns and late_ns > self._max_late_ns):
                return Outcome.LATE
            outcome = Outcome.TRIMMED
        before = [other for other in self._scheduled if other.start_ns < chunk.start_ns]
        if len(before) == self._max_scheduled:
            return Outcome.CROWDED
        self._newest_request = chunk.request
        self._scheduled = [*before, chunk]
        return outcome

    def advance(self, now_ns: int) -> Chunk | None:
        """Put the chunk in force that is due; return it if that is a swap at this tick."""
        swapped = None
        while self._scheduled and self._scheduled[0].start_ns <= now_ns:
            swapped = self._running = self._scheduled.pop(0)
        return swapped

    def targets(self, from_ns: int, steps: int, step_ns: int) -> Floats:
        """Advance to the first of some coming ticks; return the targets of those that one chunk will serve.

        Args:
            from_ns: The first tick.
            steps: How many ticks.
            step_ns: Time between ticks.

        Returns:
            float64 [n, joints], n <= steps: up to the last row of the chunk, or to the next one's start;
            none where no chunk is in force.
        """
        self.advance(from_ns)
        running = self._running
        if running is None or running.last_ns < from_ns:
            return np.empty((0, 0))
        steps = min(
            steps, 1 + (running.last_ns - from_ns) // step_ns, self.ticks_to_next(from_ns, step_ns) or steps
        )
        return running.sample_all(from_ns + np.arange(steps) * step_ns)

    def planned(self, from_ns: int, rows: int, row_ns: int) -> Floats:
        """Return the targets of coming instants by the plan as it stands, without advancing.

        Args:
            from_ns: The first instant.
            rows: How many.
            row_ns: Time between them.

        Returns:
            float64 [n, joints], n <= rows: up to the end of the plan or a gap in it.
        """
        ahead, parts = self.copy(), []
        while rows > 0:
            part = ahead.targets(from_ns, rows, row_ns)
            if not len(part):
                break
            parts.append(part)
            rows -= len(part)
            from_ns += len(part) * row_ns
        return np.concatenate(parts) if parts else np.empty((0, 0))

    def chunk_at(self, now_ns: int) -> Chunk | None:
        """Return the chunk that will be in force at an instant, unless another arrives."""
        ahead = self.copy()
        ahead.advance(now_ns)
        running = ahead.running
        return running if running is not None and now_ns <= running.last_ns else None

    def ticks_to_next(self, now_ns: int, tick_ns: int) -> int | None:
        """Return after how many ticks the next chunk takes over, None where none waits."""
        return -(-(self._scheduled[0].start_ns - now_ns) // tick_ns) if self._scheduled else None

    def copy(self) -> ChunkExecutor:
        """Return an independent copy of the plan."""
        twin = copy.copy(self)
        twin._scheduled = self._scheduled.copy()
        return twin
