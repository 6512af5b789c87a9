# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop ends every wait, whoever makes it."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time

import pytest

from lowlat_nodes.nodes.stop import StopRequest, stop_on_signals

LONG_S = 100.0


def test_without_a_request_a_wait_ends_by_itself() -> None:
    stop = StopRequest()
    assert not stop.wait(0.001)
    assert not stop.wait(-1.0)
    assert not stop.is_set()
    stop.close()


def test_a_request_ends_the_wait_of_another_thread_and_all_later_ones() -> None:
    stop = StopRequest()
    timer = threading.Timer(0.05, stop.set)
    timer.start()
    assert stop.wait(LONG_S)
    assert stop.wait(LONG_S)
    timer.join()
    stop.close()


def test_a_process_that_ends_passes_over_further_signals() -> None:
    former = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with stop_on_signals(ends=True):
        pass
    assert {signal.getsignal(number) for number in former} == {signal.SIG_IGN}
    for number, handler in former.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    former = signal.getsignal(number)
    with stop_on_signals() as stop:
        timer = threading.Timer(0.05, os.kill, (os.getpid(), number))
        timer.start()
        assert stop.wait(LONG_S)
        os.kill(os.getpid(), number)  # a second one changes nothing
        handled, deadline = 0, time.monotonic() + LONG_S
        while handled < 2 and time.monotonic() < deadline:  # it may reach another thread, and come later
            with contextlib.suppress(BlockingIOError):
                handled += os.eventfd_read(stop.fileno())
            time.sleep(0.001)
        assert handled == 2
        assert stop.is_set()
        timer.join()
    assert signal.getsignal(number) == former
