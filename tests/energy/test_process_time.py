# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""CPU time of processes and of the host, and process ids that are given anew."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from lowlat_nodes.energy.process_time import HostTime, ProcessClock, ProcessEnded, ProcessTimes
from lowlat_nodes.stream.process_id import ProcessId

# Works for so many ms of CPU time in each of three threads, says so, and works on in one of them when told.
WORK = """
import sys, threading, time
def work(ms):
    end = time.thread_time_ns() + ms * 1_000_000
    while time.thread_time_ns() < end:
        pass
for line in sys.stdin:
    threads = [threading.Thread(target=work, args=(int(line),)) for _ in range(3)]
    stay = threading.Event()
    keeper = threading.Thread(target=lambda: (work(int(line)), stay.wait()), daemon=True)
    keeper.start()
    for thread in threads: thread.start()
    for thread in threads: thread.join()
    print("done", flush=True)
"""


class Worker:
    """A process that works when told."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        found = ProcessId.of(process.pid)
        assert found is not None
        self.id = found

    def work(self, ms: int) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{ms}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


@pytest.fixture
def worker() -> Iterator[Worker]:
    with started() as it:
        yield it


@contextmanager
def started() -> Iterator[Worker]:
    with subprocess.Popen(
        [sys.executable, "-c", WORK], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Worker(process)
        finally:
            process.kill()


def schedstat_ns(pid: int) -> int:
    """Return the time of all threads that a process has now."""
    total_ns = 0
    for path in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            total_ns += int(path.read_text().split()[0])
    return total_ns


def test_all_threads_count_and_those_that_have_ended(worker: Worker) -> None:
    worker.work(1)  # or it may not have run at all yet
    clock = ProcessClock(worker.id)
    before_ns = clock.read_ns()
    assert before_ns >= schedstat_ns(worker.id.pid) > 0  # which may move in between
    worker.work(50)
    used_ns = clock.read_ns() - before_ns
    assert used_ns >= 150_000_000  # of the three that have ended, with the main thread's and the keeper's
    # Which knows nothing of those, but for the one that is joined and may not quite have gone.
    assert clock.read_ns() - schedstat_ns(worker.id.pid) >= 100_000_000
    assert clock.uid == os.getuid()
    clock.close()


def test_it_is_what_the_threads_used_as_long_as_none_has_ended() -> None:
    with subprocess.Popen(["sleep", "1000"]) as process:
        try:
            while b"sleep" not in Path(f"/proc/{process.pid}/comm").read_bytes():
                time.sleep(0.01)
            found = ProcessId.of(process.pid)
            assert found is not None
            clock = ProcessClock(found)
            for _ in range(1000):  # until it sleeps
                ns = clock.read_ns()
                if schedstat_ns(process.pid) == ns == clock.read_ns():
                    break
                time.sleep(0.01)
            else:
                pytest.fail("the two never agreed")
            clock.close()
        finally:
            process.kill()


def test_a_dead_process_has_no_clock(worker: Worker) -> None:
    clock = ProcessClock(worker.id)
    worker.kill()
    with pytest.raises(ProcessEnded):
        clock.read_ns()
    clock.close()
    with pytest.raises(ProcessEnded):
        ProcessClock(worker.id)


def test_a_number_that_another_process_has_by_now_is_not_it(worker: Worker) -> None:
    with pytest.raises(ProcessEnded):
        ProcessClock(ProcessId(worker.id.pid, worker.id.start - 1))


@pytest.mark.parametrize("pid", [0, -1, 1 << 30])
def test_a_number_that_no_process_has(pid: int) -> None:
    with pytest.raises(ProcessEnded):
        ProcessClock(ProcessId(pid, 1))


def test_processes_that_come_and_go(worker: Worker) -> None:
    times = ProcessTimes()
    with started() as other:
        times.follow({worker.id: os.getuid(), other.id: os.getuid()})
        worker.work(20)
        times.read()
        assert times.used_ns[worker.id] >= 60_000_000
        assert times.living() == {worker.id, other.id}
        other.work(10)
        times.read()
        other.kill()
        times.read()
        assert times.used_ns[other.id] >= 30_000_000
        assert times.living() == {worker.id}
    before_ns = times.used_ns[worker.id]
    times.follow({worker.id: os.getuid()})
    times.read()
    assert times.used_ns.keys() == {worker.id}
    assert times.used_ns[worker.id] >= before_ns
    times.close()
    assert times.used_ns == {}


def test_nobody_is_charged_for_a_process_of_somebody_else(worker: Worker) -> None:
    times = ProcessTimes()
    times.follow({worker.id: os.getuid() + 1})
    worker.work(10)
    times.read()
    assert times.used_ns == {worker.id: 0}
    assert times.living() == set()
    times.close()


def test_a_process_whose_number_was_given_to_another_is_not_charged(worker: Worker) -> None:
    former = ProcessId(worker.id.pid, worker.id.start - 1)
    times = ProcessTimes()
    times.follow({former: os.getuid()})
    worker.work(10)
    times.read()
    assert times.used_ns == {former: 0}
    assert times.living() == set()
    times.close()


def given_again(pid: int) -> int:
    """Return a process that has a number which another one had, and works; 0 where there can be none."""
    last = Path("/proc/sys/kernel/ns_last_pid")  # the kernel gives the next free number after it
    try:
        former = last.read_text()
        for _ in range(100):  # another process may be quicker
            last.write_text(str(pid - 1))
            child = os.fork()
            if child == 0:
                _work_as(pid)
            # Nobody else is to get a number that was in use just now.
            last.write_text(former)
            if child == pid:
                return child
            os.waitpid(child, 0)
    except OSError:
        pass
    return 0


def _work_as(pid: int) -> NoReturn:
    """Work for a second of CPU time, and wait, if this is the process of that number."""
    try:
        if os.getpid() == pid:
            end_ns = time.process_time_ns() + 1_000_000_000
            while time.process_time_ns() < end_ns:
                pass
            signal.pause()
    finally:
        os._exit(0)


def test_a_process_that_got_the_number_of_a_dead_one_is_not_charged_to_its_node(worker: Worker) -> None:
    times = ProcessTimes()
    times.follow({worker.id: os.getuid()})
    worker.work(10)
    times.read()
    used_ns = times.used_ns[worker.id]
    worker.kill()
    another = given_again(worker.id.pid)
    if not another:
        pytest.skip("this user may not choose the number of a process")
    try:
        while time.clock_gettime_ns((~another << 3) | 2) < used_ns + 50_000_000:
            time.sleep(0.01)
        times.read()
        assert times.used_ns == {worker.id: used_ns}
        assert times.living() == set()
        found = ProcessId.of(another)
        assert found is not None
        assert (found.pid, found.start) > (worker.id.pid, worker.id.start)
    finally:
        os.kill(another, signal.SIGKILL)
        os.waitpid(another, 0)
        times.close()


def test_the_host_is_busy_while_a_process_works(worker: Worker) -> None:
    host = HostTime()
    before_ns = host.busy_ns()
    worker.work(100)
    after_ns = host.busy_ns()
    assert before_ns is not None
    assert after_ns is not None
    assert after_ns - before_ns >= 200_000_000  # of 300 ms and more; ticks are coarse
    host.close()
    host.close()
