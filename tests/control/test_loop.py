# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The control loop against a lagging robot in simulated time: swaps, misses, faults, projection."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from cubic_controller import Controller

from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor, Outcome
from lowlat_nodes.control.follower import Served, Tick
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, Delivery, Launch, LoopSettings
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.rollforward import LastAction, RollForward
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.stream.payload import Floats

TICK = 10_000_000
ACTION = 20_000_000
LAG_S = 0.06
HORIZON = 32


class Lag:
    """The same first-order lag as the simulated robot: a perfect roll-forward."""

    def project(
        self, state: RobotState, _past: Floats, commands: Floats, step_ns: int, first_ns: int
    ) -> RobotState:
        position = state.position
        for index, command in enumerate(commands):
            span_ns = step_ns if index else first_ns
            position = command + (position - command) * math.exp(-span_ns * 1e-9 / LAG_S)
        end_ns = state.stamp_ns + first_ns + (len(commands) - 1) * step_ns
        return RobotState(end_ns, position, np.zeros_like(position))


@dataclass
class Rig:
    """A loop, a robot of one joint and a policy, all in simulated time; `delays` are in ticks."""

    strategy: str = "vlash"
    delays: Callable[[int], int] = lambda request: 8
    policy: Callable[[float, int], Floats] = lambda q, request: ramp(q)
    roll_forward: RollForward = field(default_factory=Lag)
    launch: str = "back_to_back"
    aligned: bool = False
    miss: str = "decay"
    limits: JointLimits = field(default_factory=JointLimits)
    delta: bool = False
    merge: int = 1
    rows: int = 0
    age_ns: Callable[[int], int] = lambda tick: 0
    action_ns: int = ACTION
    delay_window: int = 10
    trajectories: bool = False
    early: bool = False  # launch before the command of the tick instead of after it

    def __post_init__(self) -> None:
        self.loop = ControlLoop(
            LoopSettings(
                TICK,
                self.action_ns,
                np.array([self.delta]),
                self.merge,
                self.rows,
                5 * TICK,
                trajectories=self.trajectories,
                horizon=HORIZON,
            ),
            make_strategy(self.strategy, launch=self.launch, margin_ticks=1, naive_aligned=self.aligned),
            ChunkExecutor(),
            self.roll_forward,
            MissPolicy(self.miss, deadline_ns=5 * TICK, decay_ns=5 * TICK),
            Limiter(self.limits, 1),
            DelayEstimator(window=self.delay_window),
        )
        self.now = 0
        self.q = np.array([0.0])
        self.sensing = True
        self.thinking = True
        self.ticks: list[Tick] = []
        self.states: dict[int, float] = {}
        self.launches: list[Launch] = []
        self.deliveries: list[Delivery] = []
        self.due: tuple[int, Launch] | None = None
        self.loop.start()

    def run(self, ticks: int) -> Rig:
        for _ in range(ticks):
            if self.sensing:
                self.loop.observe(
                    RobotState(self.now - self.age_ns(self.now // TICK), self.q.copy(), np.zeros(1))
                )
            self.states[self.now] = float(self.q[0])
            self._deliver()
            if self.early:
                self._launch()
                self._deliver()
            tick = self.loop.tick(self.now)
            if tick is not None:
                self.ticks.append(tick)
                self.q = tick.position + (self.q - tick.position) * math.exp(-TICK * 1e-9 / LAG_S)
            if not self.early:
                self._launch()
            self.now += TICK
        return self

    def _launch(self) -> None:
        asked = self.loop.launch(self.now, ready=self.thinking)
        if asked is not None:
            self.launches.append(asked)
            self.due = (self.now + self.delays(asked.request) * TICK, asked)

    def _deliver(self) -> None:
        if self.due is not None and self.due[0] <= self.now:
            launch = self.due[1]
            self.due = None
            actions = self.policy(float(launch.state.position[0]), launch.request)
            self.deliveries.append(self.loop.deliver(launch.request, actions, 0, self.now))

    def served(self) -> list[Served]:
        return [tick.served for tick in self.ticks]


def ramp(q: float, rate: float = 1.0) -> Floats:
    """Actions that move on from q at `rate` rad/s."""
    return q + rate * ACTION * 1e-9 * np.arange(1, HORIZON + 1)[:, None]


def test_vlash_never_stalls_after_its_first_chunk() -> None:
    rig = Rig().run(500)
    first = rig.served().index(Served.CHUNK)
    assert set(rig.served()[first:]) == {Served.CHUNK}
    assert rig.loop.counters["stalled_ticks"] == 0


def test_projection_and_swap_are_the_same_instant() -> None:
    rig = Rig().run(300)
    projected = {launch.intent.start_ns: launch for launch in rig.launches if launch.intent.project}
    swaps = [tick.swapped for tick in rig.ticks if tick.swapped is not None]
    aimed = [chunk for chunk in swaps if chunk.start_ns in projected]
    assert len(aimed) > 20
    for chunk in aimed:
        assert projected[chunk.start_ns].state.stamp_ns == chunk.start_ns
        assert projected[chunk.start_ns].request == chunk.request
    swapped_at = [index * TICK for index, tick in enumerate(rig.ticks) if tick.swapped in aimed]
    assert swapped_at == [chunk.start_ns for chunk in aimed]


def test_a_perfect_model_projects_the_state_that_the_robot_will_have() -> None:
    rig = Rig(delays=lambda request: 5 + request % 4).run(400)
    compared = 0
    for launch in rig.launches:
        start_ns = launch.intent.start_ns
        on_time = (
            rig.deliveries[launch.request].late_ns <= 0 if launch.request < len(rig.deliveries) else False
        )
        if launch.intent.project and on_time and start_ns in rig.states and launch.launched_ns > 100 * TICK:
            assert launch.state.position[0] == pytest.approx(rig.states[start_ns], abs=1e-9)
            compared += 1
    assert compared > 10


def test_a_launch_before_the_command_of_its_tick_projects_over_that_command_too() -> None:
    rig = Rig(early=True).run(300)
    compared = 0
    for launch in rig.launches[:-1]:
        if launch.intent.project and launch.intent.start_ns in rig.states:
            expected = rig.states[launch.intent.start_ns]
            assert launch.state.position[0] == pytest.approx(expected, abs=1e-9)
            compared += 1
    assert compared > 10
    assert rig.loop.counters["stalled_ticks"] == 0


@pytest.mark.parametrize("strategy", ["sync", "naive_async", "vlash"])
def test_an_answer_without_delay_goes_into_the_command_of_its_own_tick(strategy: str) -> None:
    rig = Rig(strategy, delays=lambda request: 0, early=True, rows=1).run(100)
    assert rig.served()[1:] == [Served.CHUNK] * 99
    swapped = {index: tick.swapped for index, tick in enumerate(rig.ticks) if tick.swapped is not None}
    assert all(chunk.start_ns == index * TICK for index, chunk in swapped.items())
    assert len(swapped) >= 49  # a row lasts for two ticks


def test_a_fork_goes_its_own_way_from_the_same_state() -> None:
    rig = Rig().run(100)
    fork = rig.loop.fork(Lag())
    assert fork.counters.snapshot() == {}
    (theirs,), (ours,) = fork.in_flight, rig.loop.in_flight
    assert theirs.request == ours.request
    for now in range(rig.now, rig.now + 3 * TICK, TICK):
        state = RobotState(now, rig.q, np.zeros(1))
        fork.observe(state)
        rig.loop.observe(state)
        ours, theirs = fork.tick(now), rig.loop.tick(now)
        assert ours is not None
        assert theirs is not None
        assert np.array_equal(ours.position, theirs.position)
    fork.stop()
    assert rig.loop.running


def test_last_action_projects_to_the_last_command_before_the_swap() -> None:
    rig = Rig(roll_forward=LastAction()).run(200)
    launch = next(launch for launch in rig.launches[3:] if launch.intent.project)
    assert launch.intent.start_ns is not None
    before = rig.ticks[launch.intent.start_ns // TICK - 1]
    assert launch.state.position == pytest.approx(before.position)


LIMITED = [
    JointLimits(),
    JointLimits(velocity=(0.7,)),
    JointLimits(acceleration=(2.0,)),
    JointLimits(lower=(-0.2,), upper=(0.4,), velocity=(1.5,), acceleration=(8.0,)),
]


@pytest.mark.parametrize("limits", LIMITED)
@pytest.mark.parametrize("miss", ["hold", "decay", "continue"])
@pytest.mark.parametrize(("delta", "trajectories"), [(False, False), (True, False), (False, True)])
def test_what_is_projected_is_executed_whatever_limits_act(
    limits: JointLimits, miss: str, delta: bool, trajectories: bool
) -> None:
    random = np.random.default_rng(7)
    ages, rates = random.integers(-2_000_000, 4 * TICK, 600), random.uniform(-3.0, 3.0, 600)
    rig = Rig(
        delays=lambda request: 8 + 70 * (request % 7 == 5) - request % 3,
        policy=lambda q, request: ramp(0.0 if delta else q, rates[request]),
        roll_forward=LastAction(),
        limits=limits,
        miss=miss,
        delta=delta,
        age_ns=lambda tick: int(ages[tick]),
        trajectories=trajectories,
    ).run(600)
    commands = {index * TICK: tick.position[0] for index, tick in enumerate(rig.ticks)}
    took_over = {tick.swapped.request: index * TICK for index, tick in enumerate(rig.ticks) if tick.swapped}
    compared = 0
    for launch in rig.launches:
        start_ns = launch.intent.start_ns
        if launch.intent.project and start_ns in commands:
            assert start_ns is not None
            assert launch.state.stamp_ns == start_ns
            # A later answer that is due before takes its place, after a spike of the delay.
            if not any(
                now_ns < start_ns for request, now_ns in took_over.items() if request > launch.request
            ):
                assert launch.state.position[0] == commands[start_ns - TICK]
                compared += 1
    assert compared > 15
    assert {Outcome.SCHEDULED, Outcome.EXPIRED} <= {delivery.outcome for delivery in rig.deliveries}


def test_a_state_between_ticks_is_rolled_forward_from_its_own_instant() -> None:
    class Clock:
        """Tells how long each command acts, oldest first."""

        def project(
            self, state: RobotState, _past: Floats, commands: Floats, step_ns: int, first_ns: int
        ) -> RobotState:
            acts.append((first_ns, commands[0, 0], len(commands)))
            return RobotState(
                state.later_ns(len(commands), step_ns, first_ns), state.position, state.velocity
            )

    acts: list[tuple[int, float, int]] = []
    rig = Rig(roll_forward=Clock(), age_ns=lambda tick: 4_900_000).run(100)
    launch = rig.launches[-1]
    first_ns, command, steps = acts[-1]
    assert launch.state.stamp_ns == launch.intent.start_ns
    # 4.9 ms before this tick the command before it was in force, and stays so for 4.9 ms.
    assert first_ns == 4_900_000
    assert command == rig.ticks[launch.launched_ns // TICK - 1].position[0]
    assert first_ns + (steps - 1) * TICK == launch.state.stamp_ns - (launch.launched_ns - 4_900_000)


@pytest.mark.parametrize("limits", [JointLimits(velocity=(1.0,)), JointLimits(upper=(1.0,))])
def test_limits_do_not_part_the_policy_from_the_robot(limits: JointLimits) -> None:
    rig = Rig(
        policy=lambda q, request: ramp(q, 3.0 if request < 40 else -3.0),
        roll_forward=LastAction(),
        limits=limits,
    ).run(600)
    for launch in rig.launches:
        assert abs(launch.state.position[0] - rig.states[launch.launched_ns]) < 0.5
    turned = next(launch for launch in rig.launches if launch.request == 40).intent.start_ns
    assert turned is not None
    assert rig.ticks[turned // TICK + 15].velocity[0] < 0.0


def test_sync_holds_while_it_thinks_and_counts_it() -> None:
    rig = Rig("sync").run(400)
    served = rig.served()
    cycle = HORIZON * ACTION // TICK
    first = served.index(Served.CHUNK)
    assert served[first : first + cycle] == [Served.CHUNK] * cycle
    assert Served.WAITING in served[first + cycle :]
    assert Served.MISSED not in served
    assert rig.loop.counters["stalled_ticks"] == served[first:].count(Served.WAITING)
    waits = [tick.position[0] for tick in rig.ticks[first + cycle : first + cycle + 5]]
    assert waits == pytest.approx([waits[0]] * 5)


def test_naive_plays_from_row_0_and_aligned_from_the_row_that_is_due() -> None:
    for aligned, row in ((False, 0.0), (True, 4.0)):
        rig = Rig("naive_async", aligned=aligned, policy=lambda q, request: np.arange(32.0)[:, None]).run(60)
        swap = next(index for index, tick in enumerate(rig.ticks) if tick.swapped is not None)
        assert rig.ticks[swap].position == pytest.approx([row])


def test_a_late_chunk_is_trimmed_to_now() -> None:
    rig = Rig(delays=lambda request: 8 if request < 12 else 11, policy=lambda q, r: np.arange(32.0)[:, None])
    rig.run(200)
    late = next(delivery for delivery in rig.deliveries if delivery.late_ns > 0)
    assert late.outcome is Outcome.TRIMMED
    index = (late.start_ns + late.late_ns) // TICK
    assert rig.ticks[index].position == pytest.approx([late.late_ns / ACTION])


def test_just_in_time_is_before_the_last_row_not_before_the_end_of_its_hold() -> None:
    period_ns = 5 * TICK
    rig = Rig(
        launch="just_in_time",
        roll_forward=LastAction(),
        action_ns=period_ns,
        policy=lambda q, request: q + 1e-9 * (TICK + period_ns * np.arange(HORIZON)[:, None]),
    ).run(1200)
    first = rig.served().index(Served.CHUNK)
    speed = np.diff([tick.position[0] for tick in rig.ticks[first:]]) / (TICK * 1e-9)
    assert speed.min() == pytest.approx(1.0, rel=1e-6)
    assert len([tick for tick in rig.ticks if tick.swapped]) > 5


def test_continue_goes_on_for_its_deadline_and_no_longer() -> None:
    rig = Rig(miss="continue").run(100)
    rig.thinking, rig.due = False, None
    rig.loop.fail(rig.launches[-1].request, "worker_lost")
    rig.run(120)
    running = next(tick.swapped for tick in reversed(rig.ticks) if tick.swapped)
    last, speed = running.last_ns // TICK, np.diff([tick.position[0] for tick in rig.ticks])
    assert speed[last - 1 : last + 5] == pytest.approx([TICK * 1e-9] * 6)
    assert (np.diff(speed[last + 4 : last + 40]) < 0.0).all()


def test_chunks_far_ahead_do_not_displace_those_that_come_before_them() -> None:
    """One answer in eight takes a second, so all are planned a second ahead, and most come long before."""
    rig = Rig(delays=lambda request: 100 if request % 40 < 5 else 8, delay_window=40).run(2000)
    assert rig.loop.delay.estimate_ns == 100 * TICK
    served = rig.served()[1000:]
    # While the slow ones are under way, a chunk lasts for two thirds of the time.
    assert served.count(Served.CHUNK) > 0.7 * len(served)


def test_the_delay_is_not_measured_across_a_jump_of_time() -> None:
    rig = Rig().run(40)
    while rig.due is None:
        rig.run(1)
    estimate_ns = rig.loop.delay.estimate_ns
    launch = rig.due[1]
    rig.loop.reset()
    for later in (3_600_000_000_000, 3_600_000_000_000 + TICK):
        rig.loop.observe(RobotState(later, np.zeros(1), np.zeros(1)))
        rig.loop.tick(later)
    delivery = rig.loop.deliver(launch.request, ramp(0.0), 0, 3_600_000_000_000 + 2 * TICK)
    assert delivery.outcome is Outcome.SUPERSEDED
    assert rig.loop.delay.estimate_ns == estimate_ns


@pytest.mark.parametrize("miss", ["hold", "decay", "continue"])
def test_a_slow_inference_runs_the_miss_policy_and_is_counted(miss: str) -> None:
    rig = Rig(delays=lambda request: 100 if request == 9 else 8, miss=miss).run(300)
    missed = [index for index, served in enumerate(rig.served()) if served is Served.MISSED]
    assert missed
    assert rig.loop.counters["misses"] == 1
    assert rig.loop.counters["stalled_ticks"] == len(missed)
    # The last row of the expired chunk was due one action before its end.
    last = missed[0] - ACTION // TICK
    speed = np.diff([tick.position[0] for tick in rig.ticks])[last : missed[-1]] / (TICK * 1e-9)
    assert speed[0] == pytest.approx({"hold": 0.0, "decay": math.exp(-0.2), "continue": 1.0}[miss], abs=0.01)
    assert abs(speed[-1]) < 0.05
    assert rig.served()[-1] is Served.CHUNK


def test_spikes_do_not_stretch_the_plan() -> None:
    rig = Rig(delays=lambda request: 80 if request % 12 == 11 else 8).run(1500)
    assert rig.loop.delay.estimate_ns <= 9 * TICK


def test_delta_actions_continue_from_the_command_at_the_swap() -> None:
    rig = Rig(delta=True, policy=lambda q, request: np.full((HORIZON, 1), 0.02)).run(300)
    first = rig.served().index(Served.CHUNK)
    steps = np.diff([tick.position[0] for tick in rig.ticks[first:]])
    assert steps == pytest.approx(np.full(len(steps), 0.01), abs=1e-9)


def test_merging_two_actions_doubles_the_pace() -> None:
    rig = Rig("sync", merge=2).run(200)
    first = rig.served().index(Served.CHUNK)
    lasts = HORIZON // 2 * ACTION // TICK
    assert rig.served()[first : first + lasts + 1] == [Served.CHUNK] * lasts + [Served.WAITING]
    rise = rig.ticks[first + 20].position[0] - rig.ticks[first].position[0]
    assert rise == pytest.approx(20 * TICK * 1e-9 * 2.0, rel=0.01)


def test_execution_rows_bound_what_is_executed() -> None:
    rig = Rig("sync", rows=5).run(60)
    first = rig.served().index(Served.CHUNK)
    assert rig.served()[first : first + 11] == [Served.CHUNK] * 10 + [Served.WAITING]


def test_nan_chunks_are_refused_and_the_plan_goes_on() -> None:
    rig = Rig(policy=lambda q, request: np.full((HORIZON, 1), np.nan) if request == 5 else ramp(q)).run(300)
    assert rig.loop.counters["chunks_not_finite"] == 1
    assert np.isfinite([tick.position[0] for tick in rig.ticks]).all()
    assert rig.loop.counters["stalled_ticks"] == 0


def test_finite_garbage_is_refused_like_nan_and_breaks_no_limit() -> None:
    limits = JointLimits(velocity=(2.0,), acceleration=(5.0,))
    garbage = np.full((HORIZON, 1), 1e12)
    rig = Rig(limits=limits, policy=lambda q, request: garbage if request > 5 else ramp(q)).run(400)
    assert rig.loop.counters["chunks_not_finite"] > 5
    assert rig.loop.counters["misses"] == 1
    path = np.array([tick.position[0] for tick in rig.ticks])
    assert np.abs(np.diff(path, 2)).max() <= 5.0 * (TICK * 1e-9) ** 2 * (1 + 1e-6)
    assert rig.served()[-1] is Served.MISSED
    assert path[-1] == pytest.approx(path[-2], abs=1e-9)


def test_nan_states_are_ignored_and_counted() -> None:
    rig = Rig().run(100)
    rig.loop.observe(RobotState(rig.now, np.array([np.nan]), np.zeros(1)))
    rig.loop.observe(RobotState(rig.now, np.zeros(1), np.array([np.inf])))
    assert rig.loop.counters["state_not_finite"] == 2
    assert rig.loop.state is not None
    assert np.isfinite(rig.loop.state.position).all()


def test_stale_states_stop_the_robot_and_fresh_ones_set_it_going() -> None:
    rig = Rig(limits=JointLimits(acceleration=(20.0,))).run(100)
    rig.sensing = False
    rig.run(60)
    assert rig.served()[-1] is Served.STALE
    stand = [tick.position[0] for tick in rig.ticks[-10:]]
    assert stand == pytest.approx([stand[0]] * 10)
    launched = len(rig.launches)
    rig.sensing = True
    rig.run(60)
    assert rig.served()[-1] is Served.CHUNK
    assert len(rig.launches) > launched


def test_an_answer_from_before_the_stale_time_is_refused() -> None:
    rig = Rig(delays=lambda request: 30 if request == 6 else 8).run(200)
    rig.run(1)
    while rig.due is None:
        rig.run(1)
    rig.loop.restart_plan()
    rig.run(40)
    assert rig.loop.counters["chunks_superseded"] == 1


def test_stop_brakes_within_the_limits_and_start_moves_again() -> None:
    rig = Rig(limits=JointLimits(velocity=(2.0,), acceleration=(10.0,))).run(150)
    rig.loop.stop()
    rig.run(60)
    assert {tick.served for tick in rig.ticks[-60:]} == {Served.STOPPED}
    velocity = np.array([tick.velocity[0] for tick in rig.ticks])
    assert np.abs(np.diff(velocity)).max() <= 10.0 * TICK * 1e-9 + 1e-9
    assert velocity[-1] == 0.0
    rig.loop.start()
    rig.run(60)
    assert rig.served()[-1] is Served.CHUNK


@pytest.mark.parametrize("gap", ["stop", "stale"])
def test_a_robot_that_was_moved_meanwhile_is_commanded_from_where_it_is(gap: str) -> None:
    rig = Rig(roll_forward=LastAction()).run(150)
    rig.loop.stop() if gap == "stop" else setattr(rig, "sensing", False)
    rig.run(60)
    stood = float(rig.ticks[-1].position[0])
    assert stood > 0.5
    rig.q = np.array([0.0])
    rig.loop.start()
    rig.sensing = True
    rig.run(60)
    path = np.array([tick.position[0] for tick in rig.ticks[-60:]])
    assert path[0] == pytest.approx(0.0, abs=1e-9)
    assert rig.served()[-1] is Served.CHUNK
    assert np.abs(path).max() < 0.8
    assert rig.loop.counters["robot_moved"] == 1


def test_a_joint_that_sags_under_load_goes_on_from_its_command() -> None:
    rig = Rig().run(150)
    rig.loop.stop()
    rig.run(60)
    stood = float(rig.ticks[-1].position[0])
    rig.q -= 0.08
    rig.loop.start()
    rig.run(1)
    assert rig.ticks[-1].position[0] == stood
    assert rig.loop.counters["robot_moved"] == 0


def test_a_start_while_it_brakes_is_no_jump() -> None:
    limits = JointLimits(velocity=(3.0,), acceleration=(10.0,))
    rig = Rig(limits=limits, policy=lambda q, request: ramp(q, 3.0)).run(150)
    rig.loop.stop()
    rig.run(3)
    rig.loop.start()
    rig.run(60)
    path = np.array([tick.position[0] for tick in rig.ticks])
    assert np.abs(np.diff(path, 2)).max() <= 10.0 * (TICK * 1e-9) ** 2 * (1 + 1e-6)
    assert rig.loop.counters["robot_moved"] == 0


def test_the_first_command_is_where_the_robot_is() -> None:
    rig = Rig()
    rig.q = np.array([0.7])
    rig.run(1)
    assert rig.ticks[0].position == pytest.approx([0.7])


def test_losing_the_policy_runs_the_plan_out_then_misses_then_resumes() -> None:
    rig = Rig().run(100)
    rig.thinking, rig.due = False, None
    rig.loop.fail(rig.launches[-1].request, "worker_lost")
    rig.run(120)
    assert rig.served()[-1] is Served.MISSED
    assert rig.loop.counters["failures_worker_lost"] == 1
    rig.thinking = True
    rig.run(60)
    assert rig.served()[-1] is Served.CHUNK


def test_answers_that_nobody_asked_for_are_counted_and_ignored() -> None:
    rig = Rig().run(50)
    assert rig.loop.deliver(10_000, ramp(0.0), 0, rig.now) == Delivery(None)
    assert rig.loop.counters["answers_unasked"] == 1


def test_no_tick_before_the_first_state() -> None:
    rig = Rig()
    rig.sensing = False
    rig.run(5)
    assert rig.ticks == []
    assert rig.launches == []


def test_no_tick_at_a_pose_that_the_robot_had_once() -> None:
    rig = Rig()
    rig.loop.observe(RobotState(-6 * TICK, np.array([0.7]), np.zeros(1)))
    rig.sensing = False
    rig.run(5)
    assert rig.ticks == []
    assert rig.launches == []
    assert rig.loop.counters["ticks_state_stale"] == 5
    rig.sensing = True
    rig.q = np.array([0.2])
    rig.run(1)
    assert rig.ticks[0].position == pytest.approx([0.2])


@pytest.mark.parametrize("strategy", ["vlash", "sync", "naive_async"])
@pytest.mark.parametrize("miss", ["hold", "decay", "continue"])
@pytest.mark.parametrize("seed", range(4))
def test_a_controller_that_gets_motions_is_where_the_commands_say_and_within_the_limits(
    strategy: str, miss: str, seed: int
) -> None:
    random = np.random.default_rng(seed)
    rates = random.uniform(-4.0, 4.0, 600)
    rig = Rig(
        strategy,
        delays=lambda request: 60 if random.random() < 0.1 else int(random.integers(3, 12)),
        policy=lambda q, request: ramp(q, rates[request]),
        roll_forward=LastAction(),
        limits=JointLimits(lower=(-0.8,), upper=(0.8,), velocity=(3.0,), acceleration=(20.0,)),
        miss=miss,
        trajectories=True,
    )
    robot, motions = Controller(), 0
    for tick in range(600):
        if random.random() < 0.02:
            random.choice(np.array([rig.loop.restart_plan, rig.loop.stop, rig.loop.start]))()
        if random.random() < 0.02:  # ticks are slept through
            robot.run(rig.now, rig.now + 3 * TICK)
            rig.now += 3 * TICK
        rig.sensing = not 300 < tick < 330
        rig.q = robot.at(rig.now * 1e-9)[:1]
        now_ns = rig.now
        rig.run(1)
        if tick == 0:
            continue
        answer = rig.ticks[-1]
        if answer.points is not None:
            robot.take(now_ns, answer.points)
            motions += 1
        robot.run(now_ns, rig.now)
        assert robot.at(rig.now * 1e-9)[:2] == pytest.approx(
            [answer.position[0], answer.velocity[0]], abs=1e-6
        )
    position, velocity, acceleration = np.abs(robot.samples).max(axis=0)
    assert 5 < motions < 150
    assert velocity <= 3.0 * (1 + 1e-6)
    assert acceleration <= 20.0 * (1 + 1e-5)
    assert position <= 0.8 + 20.0 * (ACTION * 1e-9) ** 2 / 16
    assert rig.loop.counters["robot_moved"] == 0


@pytest.mark.parametrize("strategy", ["vlash", "naive_async"])
def test_a_pace_makes_launches_rarer_and_lets_no_chunk_run_out(strategy: str) -> None:
    rig = Rig(strategy, aligned=True).run(300)
    rig.launches.clear()
    rig.loop.pace(30 * TICK)
    rig.run(600)
    apart = np.diff([launch.launched_ns for launch in rig.launches])
    assert (apart[1:] == 30 * TICK).all()
    assert rig.loop.counters["misses"] == 0
    rig.launches.clear()
    rig.loop.pace(0)
    rig.run(100)
    assert len(rig.launches) > 10


@pytest.mark.parametrize("strategy", ["vlash", "naive_async"])
def test_however_rare_launches_shall_be_a_chunk_is_there_when_the_last_one_ends(strategy: str) -> None:
    rig = Rig(strategy, aligned=True, delays=lambda request: 5 + request % 4).run(300)
    assert rig.loop.longest_pace_ns == (2 * (HORIZON - 1) - 8 - 2) * TICK
    rig.launches.clear()
    misses = rig.loop.counters["misses"]
    rig.loop.pace(10**15)
    rig.run(2000)
    assert rig.loop.counters["misses"] == misses
    apart = np.diff([launch.launched_ns for launch in rig.launches])
    assert apart[2:].min() >= rig.loop.longest_pace_ns - 2 * TICK


def test_whatever_the_pace_a_change_of_the_scene_is_looked_at() -> None:
    rig = Rig().run(100)
    rig.loop.pace(10**15)
    rig.run(2)
    rig.launches.clear()
    rig.loop.note_change()
    rig.run(10)
    assert len(rig.launches) == 1
