# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What goes out for each kind of command contract."""

from __future__ import annotations

import numpy as np
import pytest

from lowlat_nodes.control.commands import Commands
from lowlat_nodes.control.contract import CommandConfig
from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.follower import Served
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, LoopSettings
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.rollforward import LastAction
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.stream.payload import Trajectory

TICK = 10_000_000
NAMES = ("a", "b")


def run(kind: str, ticks: int, *, stop_at: int = -1, answers: int = 1000) -> list[tuple[Served, object]]:
    """Run a policy that moves both joints at 1 rad/s, its inference taking two ticks."""
    loop = ControlLoop(
        LoopSettings(TICK, 2 * TICK, np.array([False, False]), trajectories=kind == "chunk"),
        make_strategy("vlash", launch="just_in_time", margin_ticks=1, naive_aligned=False),
        ChunkExecutor(),
        LastAction(),
        MissPolicy("decay", deadline_ns=0, decay_ns=TICK),
        Limiter(JointLimits(acceleration=(100.0,)), 2),
        DelayEstimator(),
    )
    commands = Commands(CommandConfig(kind=kind), NAMES, tick_ns=TICK)
    loop.start()
    sent, due, position = [], None, np.zeros(2)
    for index in range(ticks):
        now_ns = index * TICK
        if index == stop_at:
            loop.stop()
        loop.observe(RobotState(now_ns, position, np.zeros(2)))
        if due is not None and due[0] == index:
            start = due[1].state.position
            loop.deliver(due[1].request, start + 0.02 * np.arange(1, 9)[:, None] * np.ones(2), 0, now_ns)
            due = None
        tick = loop.tick(now_ns)
        assert tick is not None
        position = tick.position
        sent.append((tick.served, commands.payload(tick, 1_000_000 + now_ns)))
        launch = loop.launch(now_ns)
        due = (index + 2, launch) if launch is not None and launch.request < answers else due
    return sent


def test_positions_go_out_at_every_tick() -> None:
    payloads = [payload for _, payload in run("positions", 20)]
    assert all(isinstance(payload, np.ndarray) and payload.shape == (2,) for payload in payloads)


def test_points_carry_no_velocity_but_the_stamp_of_their_tick() -> None:
    for index, (_, payload) in enumerate(run("point", 20)):
        assert isinstance(payload, Trajectory)
        assert payload.start_ns == 1_000_000 + index * TICK
        assert payload.time_from_start_ns.tolist() == [TICK]
        assert payload.positions.shape == (1, 2)
        assert payload.velocities.size == 0


def trajectories(sent: list[tuple[Served, object]]) -> list[tuple[int, Trajectory]]:
    return [(index, item) for index, (_, item) in enumerate(sent) if isinstance(item, Trajectory)]


def test_a_chunk_goes_out_when_it_takes_over_and_ends_in_a_stand() -> None:
    sent = run("chunk", 40)
    chunks = trajectories(sent)
    assert len(chunks) >= 2
    for _, chunk in chunks:
        assert chunk.names == NAMES
        assert (np.diff(chunk.time_from_start_ns) == 2 * TICK).all()
        assert chunk.time_from_start_ns[0] > 0
        assert chunk.velocities[-1].tolist() == [0.0, 0.0]
        assert chunk.velocities[2] == pytest.approx([1.0, 1.0], abs=0.3)
    moving = [payload for served, payload in sent if served is Served.CHUNK]
    assert moving.count(None) == len(moving) - len(chunks)


def test_each_trajectory_begins_where_the_one_before_has_come_to() -> None:
    (first_at, first), (second_at, second) = trajectories(run("chunk", 40))[:2]
    reached_ns = (second_at - first_at) * TICK
    assert np.interp(reached_ns, first.time_from_start_ns, first.positions[:, 0]) == pytest.approx(
        second.positions[0, 0] - 0.02, abs=0.02
    )


def test_a_stop_sends_one_trajectory_to_a_stand_and_then_nothing() -> None:
    sent = run("chunk", 60, stop_at=20)
    after = [(index, item) for index, item in trajectories(sent) if index >= 20]
    assert [index for index, _ in after] == [20]
    assert not after[0][1].velocities[-1].any()
    assert len(after[0][1].positions) >= 1


def test_a_miss_is_foreseen_by_the_trajectory_before_it() -> None:
    """A robot that follows the last trajectory and one that is told of the miss go the same way."""
    sent = run("chunk", 60, answers=2)
    missed = next(index for index, (served, _) in enumerate(sent) if served is Served.MISSED)
    after = [item for index, item in trajectories(sent) if index >= missed]
    before = [item for index, item in trajectories(sent) if index < missed]
    for later in after:
        assert later.positions[-1] == pytest.approx(before[-1].positions[-1], abs=0.01)
    assert len(after) <= 1
