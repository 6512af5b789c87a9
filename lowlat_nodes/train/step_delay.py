# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Tasks played under the real control loop in simulated time, where inference takes a number of steps.

A *step* is one action period: each begins with a joint reading, may bring an answer and launch an inference,
and sends one command, which the arm's servos follow until the next. An answer asked for at a step is used at
the step `delay` later, so a delay of 0 is a policy that thinks in no time. Joint readings are of the step,
images as old as the camera's period lets them be. The same tasks, policy, execution and seeds give the same
figures, bit for bit.

The *reaction* to a surprise (a light, a deflection, a shift) is the time from it to the first command that
differs from what would have been sent without it. That is no guess: a twin of the whole episode, which is
spared the surprise, runs along until the two send different commands.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, Launch, LoopSettings
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.policies.policy import Observation, Policy
from lowlat_nodes.control.rollforward import RollForward, make_roll_forward
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.sim.arm import JOINT_RANGE_RAD, ArmConfig, ArmSim
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.kinematics import JOINT_NAMES, forward
from lowlat_nodes.sim.scene import Frame
from lowlat_nodes.sim.score import wilson_ci95
from lowlat_nodes.sim.smoothness import boundary_jumps, rms_jerk
from lowlat_nodes.sim.task import Task, Trial
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.expert import ExpertConfig, aim, plan

Floats = NDArray[np.float64]
STEP_NS: Final = 20_000_000
SUBSTEP_NS: Final = 5_000_000
FRAME_NS: Final = 33_333_333


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a policy is asked with.

    Attributes:
        state: float64 [6], positions in rad and velocities in rad/s, for the instant at which the chunk is to
            begin, as well as the execution knows it.
        frame: The newest view of the camera.
        task: The instruction.
        request: Number of the launch in its episode.
    """

    state: Floats
    frame: Frame
    task: str
    request: int


ChunkPolicy = Callable[[Sequence[Sight]], Floats]
"""Sights of n episodes to float64 [n, rows, 3], joint targets in rad, one row per step.

