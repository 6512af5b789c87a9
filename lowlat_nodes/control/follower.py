# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""From a plan to commands: the chunk in force, else the miss policy, within the limits."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np

from lowlat_nodes.control.chunk import Chunk
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.limits import Limiter
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.trajectory import Points, TrajectoryPlanner
from lowlat_nodes.stream.payload import Floats


class Served(str, Enum):
    """Who answered a tick."""

    CHUNK = "chunk"
    WAITING = "waiting"
    MISSED = "missed"
    STALE = "stale"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Correction:
    """What to add to the targets of one chunk.

    Another chunk has looked since, and is not corrected by what the first one lacked. Only at the very tick
    that the correction was made for, the corrected target is as good as ever: nobody has seen anything newer.

    Attributes:
        at_ns: The tick.
        request: Number of the chunk.
        values: float64 [joints].
        target: float64 [joints], the corrected target of the tick.
    """

    at_ns: int
    request: int
    values: Floats
    target: Floats

    def corrects(self, chunk: Chunk | None) -> bool:
        """Return whether a chunk is the one."""
        return chunk is not None and chunk.request == self.request


@dataclass(frozen=True, slots=True)
class Tick:
    """The answer of one tick.

    Attributes:
        position: float64 [joints], the command.
        velocity: float64 [joints], its velocity.
        served: Who answered.
        swapped: The chunk that took over at this tick, if one did.
        points: The motion to a stand that begins at this tick, for a robot that gets motions, if it is new.
        corrected: Whether the plan's target was corrected.
    """

    position: Floats
    velocity: Floats
    served: Served
    swapped: Chunk | None
    points: Points | None = None
    corrected: bool = False


class PlanFollower(ABC):
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
        self._executor = executor
        self._miss = miss
        self._limiter = limiter
        self._tick_ns = tick_ns
        self._waits = waits
        self._began = False
        self._correction: Correction | None = None

    @property
    def began(self) -> bool:
        """Return whether a chunk was in force since the last `begin`."""
        return self._began

    @property
    @abstractmethod
    def position(self) -> Floats:
        """Return the last command, float64 [joints]."""

    @property
    @abstractmethod
    def velocity(self) -> Floats:
        """Return its velocity, float64 [joints]."""

    def limit_counts(self) -> dict[str, int]:
        """Return in how many ticks, or motions, each limit acted."""
        return asdict(self._limiter.counts)

    def begin(self) -> None:
        """Wait for a first chunk."""
        self._began = False

    def correct(self, correction: Correction | None) -> None:
        """Correct the targets of a chunk from now on, until told otherwise."""
        self._correction = correction

    @abstractmethod
    def stand_at(self, position: Floats) -> None:
        """Go on from a position, float64 [joints], at rest."""

    def drop_plan(self) -> None:
        """Forget all chunks."""
        self._executor.clear()

    @abstractmethod
    def pass_over(self, tick_ns: int) -> Floats:
        """Return the command that was in force at a tick that was skipped, float64 [joints]."""

    @abstractmethod
    def hold(self, now_ns: int, served: Served) -> Tick:
        """Answer one tick without looking at the plan: brake to a stand, and stay there."""

    @abstractmethod
    def step(self, now_ns: int) -> Tick:
        """Answer one tick from the plan."""

    @abstractmethod
    def preview(self, from_ns: int, ticks: int) -> Floats:
        """Return the commands of the coming ticks, as `step` will give them unless something arrives.

        Args:
            from_ns: The coming tick.
            ticks: How many, n.

        Returns:
            float64 [n, joints].
        """

    def _serve(self, now_ns: int) -> tuple[Served, Chunk | None]:
        """Return who answers a tick from the plan, and the chunk that takes over at it."""
        swapped = self._executor.advance(now_ns)
        running = self._executor.running
        self._began = self._began or running is not None
        if running is not None and now_ns < running.end_ns:
            return Served.CHUNK, swapped
        return Served.WAITING if self._waits or not self._began else Served.MISSED, swapped


