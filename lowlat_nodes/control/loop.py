# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The control loop: every tick asks it "what now?" and always gets an answer.

It is plain state without threads, sockets or clocks, so the tick process of a robot, an offline replay and a
step-delay benchmark run the very same code. The owner feeds it joint states and inference results, calls
`tick` once per period, publishes the command, and then carries out the launch that the tick asks for.

All times are nanoseconds of one timeline that the owner chooses; ticks lie on its grid.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.chunk import Chunk, absolute
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor, Outcome
from lowlat_nodes.control.limits import Limiter
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.quantise import quantise
from lowlat_nodes.control.rollforward import RollForward
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies import Intent, Situation, Strategy
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.payload import Floats


class Served(str, Enum):
    """Who answered a tick."""

    CHUNK = "chunk"
    WAITING = "waiting"
    MISSED = "missed"
    STALE = "stale"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Launch:
    """An inference that the owner must start now.

    Attributes:
        request: Counts launches, from 0; the answer carries it back.
        intent: What the strategy asked for.
        launched_ns: The tick of the launch.
        state: The state for the policy: measured, or projected to `intent.start_ns`.
    """

    request: int
    intent: Intent
    launched_ns: int
    state: RobotState


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


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an inference result.

    Attributes:
        outcome: The executor's verdict, or None where the result answered no launch in flight.
        delay_ns: From launch to the tick that could first use it.
        late_ns: How far past its start it came; negative when it was early.
        start_ns: When its row 0 is due.
    """

    outcome: Outcome | None
    delay_ns: int = 0
    late_ns: int = 0
    start_ns: int = 0


@dataclass(frozen=True)
class LoopSettings:
    """What the loop needs to know besides its parts.

    Attributes:
        tick_ns: Time between ticks.
        action_ns: Time between rows of a chunk.
        delta: bool [joints]; which actions are steps instead of absolute targets.
        merge: How many fine actions become one macro action (action quantisation); 1 for none.
        execution_rows: How many rows of a chunk (after merging) may be executed; 0 for all.
        state_timeout_ns: Joint states older than this stop the plan.
    """

    tick_ns: int
    action_ns: int
    delta: np.ndarray
    merge: int = 1
    execution_rows: int = 0
    state_timeout_ns: int = 100_000_000


class ControlLoop:
    """Executes chunks, launches inferences, and keeps the robot safe when either fails.

    Args:
        settings: Rates and bounds.
        strategy: Decides about launches.
        executor: Decides about swaps.
        roll_forward: Projects states for strategies that want it.
        miss: Answers ticks without a chunk.
        limiter: The last word on every command.
        delay: Estimates the inference delay.
        history_ticks: How many past commands the roll-forward can see.
    """

    def __init__(
        self,
        settings: LoopSettings,
        strategy: Strategy,
        executor: ChunkExecutor,
        roll_forward: RollForward,
        miss: MissPolicy,
        limiter: Limiter,
        delay: DelayEstimator,
        *,
        history_ticks: int = 256,
    ) -> None:
        self.counters = Counters()
        self.delay = delay
        self._settings = settings
        self._strategy = strategy
        self._executor = executor
        self._roll_forward = roll_forward
        self._miss = miss
        self._limiter = limiter
        self._history_ticks = history_ticks
        self._history: Floats | None = None  # [2 * history_ticks, joints]; the newest rows end at _filled
        self._filled = 0
        self._state: RobotState | None = None
        self._in_flight: Launch | None = None
        self._requests = 0
        self._running = False
        self._began = False  # whether a chunk was in force since the start
        self._missing_since_ns: int | None = None
        self._last_tick_ns: int | None = None
        self._velocity: Floats | None = None

    @property
    def running(self) -> bool:
        """Return whether the loop may move the robot."""
        return self._running

    @property
    def in_flight(self) -> Launch | None:
        """Return the inference that is under way."""
        return self._in_flight

    @property
    def state(self) -> RobotState | None:
        """Return the newest valid joint state."""
        return self._state

    def limit_counts(self) -> dict[str, int]:
        """Return in how many ticks each limit acted."""
        return asdict(self._limiter.counts)

    def start(self) -> None:
        """Allow motion, with an empty plan."""
        self._running = True
        self._began = False
        self._forget_plan()

    def stop(self) -> None:
        """Brake to a stand within the limits and stay there; answers under way are refused."""
        self._running = False
        self._forget_plan()

    def restart_plan(self) -> None:
        """Refuse every answer asked for until now: the task changed."""
        self._forget_plan()

    def reset(self) -> None:
        """Begin anew at the next joint state: after a pause or a jump of time the robot may be anywhere.

        What is counted, the estimated delay and whether the robot may move stay as they are.
        """
        self._forget_plan()
        self._began = False
        self._state = self._history = self._velocity = self._last_tick_ns = None

    def observe(self, state: RobotState) -> None:
        """Take in a joint state; one that is not finite or older than the last counts and is ignored."""
        if not (np.isfinite(state.position).all() and np.isfinite(state.velocity).all()):
            self.counters.add("state_not_finite")
        elif self._state is not None and state.stamp_ns < self._state.stamp_ns:
            self.counters.add("state_out_of_order")
        else:
            self._state = state

    def deliver(self, request: int, actions: Floats, observed_ns: int, now_ns: int) -> Delivery:
        """Take in the answer of the policy.

        Args:
            request: The number of the launch.
            actions: float64 [rows, joints].
            observed_ns: Capture time of the oldest observation that went in.
            now_ns: The coming tick.
        """
        launch = self._in_flight
        if launch is None or launch.request != request:
            self.counters.add("answers_unasked")
            return Delivery(None)
        self._in_flight = None
        self.counters.add("inferences")
        if self._history is None:  # asked for before the reset; who knows how long ago
            self.counters.add(f"chunks_{Outcome.SUPERSEDED.value}")
            return Delivery(Outcome.SUPERSEDED)
        delay_ns = now_ns - launch.launched_ns
        self.delay.record(delay_ns)
        start_ns = now_ns if launch.intent.start_ns is None else launch.intent.start_ns
        settings = self._settings
        rows = quantise(actions, settings.merge, settings.delta) if settings.merge > 1 else actions
        if settings.execution_rows:
            rows = rows[: settings.execution_rows]
        if settings.delta.any():
            rows = absolute(rows, settings.delta, self._decided(start_ns - settings.action_ns))
        chunk = Chunk(request, start_ns, settings.action_ns, rows, observed_ns)
        outcome = self._executor.accept(chunk, now_ns, aligned=launch.intent.aligned)
        self.counters.add(f"chunks_{outcome.value}")
        return Delivery(outcome, delay_ns, now_ns - start_ns, start_ns)

    def fail(self, request: int, reason: str) -> None:
        """Take note that an inference brought no answer; `reason` is one of our own words."""
        if self._in_flight is not None and self._in_flight.request == request:
            self._in_flight = None
            self.counters.add(f"failures_{reason}")

    def lose_policy(self) -> None:
        """Take note that the policy is gone, and whatever it was thinking about with it."""
        self._in_flight = None
        self.counters.add("policy_losses")

    def tick(self, now_ns: int) -> Tick | None:
        """Answer one tick; None only while no joint state was seen since the beginning or the last `reset`.

        Args:
            now_ns: Time of the tick; ticks may be skipped, never repeated.
        """
        state = self._state
        if state is None:
            return None
        if self._history is None:
            self._begin(state, now_ns)
        assert self._history is not None
        assert self._last_tick_ns is not None
        last = self._history[self._filled - 1].copy()
        # The last command stayed in force over ticks that were skipped; it did not move on.
        skipped = (now_ns - self._last_tick_ns) // self._settings.tick_ns - 1
        for _ in range(min(skipped, self._history_ticks)):
            self._remember(last)
        served, target, swapped = self._choose(state, last, now_ns)
        position, velocity = self._limiter.limit(target, self._settings.tick_ns * 1e-9)
        self._remember(position)
        self._velocity = velocity
        self._last_tick_ns = now_ns
        counters = self.counters
        counters.add("ticks")
        if self._running and self._began and served is not Served.CHUNK:
            counters.add("stalled_ticks")
        return Tick(position, velocity, served, swapped)

    def launch(self, now_ns: int, *, ready: bool = True) -> Launch | None:
        """Decide whether to ask the policy, after the command of this tick was sent or before.

        Args:
            now_ns: Time of the tick. Where its command is still to come, the answer may go into it.
            ready: Whether there is a policy to ask.
        """
        state, settings = self._state, self._settings
        if state is None or not self._running or self._in_flight is not None or not ready:
            return None
        if self._last_tick_ns is None or now_ns - state.stamp_ns > settings.state_timeout_ns:
            return None
        next_ns = now_ns if now_ns > self._last_tick_ns else now_ns + settings.tick_ns
        end_ns = self._executor.end_ns
        remaining_ns = 0 if end_ns is None else max(0, end_ns - next_ns)
        situation = Situation(now_ns, settings.tick_ns, self.delay.estimate_ns, remaining_ns)
        intent = self._strategy.decide(situation)
        if intent is None:
            return None
        if intent.project and intent.start_ns is not None:
            state = self._project(state, intent.start_ns, next_ns)
        launch = Launch(self._requests, intent, now_ns, state)
        self._requests += 1
        self._in_flight = launch
        return launch

    def fork(self, roll_forward: RollForward) -> ControlLoop:
        """Return an independent loop in the same state, with nothing counted: what would happen if.

        Args:
            roll_forward: Projects states in the new loop.
        """
        memo = {id(self.counters): Counters(), id(self._roll_forward): roll_forward}
        return copy.deepcopy(self, memo)

    def limited_rows(self, chunk: Chunk, now_ns: int) -> tuple[NDArray[np.int64], Floats]:
        """Return the rows of a chunk that lie ahead, as the limits would let them through.

        Args:
            chunk: The chunk in force.
            now_ns: The present tick.

        Returns:
            int64 [n] times after `now_ns`, increasing, and float64 [n, joints].
        """
        ahead = max(0, (now_ns - chunk.start_ns) // chunk.period_ns + 1)
        times_ns = chunk.start_ns + np.arange(ahead, len(chunk.targets) + 1) * chunk.period_ns - now_ns
        targets = [*chunk.targets[ahead:], chunk.targets[-1]]
        limiter = copy.deepcopy(self._limiter)
        steps_s = np.diff(times_ns, prepend=0) * 1e-9
        rows = [limiter.limit(row, step_s)[0] for row, step_s in zip(targets, steps_s, strict=True)]
        return times_ns, np.array(rows)

    def _choose(self, state: RobotState, last: Floats, now_ns: int) -> tuple[Served, Floats, Chunk | None]:
        velocity, tick_ns = self._velocity, self._settings.tick_ns
        assert velocity is not None
        if not self._running:
            return Served.STOPPED, last, None
        if now_ns - state.stamp_ns > self._settings.state_timeout_ns:
            self.counters.add("ticks_state_stale")
            self._forget_plan()
            return Served.STALE, last, None
        swapped = self._executor.advance(now_ns)
        target = self._executor.sample(now_ns)
        running = self._executor.running
        if target is not None and running is not None:
            self._began = True
            self._missing_since_ns = None
            beyond_ns = now_ns - running.last_ns
            if beyond_ns > 0 and not self._strategy.waits:
                # The last row says where to be, not how fast to leave: the miss policy leads out of motion.
                target = self._miss.target(last, velocity, beyond_ns, tick_ns)
            return Served.CHUNK, target, swapped
        if self._strategy.waits or not self._began:
            return Served.WAITING, last, None
        if self._missing_since_ns is None:
            self._missing_since_ns = now_ns
            self.counters.add("misses")
        missing_ns = now_ns - self._missing_since_ns + tick_ns
        return Served.MISSED, self._miss.target(last, velocity, missing_ns, tick_ns), None

    def _begin(self, state: RobotState, now_ns: int) -> None:
        """Start from where the robot is, so that the first command is no jump."""
        self._history = np.tile(state.position, (2 * self._history_ticks, 1))
        self._filled = self._history_ticks
        self._velocity = np.zeros_like(state.position)
        self._limiter.reset(state.position)
        self._last_tick_ns = now_ns - self._settings.tick_ns

    def _remember(self, position: Floats) -> None:
        assert self._history is not None
        if self._filled == len(self._history):
            self._history[: self._history_ticks] = self._history[-self._history_ticks :]
            self._filled = self._history_ticks
        self._history[self._filled] = position
        self._filled += 1

    def _project(self, state: RobotState, start_ns: int, next_ns: int) -> RobotState:
        """Roll the measured state forward to `start_ns` over the commands sent since and still to come.

        `next_ns` is the tick of the first command that is still to come.
        """
        assert self._history is not None
        tick_ns = self._settings.tick_ns
        newest_ns = next_ns - tick_ns  # when the last row of the history was sent
        sent = min(max(0, round((newest_ns - state.stamp_ns) / tick_ns) + 1), self._history_ticks - 1)
        newest = self._history[self._filled - sent : self._filled]
        past = self._history[max(0, self._filled - self._history_ticks) : self._filled - sent]
        coming = max(0, round((start_ns - next_ns) / tick_ns))
        planned = self._executor.preview(next_ns, coming, tick_ns, self._history[self._filled - 1])
        return self._roll_forward.project(state, past, np.concatenate([newest, planned]), tick_ns)

    def _decided(self, at_ns: int) -> Floats:
        """Return the command sent at an instant, or what the plan without the new chunk has for it."""
        assert self._history is not None
        assert self._last_tick_ns is not None
        tick_ns = self._settings.tick_ns
        newest = self._history[self._filled - 1]
        ahead = round((at_ns - self._last_tick_ns) / tick_ns)
        if ahead <= 0:
            row = max(self._filled - 1 + ahead, self._filled - self._history_ticks)
            sent: Floats = self._history[row].copy()
            return sent
        decided: Floats = self._executor.preview(self._last_tick_ns + ahead * tick_ns, 1, tick_ns, newest)[0]
        return decided

    def _forget_plan(self) -> None:
        self._executor.clear()
        self._executor.refuse_until(self._requests - 1)
        self._missing_since_ns = None
