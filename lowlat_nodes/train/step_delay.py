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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.actuator import ActuatorModel, JointActuator
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.ensemble import TemporalEnsemble
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, Launch, LoopSettings, Outlook
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.rollforward import RollForward, make_roll_forward
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.sim.arm import ArmConfig, ArmSim
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.kinematics import JOINT_NAMES, forward
from lowlat_nodes.sim.scene import Frame
from lowlat_nodes.sim.smoothness import boundary_jumps, rms_jerk
from lowlat_nodes.sim.task import Task
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.figures import Figures
from lowlat_nodes.train.sights import ChunkCorrector, ChunkPolicy, Glance, Sight

Floats = NDArray[np.float64]
STEP_NS: Final = 20_000_000
SUBSTEP_NS: Final = 10_000_000
FRAME_NS: Final = 33_333_333
OUTLOOK_ROWS: Final = 4


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
        launch: When an asynchronous strategy asks, one of `control.strategies.make.LAUNCHES`.
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
    launch: str = "back_to_back"
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
            LoopSettings(
                STEP_NS,
                STEP_NS,
                np.zeros(3, dtype=bool),
                execution_rows=execution.rows,
                correction_timeout_ns=STEP_NS,
            ),
            make_strategy(
                execution.strategy,
                launch=execution.launch,
                margin_ticks=execution.margin_steps,
                naive_aligned=execution.aligned,
            ),
            ChunkExecutor(),
            self._roll_forward(),
            MissPolicy("hold", deadline_ns=0, decay_ns=1),
            Limiter(execution.limits, 3),
            DelayEstimator(),
            ensemble=TemporalEnsemble() if execution.strategy == "temporal_ensemble" else None,
            history_ticks=64,
        )
        self._random = np.random.default_rng(seed)
        self._frame = self.environment.frame()
        self._next_frame_ns = FRAME_NS
        self._asked: list[tuple[Launch, int, Frame]] = []  # not yet answered by the policy
        self._answers: list[tuple[Launch, int, Frame, Floats]] = []  # on their way
        self._outlook: Outlook | None = None  # of the last glance
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
        self._asked.append((launch, now_ns + steps * STEP_NS, self._frame))
        return Sight(
            np.concatenate([launch.state.position, launch.state.velocity]),
            self._frame,
            self.environment.task.text,
            launch.request,
            (launch.start_ns - self._frame.captured_ns) / STEP_NS,
            launch.decided,
            launch.committed,
        )

    def answer(self, chunk: Floats) -> None:
        """Take in what the policy plans; the loop gets it when the delay is over."""
        self._answers.append((*self._asked.pop(0), chunk))
        self._deliver()

    def command(self) -> Floats:
        """Return the command of this step."""
        tick = self.loop.tick(self.environment.now_ns)
        assert tick is not None
        self.commands.append(tick.position)
        self.positions.append(self.environment.arm.q)
        self.swapped.append(tick.swapped is not None)
        return tick.position

    def glance(self) -> Glance | None:
        """Return what a corrector of the next step's command is asked with, None while nothing is planned."""
        next_ns = self.environment.now_ns + STEP_NS
        outlook = self._outlook = self.loop.outlook(next_ns, OUTLOOK_ROWS)
        if outlook is None:
            return None
        return Glance(
            np.concatenate([outlook.state.position, outlook.state.velocity]),
            self._frame,
            self.environment.task.text,
            outlook.planned,
            outlook.age_ns / STEP_NS,
        )

    def correct(self, correction: Floats) -> None:
        """Take in a correction of the next step's command, for the last glance."""
        assert self._outlook is not None
        self.loop.correct(correction, self._outlook)

    def pass_step(self) -> None:
        """Let the step pass under its command."""
        environment = self.environment
        for _ in range(STEP_NS // SUBSTEP_NS):
            environment.step(self.commands[-1], SUBSTEP_NS)
            if environment.now_ns >= self._next_frame_ns:
                self._frame = environment.frame()
                self._next_frame_ns += FRAME_NS

    def calm_twin(self) -> Episode:
        """The same episode without its task's next surprise; its records begin now."""
        twin = copy.copy(self)
        twin.environment = self.environment.fork(calm=True)
        twin.loop = self.loop.fork(twin._roll_forward())
        twin._random = copy.deepcopy(self._random)
        twin._asked, twin._answers = list(self._asked), list(self._answers)
        twin.commands, twin.positions, twin.swapped = [], [], []
        return twin

    def _deliver(self) -> None:
        now_ns = self.environment.now_ns
        due = [each for each in self._answers if each[1] <= now_ns]
        self._answers = [each for each in self._answers if each[1] > now_ns]
        for launch, _, frame, chunk in due:
            self.loop.deliver(launch.request, chunk, frame.captured_ns, now_ns)

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


def play(
    tasks: Iterable[Task],
    policy: ChunkPolicy,
    execution: Execution,
    *,
    corrector: ChunkCorrector | None = None,
    seed: int = 0,
    differs_rad: float = 1e-3,
) -> Figures:
    """Play tasks side by side, an episode each, and ask the policy for all that launch at a step together.

    Args:
        tasks: The tasks, before their first step.
        policy: Plans chunks.
        execution: How chunks are executed.
        corrector: Corrects each command after the first; asked at the step before.
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
        twins = [watch.twin for watch in (*watches, *coming)]
        _act(corrector, [*active, *twins])
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


def _act(corrector: ChunkCorrector | None, episodes: Sequence[Episode]) -> None:
    """Let a step of all episodes pass, with the next one's corrections asked for in one call."""
    for episode in episodes:
        episode.command()
    if corrector is not None:
        glances = [(episode, glance) for episode in episodes if (glance := episode.glance()) is not None]
        if glances:
            corrections = corrector([glance for _, glance in glances])
            for (episode, _), correction in zip(glances, corrections, strict=True):
                episode.correct(correction)
    for episode in episodes:
        episode.pass_step()


def _surprise_ns(episode: Episode) -> int | None:
    """When a surprise comes within the step that is about to pass, None if none does."""
    surprise_ns = episode.environment.task.surprise_ns
    if surprise_ns is None or surprise_ns > episode.environment.now_ns + STEP_NS:
        return None
    return surprise_ns


def _watch(watches: Sequence[_Watch], differs_rad: float) -> tuple[list[_Watch], list[float]]:
    """Compare the commands of twins and episodes; return the open watches and the decided reactions."""
    newest = {id(watch.episode): watch for watch in watches}
    still: list[_Watch] = []
    decided_ns: list[float] = []
    for watch in watches:
        now_ns = watch.twin.environment.now_ns - STEP_NS  # when the command was sent
        command = watch.twin.commands[-1]
        if np.abs(command - watch.episode.commands[-1]).max() > differs_rad:
            decided_ns.append(float(now_ns - watch.surprise_ns))
        elif watch.episode.finished or newest[id(watch.episode)] is not watch:
            decided_ns.append(math.nan)
        else:
            still.append(watch)
    return still, decided_ns
