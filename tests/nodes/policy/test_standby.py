# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Two threads and one row of deadlines: each is served once, by whoever is there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable

import pytest

pytest.importorskip("rclpy")

from lowlat_nodes.nodes.policy.standby import Standby
from lowlat_nodes.nodes.realtime import sleep_until

PERIOD_NS = 5_000_000
PATIENCE_S = 60.0

two_cores = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="a single core has no standby")


class Deadlines:
    """A grid whose deadlines note which thread served them."""

    def __init__(self) -> None:
        self.served: list[tuple[int, int]] = []
        self.standby = Standby(self.serve)
        self.standby.deadline_ns = time.monotonic_ns() + PERIOD_NS

    def serve(self, deadline_ns: int) -> None:
        self.standby.deadline_ns = max(deadline_ns, time.monotonic_ns()) + PERIOD_NS
        self.served.append((deadline_ns, threading.get_native_id()))

    def from_standby(self) -> int:
        return sum(thread != threading.get_native_id() for _, thread in self.served)


def until(condition: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.001)


def test_without_a_standby_the_caller_serves() -> None:
    deadlines = Deadlines()
    standby = deadlines.standby
    deadline_ns = standby.deadline_ns
    standby.serve(deadline_ns)
    standby.serve(deadline_ns)  # served already
    assert deadlines.served == [(deadline_ns, threading.get_native_id())]
    assert standby.taken_over == 0


@two_cores
def test_the_standby_serves_while_the_first_thread_is_held_up() -> None:
    deadlines = Deadlines()
    standby = deadlines.standby
    standby.start(after_ns=PERIOD_NS // 4)
    standby.watch(True)
    until(lambda: deadlines.from_standby() >= 3)
    standby.watch(False)
    until(lambda: standby.taken_over == deadlines.from_standby())
    assert len({deadline_ns for deadline_ns, _ in deadlines.served}) == len(deadlines.served)


@two_cores
def test_each_deadline_is_served_once_by_whoever_comes_first() -> None:
    deadlines = Deadlines()
    standby = deadlines.standby
    standby.start(after_ns=0)
    standby.watch(True)
    calls = 0
    while calls < 200:
        deadline_ns = standby.deadline_ns
        sleep_until(deadline_ns)
        standby.serve(deadline_ns)
        calls += 1
    standby.watch(False)
    times = [deadline_ns for deadline_ns, _ in deadlines.served]
    assert times == sorted(set(times))
    assert len(times) >= 200


@two_cores
def test_nothing_is_served_unless_it_watches() -> None:
    deadlines = Deadlines()
    standby = deadlines.standby
    standby.start(after_ns=0)
    time.sleep(10 * PERIOD_NS * 1e-9)
    assert deadlines.served == []
    standby.watch(True)
    until(lambda: deadlines.served)
    standby.watch(False)


@two_cores
def test_what_fails_in_the_standby_is_raised_in_the_first_thread() -> None:
    def fail(_deadline_ns: int) -> None:
        raise ConnectionError("the node is gone")

    standby = Standby(fail)
    standby.deadline_ns = time.monotonic_ns()
    standby.start(after_ns=0)
    standby.watch(True)
    until(lambda: standby.taken_over)
    for raises in (lambda: standby.serve(standby.deadline_ns), lambda: standby.watch(False)):
        with pytest.raises(ConnectionError, match="the node is gone"):
            raises()


@two_cores
def test_once_it_no_longer_watches_nothing_is_being_served() -> None:
    busy = threading.Event()

    def serve(_deadline_ns: int) -> None:
        standby.deadline_ns = time.monotonic_ns()
        busy.set()
        time.sleep(0.02)
        busy.clear()

    standby = Standby(serve)
    standby.start(after_ns=0)
    for _ in range(5):
        standby.deadline_ns = time.monotonic_ns()
        standby.watch(True)
        assert busy.wait(PATIENCE_S)
        standby.watch(False)
        assert not busy.is_set()
        assert standby.taken_over > 0


def test_a_single_core_has_no_standby() -> None:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    try:
        assert not Deadlines().standby.start(after_ns=0)
    finally:
        os.sched_setaffinity(0, allowed)
