# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The two timelines: steady time, and what /clock tells."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("rclpy")

from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock

from lowlat_nodes.nodes.bag.timeline import PHASE_NS, SimulatedTimeline, SteadyTimeline

TICK = 10_000_000
S = 1_000_000_000
MS = 1_000_000


def test_steady_ticks_keep_to_a_grid() -> None:
    timeline = SteadyTimeline()
    before_ns = time.monotonic_ns()
    deadline_ns = timeline.next_tick(TICK)
    assert deadline_ns > before_ns
    assert deadline_ns % TICK == PHASE_NS
    assert timeline.wait(deadline_ns)
    assert time.monotonic_ns() >= deadline_ns
    assert timeline.late_ns(deadline_ns) >= 0
    assert timeline.wait(before_ns)  # a deadline that has passed


def test_only_ages_cross_over_from_the_system_clock() -> None:
    timeline = SteadyTimeline()
    # Of several tries, because a process may lose its core between two clocks.
    tries = [(timeline.ros_ns(timeline.now_ns()), time.time_ns()) for _ in range(10)]
    assert min(abs(stamp_ns - system_ns) for stamp_ns, system_ns in tries) < S
    tries = [(timeline.from_ros(time.time_ns()), timeline.now_ns()) for _ in range(10)]
    assert min(abs(local_ns - now_ns) for local_ns, now_ns in tries) < S
    stamp_ns = time.time_ns()
    assert timeline.from_ros(stamp_ns - 5 * S) < timeline.from_ros(stamp_ns)


@pytest.fixture
def set_clock(robot: Any) -> Callable[[int], None]:
    """Sets the simulated time and waits until the timeline has it."""
    publisher = robot.outside.create_publisher(Clock, "/clock", 1)

    def set_to(timeline: SimulatedTimeline, now_ns: int) -> None:
        deadline = time.monotonic() + 60.0
        while timeline.now_ns() != now_ns:
            assert time.monotonic() < deadline, "no clock"
            publisher.publish(Clock(clock=Time(sec=now_ns // S, nanosec=now_ns % S)))
            time.sleep(0.01)

    return set_to


@pytest.mark.ros
class TestSimulatedTime:
    @pytest.fixture
    def timeline(self, robot: Any) -> SimulatedTimeline:
        return SimulatedTimeline(robot.outside)

    def test_it_begins_without_a_jump(self, timeline: Any, robot: Any) -> None:
        deadline_ns = timeline.next_tick(TICK)
        assert not timeline.wait(deadline_ns)
        publisher = robot.outside.create_publisher(Clock, "/clock", 1)
        robot.publish_until(publisher, Clock(clock=Time(sec=1_700_000_000)), lambda: timeline.now_ns() > 0)
        # Not a tick for each of the 54 years before.
        assert not timeline.jumped
        deadline_ns = timeline.next_tick(TICK)
        assert deadline_ns == 1_700_000_000 * S + TICK

    def test_a_first_time_ends_a_wait_for_none(self, timeline: Any, robot: Any) -> None:
        publisher = robot.outside.create_publisher(Clock, "/clock", 1)
        robot.spin_until(publisher.get_subscription_count)
        deadline_ns = timeline.next_tick(TICK)
        robot.publish_until(
            publisher,
            Clock(clock=Time(sec=1_700_000_000)),
            lambda: not timeline.wait(deadline_ns) and timeline._now_ns,
        )
        assert not timeline.jumped

    def test_it_is_its_own_ros_time(self, timeline: Any, set_clock: Any) -> None:
        set_clock(timeline, 100 * S)
        assert timeline.from_ros(99 * S) == 99 * S
        assert timeline.ros_ns(99 * S) == 99 * S

    def test_deadlines_come_with_the_clock_and_are_never_late(self, timeline: Any, set_clock: Any) -> None:
        set_clock(timeline, 100 * S)
        deadline_ns = timeline.next_tick(TICK)
        assert deadline_ns == 100 * S + TICK
        assert not timeline.wait(deadline_ns)
        set_clock(timeline, 100 * S + 25 * MS)
        assert timeline.wait(deadline_ns)
        assert timeline.late_ns(deadline_ns) == 0
        assert timeline.wait(deadline_ns + TICK)
        assert not timeline.wait(deadline_ns + 2 * TICK)
        assert not timeline.jumped

    @pytest.mark.parametrize("to_s", [99.9, 10.0, 102.0, 5000.0])
    def test_a_leap_is_noticed_until_the_next_tick_is_asked_for(
        self, timeline: Any, set_clock: Any, to_s: float
    ) -> None:
        set_clock(timeline, 100 * S)
        deadline_ns = timeline.next_tick(TICK)
        set_clock(timeline, round(to_s * S))
        assert timeline.jumped
        assert not timeline.wait(deadline_ns)
        deadline_ns = timeline.next_tick(TICK)
        assert not timeline.jumped
        assert deadline_ns == round(to_s * S) + TICK

    def test_a_clock_that_is_lost_sight_of_has_jumped(self, timeline: Any, set_clock: Any) -> None:
        set_clock(timeline, 100 * S)
        deadline_ns = timeline.next_tick(TICK)
        for step in range(1, 4):
            set_clock(timeline, 100 * S + step * 900 * MS)
        assert not timeline.jumped
        assert not timeline.wait(deadline_ns)
        assert timeline.jumped
