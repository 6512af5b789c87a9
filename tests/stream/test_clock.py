# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clocks tell integer nanoseconds; the manual one moves only when told."""

from __future__ import annotations

import threading
import time

import pytest

from lowlat_nodes.stream.clock import Clock, ManualClock, SteadyClock, SystemClock


def test_steady_clock_never_goes_back() -> None:
    clock = SteadyClock()
    readings = [clock.now_ns() for _ in range(1000)]
    assert readings == sorted(readings)


def test_system_clock_is_the_epoch_clock() -> None:
    before = time.time_ns()
    assert before - 10**9 <= SystemClock().now_ns() <= time.time_ns() + 10**9


@pytest.mark.parametrize("clock", [SteadyClock(), SystemClock(), ManualClock()])
def test_time_is_an_integer(clock: Clock) -> None:
    assert type(clock.now_ns()) is int


def test_manual_clock_stands_jumps_and_advances() -> None:
    clock = ManualClock(5)
    assert clock.now_ns() == clock.now_ns() == 5
    assert clock.advance(3) == clock.now_ns() == 8
    clock.set(2)
    assert clock.now_ns() == 2


def test_manual_clock_loses_no_advance_of_any_thread() -> None:
    clock = ManualClock()
    threads = [threading.Thread(target=lambda: [clock.advance(1) for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock.now_ns() == 4000
