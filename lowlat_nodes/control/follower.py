# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a plan to commands, tick by tick: the chunk in force, else the miss policy, within the limits."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.limits import Limiter
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.stream.payload import Floats


class Served(str, Enum):
    """Who answered a tick."""

    CHUNK = "chunk"
    WAITING = "waiting"
    MISSED = "missed"
    STALE = "stale"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Tick:
    """The answer of one tick.

    Attributes:
        position: float64 [joints], the command.
        velocity: float64 [joints], its velocity.
        served: Who answered.
        swapped: The chunk that took over at this tick, if one did.
    """

    position: Floats
    velocity: Floats
    served: Served
    swapped: Chunk | None


class PlanFollower:
    """Follows the plan of an executor, and knows where that will lead.

    Args:
        executor: Holds the plan.
        miss: Leads out of motion where the plan ends.
        limiter: The last word on every command.
        tick_ns: Time between ticks.
        waits: Whether the robot stands by design where the plan ends, instead.
    """

    def __init__(
        self, executor: ChunkExecutor, miss: MissPolicy, limiter: Limiter, *, tick_ns: int, waits: bool
    ) -> None:
        self.executor = executor
        self._miss = miss
        self._limiter = limiter
        self._tick_ns = tick_ns
        self._waits = waits
        self._began = False
        self._lost_ns: int | None = None  # the last tick before the plan was dropped

    @property
    def began(self) -> bool:
        """Return whether a chunk was in force since the last `begin`."""
        return self._began

    @property
    def position(self) -> Floats:
        """Return the last command, float64 [joints]."""
        return self._limiter.position

    @property
    def velocity(self) -> Floats:
        """Return its velocity, float64 [joints]."""
        return self._limiter.velocity

    def limit_counts(self) -> dict[str, int]:
        """Return in how many ticks each limit acted."""
        return asdict(self._limiter.counts)

    def begin(self) -> None:
        """Wait for a first chunk."""
        self._began = False

    def stand_at(self, position: Floats) -> None:
        """Go on from a position, float64 [joints], at rest."""
        self._limiter.reset(position)

    def drop_plan(self) -> None:
        """Forget all chunks."""
        self.executor.clear()
        self._lost_ns = None

    def hold(self, served: Served) -> Tick:
        """Answer one tick without looking at the plan: brake to a stand, and stay there."""
        return self._answer(self._limiter.position, served, None)

    def step(self, now_ns: int) -> Tick:
        """Answer one tick from the plan."""
        swapped = self.executor.advance(now_ns)
        running = self.executor.running
        self._began = self._began or running is not None
        served = Served.MISSED
        if running is not None and now_ns < running.end_ns:
            served = Served.CHUNK
            if now_ns <= running.last_ns or self._waits:
                return self._answer(running.sample(now_ns), served, swapped)
        elif self._waits or not self._began:
            return self.hold(Served.WAITING)
        # The last row says where to be, not how fast to leave: the miss policy leads out of motion.
        if running is not None:
            self._lost_ns = running.last_ns
        elif self._lost_ns is None:
            self._lost_ns = now_ns - self._tick_ns
        limiter, tick_ns = self._limiter, self._tick_ns
        target = self._miss.target(limiter.position, limiter.velocity, now_ns - self._lost_ns, tick_ns)
        return self._answer(target, served, swapped)

    def preview(self, from_ns: int, ticks: int) -> Floats:
        """Return the commands of the coming ticks, as `step` will give them unless something arrives.

        Args:
            from_ns: The coming tick.
            ticks: How many, n.

        Returns:
            float64 [n, joints].
        """
        ahead = copy.copy(self)
        ahead.executor, ahead._limiter = self.executor.copy(), self._limiter.copy()
        tick_ns, done = self._tick_ns, 0
        commands = [np.empty((0, len(self.position)))]
        while done < ticks:
            now_ns = from_ns + done * tick_ns
            targets = ahead.executor.targets(now_ns, ticks - done, tick_ns)
            if len(targets):
                commands.append(ahead._limiter.limit_rows(targets, tick_ns * 1e-9))
                ahead._began = True
            else:
                commands.append(ahead.step(now_ns).position[None])
            done += len(commands[-1])
        return np.concatenate(commands)

    def _answer(self, target: Floats, served: Served, swapped: Chunk | None) -> Tick:
        position, velocity = self._limiter.limit(target, self._tick_ns * 1e-9)
        return Tick(position, velocity, served, swapped)
