# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Several inferences under way: when they are launched, and how soon the robot knows what happened."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lowlat_nodes.control.delay import DelayEstimator
from lowlat_nodes.control.executor import ChunkExecutor, Outcome
from lowlat_nodes.control.follower import Served
from lowlat_nodes.control.limits import JointLimits, Limiter
from lowlat_nodes.control.loop import ControlLoop, Launch, LoopSettings
from lowlat_nodes.control.miss import MissPolicy
from lowlat_nodes.control.rollforward import LastAction
from lowlat_nodes.control.state import RobotState
from lowlat_nodes.control.strategies.make import make_strategy
from lowlat_nodes.control.strategies.strategy import Intent, Situation

TICK = 10_000_000
ROWS = 32


def decide(
    *,
    in_flight: int,
    since_ns: int,
    delay_ns: int = 40,
    changed: bool = False,
    remaining_ns: int = 500,
    launch: str = "back_to_back",
    slots: int = 2,
) -> Intent | None:
    strategy = make_strategy("pipelined", launch=launch, margin_ticks=1, naive_aligned=False, slots=slots)
    return strategy.decide(Situation(1000, 10, delay_ns, remaining_ns, in_flight, since_ns, changed))


def test_launches_are_an_even_share_of_the_delay_apart() -> None:
    assert decide(in_flight=1, since_ns=10) is None
    assert decide(in_flight=1, since_ns=20) == Intent(1050, project=True)
    assert decide(in_flight=1, since_ns=9, slots=4) is None
    assert decide(in_flight=3, since_ns=10, slots=4) == Intent(1050, project=True)


def test_it_waits_for_no_distance_where_nothing_is_under_way_or_the_scene_changed() -> None:
    assert decide(in_flight=0, since_ns=10) == Intent(1050, project=True)
    assert decide(in_flight=1, since_ns=10, changed=True) == Intent(1050, project=True)


def test_the_first_answer_is_waited_for() -> None:
    assert decide(in_flight=0, since_ns=0, delay_ns=0) == Intent(None)
    assert decide(in_flight=1, since_ns=10, delay_ns=0) is None


def test_just_in_time_a_change_is_reason_enough() -> None:
    assert decide(in_flight=0, since_ns=100, launch="just_in_time") is None
    assert decide(in_flight=0, since_ns=100, launch="just_in_time", changed=True) is not None
    assert decide(in_flight=1, since_ns=20, launch="just_in_time", remaining_ns=50) is not None


class Rig:
    """A loop whose policy answers each launch after some ticks, and plans the time at which it looked."""

    def __init__(self, strategy: str, slots: int, delays: Callable[[int], int], *, kept: int = 0) -> None:
        self.loop = ControlLoop(
            LoopSettings(TICK, 2 * TICK, np.array([False])),
            make_strategy(
                strategy,
                launch="back_to_back",
                margin_ticks=1,
                naive_aligned=False,
                slots=slots,
                kept_slots=kept,
            ),
            ChunkExecutor(),
            LastAction(),
            MissPolicy("hold", deadline_ns=0, decay_ns=1),
            Limiter(JointLimits(), 1),
            DelayEstimator(window=10),
        )
        self.delays = delays
        self.pending: list[tuple[int, Launch]] = []
        self.outcomes: list[Outcome | None] = []
        self.most = 0
        self.looked: list[float] = []  # ticks, by tick: when the policy looked that is followed now
        self.served: list[Served] = []
        self.changes: set[int] = set()
        self.loop.start()

    def run(self, ticks: int) -> Rig:
        for tick in range(ticks):
            now = tick * TICK
            self.loop.observe(RobotState(now, np.zeros(1), np.zeros(1)))
            for due in [each for each in self.pending if each[0] <= now]:
                self.pending.remove(due)
                actions = np.full((ROWS, 1), due[1].launched_ns / TICK)
                self.outcomes.append(self.loop.deliver(due[1].request, actions, 0, now).outcome)
            if tick in self.changes:
                self.loop.note_change()
            answer = self.loop.tick(now)
            assert answer is not None
            self.looked.append(float(answer.position[0]))
            self.served.append(answer.served)
            launch = self.loop.launch(now)
            if launch is not None:
                self.pending.append((now + self.delays(launch.request) * TICK, launch))
                self.most = max(self.most, len(self.pending))
        return self

    def blind(self, skip: int = 100) -> int:
        """Return for how many ticks an event may stay out of the commands at worst."""
        looked = self.looked[skip:]
        return max(
            next((later for later, at in enumerate(looked[tick:]) if at > tick + skip), 0)
            for tick in range(len(looked))
        )


@pytest.mark.parametrize(("slots", "worst"), [(2, 8 + 4), (4, 8 + 2)])
def test_an_event_is_known_after_one_inference_and_one_launch_period(slots: int, worst: int) -> None:
    rig = Rig("pipelined", slots, lambda request: 8).run(400)
    margin = 1
    assert rig.blind() <= worst + margin + 1
    assert Rig("vlash", 1, lambda request: 8).run(400).blind() >= 2 * 8
    assert rig.most == slots
    assert set(rig.served[20:]) == {Served.CHUNK}
    assert set(rig.outcomes[1:]) <= {Outcome.SCHEDULED, Outcome.SWAPPED}


def test_an_answer_that_was_overtaken_is_refused_and_nothing_stalls() -> None:
    rig = Rig("pipelined", 2, lambda request: 20 if request % 20 == 19 else 8).run(600)
    assert rig.outcomes.count(Outcome.SUPERSEDED) > 3
    assert set(rig.served[20:]) == {Served.CHUNK}
    assert rig.looked[20:] == sorted(rig.looked[20:])


def test_with_a_slot_kept_for_it_a_change_of_the_scene_waits_for_one_inference_only() -> None:
    rig = Rig("pipelined", 3, lambda request: 8, kept=1)
    rig.changes = set(range(101, 380, 37))
    rig.run(400)
    for tick in rig.changes:
        known = next(later for later in range(tick, 400) if rig.looked[later] >= tick)
        assert known - tick <= 8 + 1  # the margin
    assert rig.loop.counters["scene_changes"] == len(rig.changes)
    assert rig.most == 3
    assert Rig("pipelined", 3, lambda request: 8, kept=1).run(400).most == 2