class TickFollower(PlanFollower):
    """For a robot that gets a position per tick, and stays there until the next."""

    _lost_ns: int | None = None  # the last tick before the plan was dropped

    @property
    def position(self) -> Floats:
        """Return the last command, float64 [joints]."""
        return self._limiter.position

    @property
    def velocity(self) -> Floats:
        """Return its velocity, float64 [joints]."""
        return self._limiter.velocity

    def stand_at(self, position: Floats) -> None:
        """Go on from a position, float64 [joints], at rest."""
        self._limiter.reset(position)

    def drop_plan(self) -> None:
        """Forget all chunks."""
        super().drop_plan()
        self._lost_ns = None

    def pass_over(self, tick_ns: int) -> Floats:  # noqa: ARG002
        """Return the last command: it stayed in force, and did not move on."""
        return self.position

    def hold(self, now_ns: int, served: Served) -> Tick:  # noqa: ARG002
        """Answer one tick without looking at the plan: brake to a stand, and stay there."""
        return self._answer(self.position, served, None)

    def step(self, now_ns: int) -> Tick:
        """Answer one tick from the plan."""
        served, swapped = self._serve(now_ns)
        running, target, corrected = self._executor.running, self.position, False
        if running is not None and served is Served.CHUNK and (now_ns <= running.last_ns or self._waits):
            target, correction = running.sample(now_ns), self._correction
            if correction is not None and correction.corrects(running):
                target, corrected = target + correction.values, True
            elif correction is not None and correction.at_ns == now_ns:
                target, corrected = correction.target, True
        elif served is not Served.WAITING:
            # The last row says where to be, not how fast to leave: the miss policy leads out of motion.
            if running is not None:
                self._lost_ns = running.last_ns
            elif self._lost_ns is None:
                self._lost_ns = now_ns - self._tick_ns
            target = self._miss.target(target, self.velocity, now_ns - self._lost_ns, self._tick_ns)
        return self._answer(target, served, swapped, corrected=corrected)

    def preview(self, from_ns: int, ticks: int) -> Floats:
        """Return the commands of the coming ticks, as `PlanFollower.preview`."""
        ahead = copy.copy(self)
        ahead._executor, ahead._limiter = self._executor.copy(), self._limiter.copy()
        tick_ns, done = self._tick_ns, 0
        commands = [np.empty((0, len(self.position)))]
        while done < ticks:
            now_ns = from_ns + done * tick_ns
            targets = ahead._executor.targets(now_ns, ticks - done, tick_ns)
            if len(targets):
                correction = self._correction
                if correction is not None and correction.corrects(ahead._executor.running):
                    targets = targets + correction.values
                commands.append(ahead._limiter.limit_rows(targets, tick_ns * 1e-9))
                ahead._began = True
            else:
                commands.append(ahead.step(now_ns).position[None])
            done += len(commands[-1])
        return np.concatenate(commands)

    def _answer(
        self, target: Floats, served: Served, swapped: Chunk | None, *, corrected: bool = False
    ) -> Tick:
        position, velocity = self._limiter.limit(target, self._tick_ns * 1e-9)
        return Tick(position, velocity, served, swapped, corrected=corrected)


class TrajectoryFollower(PlanFollower):
    """For a robot that gets motions to a stand and carries them out on its own.

    A new one is due where the plan changes. The command of a tick is where the motion is at its end.

    Args:
        executor: Holds the plan.
        miss: Leads out of motion where the plan ends.
        limiter: The last word on every command.
        tick_ns: Time between ticks.
        waits: Whether the robot stands by design where the plan ends, instead.
        period_ns: Time between the rows of chunks.
    """

    def __init__(
        self,
        executor: ChunkExecutor,
        miss: MissPolicy,
        limiter: Limiter,
        *,
        tick_ns: int,
        waits: bool,
        period_ns: int,
    ) -> None:
        super().__init__(executor, miss, limiter, tick_ns=tick_ns, waits=waits)
        self._planner = TrajectoryPlanner(limiter, miss, period_ns=period_ns, waits=waits)
        self._leads: tuple[Chunk | None, bool] = None, True  # the motion under way: of a chunk; a brake
        self._position, self._velocity = limiter.position, limiter.velocity

    @property
    def position(self) -> Floats:
        """Return the last command, float64 [joints]."""
        return self._position

    @property
    def velocity(self) -> Floats:
        """Return its velocity, float64 [joints]."""
        return self._velocity

    def stand_at(self, position: Floats) -> None:
        """Go on from a position, float64 [joints], at rest."""
        self._planner.stand_at(position)
        self._position, self._velocity = position, np.zeros_like(position)

    def pass_over(self, tick_ns: int) -> Floats:
        """Return where the motion was: it went on."""
        positions, _ = self._planner.at(np.array([tick_ns + self._tick_ns]))
        command: Floats = positions[0]
        return command

    def hold(self, now_ns: int, served: Served) -> Tick:
        """Answer one tick without looking at the plan: brake to a stand, and stay there."""
        return self._answer(now_ns, served, None, (None, True))

    def step(self, now_ns: int) -> Tick:
        """Answer one tick from the plan."""
        served, swapped = self._serve(now_ns)
        return self._answer(now_ns, served, swapped, (self._executor.running, False))

    def preview(self, from_ns: int, ticks: int) -> Floats:
        """Return the commands of the coming ticks, as `PlanFollower.preview`."""
        ahead = copy.copy(self)
        ahead._executor, ahead._planner = self._executor.copy(), self._planner.copy()
        tick_ns, done = self._tick_ns, 0
        commands = [np.empty((0, len(self.position)))]
        while done < ticks:
            now_ns = from_ns + done * tick_ns
            ahead.step(now_ns)
            alike = min(ticks - done, ahead._executor.ticks_to_next(now_ns, tick_ns) or ticks)
            commands.append(ahead._planner.at(now_ns + np.arange(1, alike + 1) * tick_ns)[0])
            done += alike
        return np.concatenate(commands)

    def _answer(
        self, now_ns: int, served: Served, swapped: Chunk | None, leads: tuple[Chunk | None, bool]
    ) -> Tick:
        points = None
        if leads != self._leads:
            chunk, brake = self._leads = leads
            points = self._planner.plan(now_ns, chunk, brake=brake)
        positions, velocities = self._planner.at(np.array([now_ns + self._tick_ns]))
        self._position, self._velocity = positions[0], velocities[0]
        return Tick(self._position, self._velocity, served, swapped, points)
