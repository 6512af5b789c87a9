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
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.control.chunk import Chunk, absolute, relative
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.ensemble import TemporalEnsemble
from lowlat_nodes.control.executor import ChunkExecutor, Outcome
from lowlat_nodes.control.follower import (
    Correction,
    PlanFollower,
    Served,
    Tick,
    TickFollower,
    TrajectoryFollower,
)
from lowlat_nodes.control.limits import Limiter
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.quantise import quantise
from lowlat_nodes.control.rollforward import RollForward
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.strategy import Intent, Situation, Strategy
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.payload import Floats

_SLACK_TICKS = 2  # on the longest delay lately: an answer goes into the tick after it


@dataclass(frozen=True, slots=True)
class Launch:
    """An inference that the owner must start now.

    Attributes:
        request: Counts launches, from 0; the answer carries it back.
        intent: What the strategy asked for.
        launched_ns: The tick of the launch.
        state: The state for the policy: measured, or projected to `intent.start_ns`.
        start_ns: When row 0 is due, as well as it is known now.
        decided: float64 [n, joints], the actions that would go on with the plan: targets of the rows of the
            answer, or steps; none where the strategy does not continue the plan.
        committed: How many of those are executed whatever the answer is.
    """

    request: int
    intent: Intent
    launched_ns: int
    state: RobotState
    start_ns: int
    decided: Floats
    committed: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an inference result.

    Attributes:
        outcome: The executor's verdict, or None where the result answered no launch in flight.
        launch: The launch that it answered.
        delay_ns: From launch to the tick that could first use it.
        late_ns: How far past its start it came; negative when it was early.
        start_ns: When its row 0 is due.
    """

    outcome: Outcome | None
    launch: Launch | None = None
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
        tracking_tolerance: How far a joint may be from a command that stands, rad or m, to go on from that
            command after a stop or a gap in the states. What is further was moved by others.
        trajectories: Whether the robot gets motions that it carries out on its own, not a position per tick.
        correction_timeout_ns: How long after its tick a correction still counts.
        max_correction: Largest correction of a joint, rad or m; 0 for any.
        horizon: Rows of an answer before merging.
    """

    tick_ns: int
    action_ns: int
    delta: np.ndarray
    merge: int = 1
    execution_rows: int = 0
    state_timeout_ns: int = 100_000_000
    tracking_tolerance: float = 0.1
    trajectories: bool = False
    correction_timeout_ns: int = 50_000_000
    max_correction: float = 0.0
    horizon: int = 64


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the plan says about an instant and after, for a corrector.

    Attributes:
        at_ns: The instant.
        request: Number of the chunk that says it.
        planned: float64 [rows, joints], targets without any correction, one action period apart.
        age_ns: How much older the observation behind them is.
        state: The state at that instant, rolled forward from the newest measured one.
    """

    at_ns: int
    request: int
    planned: Floats
    age_ns: int
    state: RobotState


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
        ensemble: Averages each chunk with its predecessors; None to execute them as they come.
        history_ticks: How many commands before the measured state the roll-forward can see at least.
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
        ensemble: TemporalEnsemble | None = None,
        history_ticks: int = 256,
    ) -> None:
        self.counters = Counters()
        self.delay = delay
        self._settings = settings
        self._strategy = strategy
        self._executor = executor
        self._roll_forward = roll_forward
        self._ensemble = ensemble
        tick_ns, waits = settings.tick_ns, strategy.waits
        self._follower: PlanFollower = (
            TrajectoryFollower(
                executor, miss, limiter, tick_ns=tick_ns, waits=waits, period_ns=settings.action_ns
            )
            if settings.trajectories
            else TickFollower(executor, miss, limiter, tick_ns=tick_ns, waits=waits)
        )
        # As far as the roll-forward looks back from the oldest state that may still be projected.
        self._kept_ticks = history_ticks + settings.state_timeout_ns // tick_ns + 2
        self._history: Floats | None = None  # [2 * kept_ticks, joints]; the newest rows end at _filled
        self._filled = 0
        self._state: RobotState | None = None
        self._in_flight: dict[int, Launch] = {}
        self._launched_ns: int | None = None  # the last launch
        self._changed = False
        self._pace_ns = 0
        self._correction: Correction | None = None
        self._requests = 0
        self._first_valid = 0  # request since the last reset
        self._running = False
        self._resumes = False  # whether the next tick from the plan is the first since a stop or a gap
        self._served: Served | None = None  # the last tick
        self._last_tick_ns: int | None = None

    @property
    def running(self) -> bool:
        """Return whether the loop may move the robot."""
        return self._running

    @property
    def strategy(self) -> Strategy:
        """Return what decides about launches."""
        return self._strategy

    @property
    def in_flight(self) -> tuple[Launch, ...]:
        """Return the inferences that are under way, oldest first."""
        return tuple(self._in_flight.values())

    @property
    def state(self) -> RobotState | None:
        """Return the newest valid joint state."""
        return self._state

    @property
    def longest_pace_ns(self) -> int:
        """Return how far apart launches may be for a chunk to come before the one before it ends."""
        settings = self._settings
        rows = settings.execution_rows or -(-settings.horizon // settings.merge)
        return max(settings.tick_ns, (rows - 1) * settings.action_ns - self._lead_ns)

    def pace(self, period_ns: int) -> None:
        """Launch no more often than this; 0 for as often as the strategy wants.

        Whatever the period, a launch comes in time for the plan not to run out, by the longest delay lately,
        and at once when the scene changed abruptly.
        """
        self._pace_ns = period_ns

    def limit_counts(self) -> dict[str, int]:
        """Return in how many ticks each limit acted."""
        return self._follower.limit_counts()

    def start(self) -> None:
        """Allow motion from where the robot is, with an empty plan."""
        self._running = self._resumes = True
        self._follower.begin()
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
        self._follower.begin()
        self._first_valid = self._requests
        self._state = self._history = self._last_tick_ns = self._launched_ns = self._correction = None

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
        launch = self._in_flight.pop(request, None)
        if launch is None:
            self.counters.add("answers_unasked")
            return Delivery(None)
        self.counters.add("inferences")
        if request < self._first_valid:  # asked for before the reset; who knows how long ago
            self.counters.add(f"chunks_{Outcome.SUPERSEDED.value}")
            return Delivery(Outcome.SUPERSEDED, launch)
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
        if self._ensemble is not None:
            chunk = self._ensemble.blend(chunk)
        outcome = self._executor.accept(chunk, now_ns, aligned=launch.intent.aligned)
        self.counters.add(f"chunks_{outcome.value}")
        return Delivery(outcome, launch, delay_ns, now_ns - start_ns, start_ns)

    def fail(self, request: int, reason: str) -> None:
        """Take note that an inference brought no answer; `reason` is one of our own words."""
        if self._in_flight.pop(request, None) is not None:
            self.counters.add(f"failures_{reason}")

    def note_change(self) -> None:
        """Take note that the scene changed abruptly: what is being planned was asked for before."""
        self._changed = True
        self.counters.add("scene_changes")

    def outlook(self, at_ns: int, rows: int) -> Outlook | None:
        """Return what the plan says about a coming tick, None where it says nothing.

        Args:
            at_ns: The tick, after the last one.
            rows: How many targets from there on; beyond the plan's end the last one is repeated.
        """
        chunk = self._executor.chunk_at(at_ns)
        if chunk is None or self._state is None or self._last_tick_ns is None or not self._running:
            return None
        times_ns = np.minimum(at_ns + np.arange(rows) * self._settings.action_ns, chunk.last_ns)
        age_ns = at_ns - (chunk.observed_ns or chunk.start_ns)
        state = self._project(self._state, at_ns, self._last_tick_ns)
        return Outlook(at_ns, chunk.request, chunk.sample_all(times_ns), age_ns, state)

    def correct(self, values: Floats, outlook: Outlook) -> None:
        """Take in what to add to the targets of a chunk, from now on and until it is out of date.

        Args:
            values: float64 [joints], rad or m.
            outlook: What it was made from.
        """
        if not np.isfinite(values).all():
            self.counters.add("corrections_not_finite")
            return
        self.counters.add("corrections")
        most = self._settings.max_correction
        bounded = np.clip(values, -most, most) if most else values
        self._correction = Correction(outlook.at_ns, outlook.request, bounded, outlook.planned[0] + bounded)

    def tick(self, now_ns: int) -> Tick | None:
        """Answer one tick; None while no fresh joint state was seen since the beginning or the last `reset`.

        Args:
            now_ns: Time of the tick; ticks may be skipped, never repeated.
        """
        state, follower, counters = self._state, self._follower, self.counters
        if state is None:
            return None
        stale = now_ns - state.stamp_ns > self._settings.state_timeout_ns
        if stale:
            counters.add("ticks_state_stale")
        if self._history is None:
            if stale:  # where the robot was, once
                return None
            self._begin(state.position, now_ns)
        assert self._last_tick_ns is not None
        tick_ns = self._settings.tick_ns
        skipped = (now_ns - self._last_tick_ns) // tick_ns - 1
        for back in range(min(skipped, self._kept_ticks), 0, -1):
            self._remember(follower.pass_over(now_ns - back * tick_ns))
        if not self._running:
            tick = follower.hold(now_ns, Served.STOPPED)
        elif stale:
            self._resumes = True
            self._forget_plan()
            tick = follower.hold(now_ns, Served.STALE)
        else:
            if self._resumes:
                self._resumes = False
                self._find_robot(state.position, now_ns)
            follower.correct(self._correction_at(now_ns))
            tick = follower.step(now_ns)
            if tick.corrected:
                counters.add("ticks_corrected")
        self._remember(tick.position)
        self._last_tick_ns = now_ns
        self._count(tick)
        return tick

    def _count(self, tick: Tick) -> None:
        counters = self.counters
        counters.add("ticks")
        if tick.served is Served.MISSED and self._served is not Served.MISSED:
            counters.add("misses")
        self._served = tick.served
        if tick.served is Served.CHUNK:
            counters.add("ticks_of_chunks")
        elif self._running and self._follower.began:
            counters.add("stalled_ticks")

    def launch(self, now_ns: int, *, ready: bool = True) -> Launch | None:
        """Decide whether to ask the policy, after the command of this tick was sent or before.

        Args:
            now_ns: Time of the tick. Where its command is still to come, the answer may go into it.
            ready: Whether there is a policy to ask.
        """
        state, settings = self._state, self._settings
        if state is None or not self._running or not ready:
            return None
        if len(self._in_flight) >= self._strategy.slots:
            return None
        if self._last_tick_ns is None or now_ns - state.stamp_ns > settings.state_timeout_ns:
            return None
        sent_ns = now_ns if now_ns <= self._last_tick_ns else now_ns - settings.tick_ns
        last, remaining_ns = self._executor.last, 0
        if last is not None:
            # The hold of the last row is for strategies that wait; others would have lost their pace in it.
            end_ns = last.end_ns if self._strategy.waits else last.last_ns
            remaining_ns = max(0, end_ns - (sent_ns + settings.tick_ns))
        situation = Situation(
            now_ns,
            settings.tick_ns,
            self.delay.estimate_ns,
            remaining_ns,
            in_flight=len(self._in_flight),
            since_launch_ns=0 if self._launched_ns is None else now_ns - self._launched_ns,
            changed=self._changed,
        )
        if self._rests(situation):
            return None
        intent = self._strategy.decide(situation)
        if intent is None:
            return None
        if intent.project and intent.start_ns is not None:
            state = self._project(state, intent.start_ns, sent_ns)
        start_ns = now_ns + self.delay.estimate_ns if intent.start_ns is None else intent.start_ns
        decided, committed = np.empty((0, len(state.position))), 0
        if intent.committed_until_ns is not None:
            planned = self._executor.planned(start_ns, settings.horizon, settings.action_ns)
            if len(planned):
                decided = planned
                committed = min(
                    len(planned), -(-(intent.committed_until_ns - start_ns) // settings.action_ns)
                )
                if settings.delta.any():
                    base = self._decided(start_ns - settings.action_ns)
                    decided = relative(planned, settings.delta, base)
        launch = Launch(self._requests, intent, now_ns, state, start_ns, decided, committed)
        self._requests += 1
        self._in_flight[launch.request] = launch
        self._launched_ns = now_ns
        self._changed = False
        return launch

    def fork(self, roll_forward: RollForward) -> ControlLoop:
        """Return an independent loop in the same state, with nothing counted: what would happen if.

        Args:
            roll_forward: Projects states in the new loop.
        """
        memo = {id(self.counters): Counters(), id(self._roll_forward): roll_forward}
        return copy.deepcopy(self, memo)

    @property
    def _lead_ns(self) -> int:
        return self.delay.longest_ns + _SLACK_TICKS * self._settings.tick_ns

    def _rests(self, situation: Situation) -> bool:
        """Return whether the pace lets no inference begin yet."""
        early = self._launched_ns is not None and situation.since_launch_ns < self._pace_ns
        return early and not situation.changed and situation.remaining_ns > self._lead_ns

    def _correction_at(self, now_ns: int) -> Correction | None:
        """Return the correction that is new enough for a tick."""
        correction = self._correction
        if correction is None or now_ns - correction.at_ns > self._settings.correction_timeout_ns:
            return None
        return correction

    def _begin(self, position: Floats, now_ns: int) -> None:
        """Start from where the robot is, so that the first command is no jump."""
        self._history = np.tile(position, (2 * self._kept_ticks, 1))
        self._filled = self._kept_ticks
        self._follower.stand_at(position)
        self._last_tick_ns = now_ns - self._settings.tick_ns

    def _find_robot(self, position: Floats, now_ns: int) -> None:
        """Begin anew at the measured position of the joints that are not where they were told to be.

        A drive under load is always a little beside its command; from there it would only sag further.
        While the command still moves, the distance is the lag of the drives.
        """
        command = self._follower.position
        away = np.abs(position - command) > self._settings.tracking_tolerance
        if away.any() and not self._follower.velocity.any():
            self.counters.add("robot_moved")
            self._begin(np.where(away, position, command), now_ns)

    def _remember(self, position: Floats) -> None:
        assert self._history is not None
        if self._filled == len(self._history):
            self._history[: self._kept_ticks] = self._history[-self._kept_ticks :]
            self._filled = self._kept_ticks
        self._history[self._filled] = position
        self._filled += 1

    def _project(self, state: RobotState, start_ns: int, sent_ns: int) -> RobotState:
        """Roll the measured state forward to `start_ns` over the commands sent since and still to come.

        `sent_ns` is the tick of the newest command.
        """
        assert self._history is not None
        if state.stamp_ns >= start_ns:
            return state
        tick_ns = self._settings.tick_ns
        sent = self._history[self._filled - self._kept_ticks : self._filled]
        planned = self._follower.preview(sent_ns + tick_ns, (start_ns - sent_ns) // tick_ns - 1)
        commands = np.concatenate([sent, planned])
        ticks_after, into_ns = divmod(state.stamp_ns - sent_ns, tick_ns)
        first = len(sent) - 1 + ticks_after  # in force at the measurement, for what is left of its tick
        past, coming = commands[:first], commands[first:]
        return self._roll_forward.project(state, past, coming, tick_ns, tick_ns - into_ns)

    def _decided(self, at_ns: int) -> Floats:
        """Return the command sent at an instant, or the one that the plan without the new chunk leads to."""
        assert self._history is not None
        assert self._last_tick_ns is not None
        tick_ns = self._settings.tick_ns
        ahead = round((at_ns - self._last_tick_ns) / tick_ns)
        if ahead > 0:
            decided: Floats = self._follower.preview(self._last_tick_ns + tick_ns, ahead)[-1]
            return decided
        sent: Floats = self._history[self._filled - 1 + max(ahead, 1 - self._kept_ticks)].copy()
        return sent

    def _forget_plan(self) -> None:
        self._follower.drop_plan()
        self._correction = None
        if self._ensemble is not None:
            self._ensemble.clear()
        self._executor.refuse_until(self._requests - 1)
