# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A loop beats once a period while it goes round, and is stuck when it has not for longer than it may."""

from __future__ import annotations

import pytest

from lowlat_nodes.stream.clock import ManualClock
from lowlat_nodes.stream.heartbeat import Heartbeat
from lowlat_nodes.stream.pulse import Pulse

MS = 1_000_000


class Loop:
    """A pulse of 100 ms in made-up time, and what it said."""

    def __init__(self) -> None:
        self.clock = ManualClock(1)
        self.heard: list[Heartbeat] = []
        self.failures: list[Exception] = []
        self.pulse = Pulse("/detector", self.heard.append, period_s=0.1, clock=self.clock)
        self.pulse.begin(self.failures.append)

    def turn(self, after_ms: int, sequence: int = 0) -> None:
        self.clock.advance(after_ms * MS)
        self.pulse.turn("running", sequence, 7)


def test_it_beats_at_once_and_then_once_a_period_however_fast_the_loop_is() -> None:
    loop = Loop()
    for number in range(301):
        loop.turn(1, number)
    assert [heartbeat.sequence for heartbeat in loop.heard] == [0, 100, 200, 300]
    assert loop.heard[1] == Heartbeat("/detector", "running", 100, 7, 100 * MS)


def test_an_idle_loop_is_told_to_wait_no_longer_than_until_the_next_beat() -> None:
    loop = Loop()
    loop.turn(0)
    assert loop.pulse.wait_s(10.0) == pytest.approx(0.1)
    assert loop.pulse.wait_s(0.02) == 0.02
    loop.clock.advance(90 * MS)
    assert loop.pulse.wait_s(10.0) == pytest.approx(0.01)
    loop.clock.advance(500 * MS)
    assert loop.pulse.wait_s(10.0) == 0.0


def test_a_loop_that_always_takes_long_announces_that_and_is_not_stuck() -> None:
    loop = Loop()
    loop.turn(0)
    for _ in range(20):
        loop.turn(2000)
        loop.clock.advance(2000 * MS)
        assert not loop.pulse.stuck
        loop.pulse.turn("running", 0, 0)
    assert 1900 * MS < loop.heard[-1].period_ns <= 4000 * MS


def test_one_slow_turn_is_forgotten() -> None:
    loop = Loop()
    loop.turn(0)
    loop.turn(3_600_000)
    assert loop.heard[-1].period_ns <= 10_000 * MS
    for _ in range(600):
        loop.turn(100)
    assert loop.heard[-1].period_ns == 100 * MS


def test_a_loop_is_stuck_three_periods_after_its_last_turn_and_no_longer_once_it_turns() -> None:
    loop = Loop()
    loop.turn(0)
    loop.clock.advance(300 * MS)
    assert (loop.pulse.stuck, loop.pulse.age_ns()) == (False, 300 * MS)
    loop.clock.advance(1)
    assert loop.pulse.stuck
    loop.turn(0)
    assert (loop.pulse.stuck, loop.pulse.age_ns()) == (False, 0)


def test_a_loop_that_has_ended_says_so_and_is_waited_for_no_more() -> None:
    loop = Loop()
    loop.turn(0)
    loop.pulse.end("stopped", 5, 0)
    loop.clock.advance(10_000 * MS)
    assert (loop.pulse.stuck, loop.pulse.age_ns()) == (False, 0)
    assert loop.heard[-1] == Heartbeat("/detector", "stopped", 5, 0, 0)


def test_a_loop_that_never_began_is_not_stuck() -> None:
    assert not Pulse("x").stuck


def test_a_beat_that_raises_is_told_and_tried_again_a_period_later() -> None:
    clock = ManualClock(1)
    failures: list[Exception] = []

    def beat(_heartbeat: Heartbeat) -> None:
        raise OSError("the socket is closed")

    pulse = Pulse("x", beat, period_s=0.1, clock=clock)
    pulse.begin(failures.append)
    pulse.turn("idle", 0, 0)
    pulse.turn("idle", 0, 0)
    assert list(map(str, failures)) == ["the socket is closed"]
    clock.advance(100 * MS)
    pulse.turn("idle", 0, 0)
    pulse.end("stopped", 0, 0)
    assert len(failures) == 3
