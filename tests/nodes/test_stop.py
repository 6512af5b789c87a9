# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A request to stop ends every wait, whoever makes it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

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


# In a process of its own: libraries that other tests have loaded handle signals behind Python's back.
SIGNALLED = """
import os, signal, sys, threading, time
from lowlat_nodes.nodes.stop import stop_on_signals

number = signal.Signals(int(sys.argv[1]))
former = signal.getsignal(number)
with stop_on_signals() as stop:
    threading.Timer(0.05, os.kill, (os.getpid(), number)).start()
    assert stop.wait(100.0)
    os.kill(os.getpid(), number)  # a second one changes nothing
    time.sleep(0.2)
    assert stop.is_set()
assert signal.getsignal(number) is former
print("went on")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_a_request(number: signal.Signals) -> None:
    command = [sys.executable, "-c", SIGNALLED, str(int(number))]
    run = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert (run.returncode, run.stdout.strip()) == (0, "went on"), run.stderr