What it plans for an episode must not depend on the others in the call.
"""


def from_policy(policy: Policy) -> ChunkPolicy:
    """Ask a policy that wants images, with the feature name `image`, one observation at a time."""
    camera = TableCamera()

    def infer(sights: Sequence[Sight]) -> Floats:
        return np.array(
            [
                policy.infer(
                    Observation(
                        sight.state.astype(np.float32),
                        {"image": camera.render(sight.frame.q, sight.frame.things)},
                        sight.task,
                        sight.request,
                    )
                )
                for sight in sights
            ]
        )

    return infer


def from_expert(config: ExpertConfig, *, rows: int = 32) -> ChunkPolicy:
    """Let the demonstrator plan, which sees the things themselves instead of an image of them.

    Of a state that the arm cannot be in it takes the nearest one that it can. Without that, a roll-forward to
    the last command feeds on itself: the commands lead by the lag, and so does the next plan's beginning.
    """
    lowest, highest = np.array(JOINT_RANGE_RAD).T
    fastest = np.array(ArmConfig().speed_limit_rad_s)

    def infer(sights: Sequence[Sight]) -> Floats:
        states = np.array([sight.state for sight in sights])
        q, qd = np.clip(states[:, :3], lowest, highest), np.clip(states[:, 3:], -fastest, fastest)
        goals = np.array([aim(sight.frame.things) for sight in sights])
        return plan(q, qd, goals, rows, config)

    return infer


ROLL_FORWARDS: Final = ("none", "last_action", "sum_deltas", "actuator", "perfect")


@dataclass(frozen=True)
class Execution:
    """How chunks are executed.

    Attributes:
        strategy: One of `control.strategies.STRATEGIES`.
        roll_forward: One of `ROLL_FORWARDS`: `actuator` is `actuators`, `perfect` a copy of the simulator.
        aligned: Whether naive_async enters a chunk at the row of the present instead of row 0.
        delay_steps: How long an inference takes.
        jitter_steps: It takes up to so many steps longer, uniformly.
        margin_steps: Slack on the estimated delay.
        rows: Rows of a chunk that may be executed; 0 for all.
        actuators: The drives as the roll-forward knows them; None for those that the arm is made of.
        limits: The last word on every command; none by default, so that they hide no jump.
    """

    strategy: str
    roll_forward: str = "none"
    aligned: bool = False
    delay_steps: int = 0
    jitter_steps: int = 0
    margin_steps: int = 0
    rows: int = 0
    actuators: ActuatorModel | None = None
    limits: JointLimits = field(default_factory=JointLimits)

    def __post_init__(self) -> None:
        if self.roll_forward not in ROLL_FORWARDS:
            raise ConfigurationError(
                f"roll_forward: expected one of {', '.join(ROLL_FORWARDS)}, got {self.roll_forward!r}"
            )
        if min(self.delay_steps, self.jitter_steps, self.margin_steps, self.rows) < 0:
            raise ConfigurationError("expected no negative delay, jitter, margin or rows")


def nominal_actuators(config: ArmConfig | None = None) -> ActuatorModel:
    """The drives of the simulated arm as first-order lags with its speed limits.

    The inertia of the links, which depends on the posture, is left out of it.
    """
    config = config or ArmConfig()
    return ActuatorModel(
        {
            name: JointActuator(lag_ms=lag_ns * 1e-6, velocity_limit=limit)
            for name, lag_ns, limit in zip(JOINT_NAMES, config.lag_ns, config.speed_limit_rad_s, strict=True)
        }
    )


class Foresight:
    """A roll-forward that asks a copy of the simulator: nobody has a better one."""

    def __init__(self, arm: ArmSim) -> None:
        self._arm = arm

    def project(
        self,
        state: RobotState,
        past: Floats,  # noqa: ARG002
        commands: Floats,
        step_ns: int,
        first_ns: int,
    ) -> RobotState:
        """Return the state after `commands` from the arm's true state, as `RollForward.project`."""
        ahead = self._arm.fork()
        for index, command in enumerate(commands):
            ahead.step(command, step_ns if index else first_ns)
        return RobotState(state.later_ns(len(commands), step_ns, first_ns), ahead.q, ahead.qd)


