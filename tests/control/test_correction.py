# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the loop tells a corrector, and what becomes of corrections."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor
from lowlat_nodes.control.follower import Tick
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, LoopSettings, Outlook
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.rollforward import LastAction
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy

TICK, ACTION = 10_000_000, 20_000_000
ROWS = 8


class Rig:
    """A loop without a robot; a policy whose chunks hold the number of their request."""

    def __init__(self, strategy: str = "a2c2", **settings: Any) -> None:
        self.loop = ControlLoop(
            LoopSettings(TICK, ACTION, np.array([False]), correction_timeout_ns=2 * TICK, **settings),
            make_strategy(strategy, launch="just_in_time", margin_ticks=1, naive_aligned=False),
            ChunkExecutor(),
            LastAction(),
            MissPolicy("hold", deadline_ns=0, decay_ns=1),
            Limiter(JointLimits(), 1),
            DelayEstimator(),
        )
        self.now = 0
        self.loop.start()

    def tick(self) -> Tick:
        self.loop.observe(RobotState(self.now, np.zeros(1), np.zeros(1)))
        tick = self.loop.tick(self.now)
        assert tick is not None
        self.now += TICK
        return tick

    def chunk(self, slope: float = 0.0) -> None:
        """Let a chunk that was asked for at the last tick take over at the next, seen 30 ms before that."""
        launch = self.loop.launch(self.now - TICK)
        assert launch is not None
        rows = launch.request + slope * np.arange(float(ROWS))[:, None]
        assert self.loop.deliver(launch.request, rows, self.now - 30_000_000, self.now).outcome is not None

    def outlook(self, rows: int = 3) -> Outlook:
        outlook = self.loop.outlook(self.now, rows)
        assert outlook is not None
        return outlook

    def count(self, name: str) -> int:
        return self.loop.counters[name]


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.tick()
    made.chunk(slope=1.0)
    return made


def test_the_outlook_is_the_plan_at_the_coming_tick_and_action_periods_after_it(rig: Rig) -> None:
    rig.tick()
    outlook = rig.outlook()
    assert (outlook.at_ns, outlook.request) == (rig.now, 0)
    assert outlook.planned[:, 0].tolist() == [1.0, 2.0, 3.0]  # the chunk began at the launch, two ticks ago
    assert outlook.age_ns == 40_000_000
    assert rig.outlook(rows=12).planned[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 7, 7, 7, 7, 7]


def test_there_is_no_outlook_without_a_plan() -> None:
    rig = Rig()
    assert rig.loop.outlook(0, 3) is None
    rig.tick()
    rig.chunk()
    rig.tick()
    rig.loop.stop()
    assert rig.loop.outlook(rig.now, 3) is None


def test_a_correction_is_added_to_the_target_of_its_tick_and_after_until_it_expires(rig: Rig) -> None:
    rig.loop.correct(np.array([0.5]), rig.outlook())
    planned = 0.5 * np.arange(1, 5)
    ticks = [rig.tick() for _ in range(4)]
    assert [tick.position[0] for tick in ticks] == pytest.approx(planned + np.array([0.5, 0.5, 0.5, 0.0]))
    assert [tick.corrected for tick in ticks] == [True, True, True, False]
    assert rig.count("ticks_corrected") == 3
    assert rig.count("corrections") == 1


def test_a_new_chunk_is_not_corrected_by_what_the_one_before_lacked(rig: Rig) -> None:
    for _ in range(12):
        rig.tick()
    rig.loop.correct(np.array([0.5]), rig.outlook())
    expected = rig.outlook().planned[0] + 0.5
    rig.chunk()
    # It was made for this very tick, so its target stands; but not for the next.
    assert rig.tick().position == pytest.approx(expected)
    tick = rig.tick()
    assert (tick.position[0], tick.corrected) == (1.0, False)


def test_what_is_not_finite_is_counted_and_ignored(rig: Rig) -> None:
    outlook = rig.outlook()
    rig.loop.correct(np.array([0.5]), outlook)
    for bad in (np.nan, np.inf):
        rig.loop.correct(np.array([bad]), outlook)
    assert rig.count("corrections_not_finite") == 2
    assert rig.tick().position == pytest.approx([1.0])


def test_corrections_are_bounded() -> None:
    rig = Rig(max_correction=0.1)
    rig.tick()
    rig.chunk()
    for value in (5.0, -5.0):
        rig.loop.correct(np.array([value]), rig.outlook())
        assert rig.tick().position == pytest.approx([np.sign(value) * 0.1])


def test_the_robot_is_told_nothing_from_before_a_stop(rig: Rig) -> None:
    rig.loop.correct(np.array([0.5]), rig.outlook())
    rig.loop.stop()
    rig.loop.start()
    assert rig.tick().corrected is False


def test_the_state_at_the_swap_is_projected_over_the_corrected_plan() -> None:
    rig = Rig("vlash")
    rig.tick()
    rig.chunk()
    launches = []
    while rig.loop.outlook(rig.now, 1) is not None:
        rig.loop.correct(np.array([0.5]), rig.outlook())
        rig.tick()
        launches.append(rig.loop.launch(rig.now - TICK))
    (launch,) = filter(None, launches)
    assert launch.state.position == pytest.approx([0.5])