class Episode:
    """One task under one control loop, from step to step.

    Args:
        task: The task, before its first step.
        execution: How chunks are executed.
        seed: Of the encoders' noise and the jitter of the delay.
    """

    def __init__(self, task: Task, execution: Execution, *, seed: int) -> None:
        self.environment = Environment(ArmSim(seed=seed), task)
        self.environment.begin()
        self.execution = execution
        self.commands: list[Floats] = []
        self.positions: list[Floats] = []
        self.swapped: list[bool] = []
        self.loop = ControlLoop(
            LoopSettings(STEP_NS, STEP_NS, np.zeros(3, dtype=bool), execution_rows=execution.rows),
            make_strategy(
                execution.strategy,
                launch="back_to_back",
                margin_ticks=execution.margin_steps,
                naive_aligned=execution.aligned,
            ),
            ChunkExecutor(),
            self._roll_forward(),
            MissPolicy("hold", deadline_ns=0, decay_ns=1),
            Limiter(execution.limits, 3),
            DelayEstimator(),
            history_ticks=64,
        )
        self._random = np.random.default_rng(seed)
        self._frame = self.environment.frame()
        self._next_frame_ns = FRAME_NS
        self._asked: tuple[Launch, int, Frame] | None = None
        self._answer: Floats | None = None
        self.loop.start()

    @property
    def finished(self) -> bool:
        """Whether the task is over."""
        return self.environment.task.finished

    def look(self) -> Sight | None:
        """Begin a step: read the joints, use an answer that is due, and return what the policy is asked with.

        Every sight must be answered through `answer` before the step goes on with `act`.
        """
        now_ns = self.environment.now_ns
        reading = self.environment.arm.read()
        self.loop.observe(RobotState(now_ns, reading.position, reading.velocity))
        self._deliver()
        launch = self.loop.launch(now_ns)
        if launch is None:
            return None
        longest = self.execution.jitter_steps
        steps = self.execution.delay_steps + (int(self._random.integers(longest + 1)) if longest else 0)
        self._asked = launch, now_ns + steps * STEP_NS, self._frame
        state = np.concatenate([launch.state.position, launch.state.velocity])
        return Sight(state, self._frame, self.environment.task.text, launch.request)

    def answer(self, chunk: Floats) -> None:
        """Take in what the policy plans; the loop gets it when the delay is over."""
        self._answer = chunk
        self._deliver()

    def act(self) -> Floats:
        """Send the command of this step, let it pass, and return the command."""
        environment = self.environment
        tick = self.loop.tick(environment.now_ns)
        assert tick is not None
        self.commands.append(tick.position)
        self.positions.append(environment.arm.q)
        self.swapped.append(tick.swapped is not None)
        for _ in range(STEP_NS // SUBSTEP_NS):
            environment.step(tick.position, SUBSTEP_NS)
            if environment.now_ns >= self._next_frame_ns:
                self._frame = environment.frame()
                self._next_frame_ns += FRAME_NS
        return tick.position

    def calm_twin(self) -> Episode:
        """The same episode without its task's next surprise; its records begin now."""
        twin = copy.copy(self)
        twin.environment = self.environment.fork(calm=True)
        twin.loop = self.loop.fork(twin._roll_forward())
        twin._random = copy.deepcopy(self._random)
        twin.commands, twin.positions, twin.swapped = [], [], []
        return twin

    def _deliver(self) -> None:
        if self._asked is None or self._answer is None or self._asked[1] > self.environment.now_ns:
            return
        launch, _, frame = self._asked
        self.loop.deliver(launch.request, self._answer, frame.captured_ns, self.environment.now_ns)
        self._asked = self._answer = None

    def _roll_forward(self) -> RollForward:
        kind = self.execution.roll_forward
        if kind == "perfect":
            return Foresight(self.environment.arm)
        if kind == "actuator":
            return self.execution.actuators or nominal_actuators()
        return make_roll_forward(kind)


@dataclass(frozen=True, slots=True)
class _Watch:
    """A surprise whose reaction is awaited: the episode that has it, and the twin that has not."""

    episode: Episode
    twin: Episode
    surprise_ns: int


@dataclass(frozen=True, eq=False)
class Figures:
    """What an execution achieved over some episodes.

    Attributes:
        trials: The decided trials of all episodes.
        reaction_ns: float64 [surprises], NaN where no command differed until the next surprise.
        jerk_m_s3: Root mean square of the fingertip's jerk.
        boundary_jump_rad: float64 [swaps]: by how much commands change where a chunk takes over.
        held_steps: Steps at which no chunk was in force, after the first one.
        steps: All steps.
        inferences: Answers of the policy.
        cpu_s: Processor time of all that, twins and policy included.
    """

    trials: tuple[Trial, ...]
    reaction_ns: Floats
    jerk_m_s3: float
    boundary_jump_rad: Floats
    held_steps: int
    steps: int
    inferences: int
    cpu_s: float

    @property
    def successes(self) -> int:
        """How many trials were done."""
        return sum(trial.success for trial in self.trials)

    @property
    def success_rate(self) -> float:
        """Share of the trials that were done, 0 without any."""
        return self.successes / len(self.trials) if self.trials else 0.0

    @property
    def success_ci95(self) -> tuple[float, float]:
        """Wilson's interval of the success rate."""
        return wilson_ci95(self.successes, len(self.trials))

    @property
    def reactions_missed(self) -> int:
        """How many surprises changed no command."""
        return int(np.isnan(self.reaction_ns).sum())

    def reaction_ms(self, quantile: float) -> float:
        """A quantile of the reactions that happened, NaN if none did."""
        seen = self.reaction_ns[~np.isnan(self.reaction_ns)]
        return float(np.quantile(seen, quantile)) * 1e-6 if len(seen) else math.nan

    @property
    def boundary_jump_rad_p95(self) -> float:
        """The 95 % quantile of the boundary jumps, NaN without any."""
        jumps = self.boundary_jump_rad
        return float(np.quantile(jumps, 0.95)) if len(jumps) else math.nan

    def completion_ms(self, quantile: float) -> float:
        """A quantile of the completion times of the trials that were done, NaN if none was."""
        took_ns = [trial.completion_ns for trial in self.trials if trial.completion_ns is not None]
        return float(np.quantile(took_ns, quantile)) * 1e-6 if took_ns else math.nan


def play(
    tasks: Iterable[Task],
    policy: ChunkPolicy,
    execution: Execution,
    *,
    seed: int = 0,
    differs_rad: float = 1e-3,
) -> Figures:
    """Play tasks side by side, an episode each, and ask the policy for all that launch at a step together.

    Args:
        tasks: The tasks, before their first step.
        policy: Plans chunks.
        execution: How chunks are executed.
        seed: Episode i gets `seed + i`.
        differs_rad: Commands that are further apart in any joint are different ones.
    """
    began_s = time.process_time()
    episodes = [Episode(task, execution, seed=seed + i) for i, task in enumerate(tasks)]
    active = episodes
    watches: list[_Watch] = []
    reactions_ns: list[float] = []
    while active:
        _ask(policy, [*active, *(watch.twin for watch in watches)])
        coming = [_Watch(e, e.calm_twin(), at_ns) for e in active if (at_ns := _surprise_ns(e)) is not None]
        for episode in active:
            episode.act()
        watches, decided_ns = _watch([*watches, *coming], differs_rad)
        reactions_ns += decided_ns
        active = [episode for episode in active if not episode.finished]
    jerks = [rms_jerk(forward(np.array(e.positions))[:, -1], STEP_NS * 1e-9) for e in episodes]
    jumps = [boundary_jumps(np.array(e.commands), np.array(e.swapped)) for e in episodes]
    return Figures(
        trials=tuple(trial for episode in episodes for trial in episode.environment.task.trials),
        reaction_ns=np.array(reactions_ns),
        jerk_m_s3=float(np.sqrt(np.mean(np.square(jerks)))),
        boundary_jump_rad=np.concatenate(jumps),
        held_steps=sum(e.loop.counters["stalled_ticks"] for e in episodes),
        steps=sum(len(e.commands) for e in episodes),
        inferences=sum(e.loop.counters["inferences"] for e in episodes),
        cpu_s=time.process_time() - began_s,
    )


def _ask(policy: ChunkPolicy, episodes: Sequence[Episode]) -> None:
    """Let episodes look, and answer those that ask in one call."""
    asking = [(episode, sight) for episode in episodes if (sight := episode.look()) is not None]
    if asking:
        chunks = policy([sight for _, sight in asking])
        for (episode, _), chunk in zip(asking, chunks, strict=True):
            episode.answer(chunk)


def _surprise_ns(episode: Episode) -> int | None:
    """When a surprise comes within the step that is about to pass, None if none does."""
    surprise_ns = episode.environment.task.surprise_ns
    if surprise_ns is None or surprise_ns > episode.environment.now_ns + STEP_NS:
        return None
    return surprise_ns


def _watch(watches: Sequence[_Watch], differs_rad: float) -> tuple[list[_Watch], list[float]]:
    """Let the twins act as their episodes just did; return the open watches and the decided reactions."""
    newest = {id(watch.episode): watch for watch in watches}
    still: list[_Watch] = []
    decided_ns: list[float] = []
    for watch in watches:
        now_ns = watch.twin.environment.now_ns
        command = watch.twin.act()
        if np.abs(command - watch.episode.commands[-1]).max() > differs_rad:
            decided_ns.append(float(now_ns - watch.surprise_ns))
        elif watch.episode.finished or newest[id(watch.episode)] is not watch:
            decided_ns.append(math.nan)
        else:
            still.append(watch)
    return still, decided_ns
