# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that are killed and stopped, connections that are reset: no work is lost, whatever happens."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from relay import relaying

from lowlat_nodes.benchmarks._transport_roles import numbers_in
from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.message import Message
from lowlat_nodes.transport.zmq.work_sink import WorkSink
from lowlat_nodes.transport.zmq.work_source import WorkSource

PATIENCE_S = 120.0


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Crew:
    """A sink and three workers, each a process."""

    COUNT = 3000
    NAMES = ("sink", "worker0", "worker1", "worker2")

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes = {name: self._start(name) for name in self.NAMES}

    def done(self) -> set[int]:
        """Return the numbers that were done."""
        return {number for name in self.NAMES[1:] for number in numbers_in(self._folder / name)}

    def committed(self) -> int:
        """Return how many numbers the sink is done with."""
        path = self._folder / "sink"
        return int(path.read_text()) if path.exists() else 0

    def kill(self, name: str) -> None:
        """Kill a process and start it again."""
        self._processes[name].kill()
        self._processes[name].wait()
        self._processes[name] = self._start(name)

    def stop(self, name: str, seconds: float) -> None:
        """Have a process stand still for so long."""
        self._processes[name].send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._processes[name].send_signal(signal.SIGCONT)

    def close(self) -> None:
        """Kill all."""
        for process in self._processes.values():
            process.kill()
            process.wait()

    def _start(self, name: str) -> subprocess.Popen[bytes]:
        command = [
            *(sys.executable, "-m", "lowlat_nodes.benchmarks._transport_roles", name.rstrip("012")),
            *("--endpoint", f"ipc://{self._folder}/work", "--file", str(self._folder / name)),
            *(("--rate-hz", "600", "--count", str(self.COUNT)) if name == "sink" else ()),
        ]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL)


def test_no_number_is_lost_whoever_is_killed_or_stopped(tmp_path: Path) -> None:
    dice = random.Random(1)
    with contextlib.closing(Crew(tmp_path)) as crew:
        until(lambda: bool(crew.done()))
        for _ in range(8):
            name = dice.choice(crew.NAMES)
            if dice.random() < 0.6:
                crew.kill(name)
            else:
                crew.stop(name, dice.uniform(0.1, 1.5))
            committed = crew.committed()
            assert set(range(committed)) <= crew.done()
            time.sleep(dice.uniform(0.0, 0.6))
        until(lambda: crew.committed() == crew.COUNT)
        assert crew.done() == set(range(crew.COUNT))


@contextlib.contextmanager
def working(address: str, done: list[int]) -> Iterator[None]:
    """A thread that works; what it has committed is done."""
    ended = threading.Event()

    def run() -> None:
        with contextlib.closing(WorkSource(address, SystemClock(), silent_after_s=PATIENCE_S)) as source:
            while not ended.is_set():
                messages = source.poll(16, 0.05)
                done.extend(int(message.payload[0]) for message in messages)
                source.commit()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_no_message_is_lost_with_connections_that_are_reset_all_the_time() -> None:
    dice = random.Random(1)
    done: list[int] = []
    ended = threading.Event()
    with (
        contextlib.closing(WorkSink("tcp://127.0.0.1:0", "jobs", window=200, patience_s=PATIENCE_S)) as sink,
        relaying(sink.endpoint) as relay,
        working(relay.address, done),
        working(relay.address, done),
    ):

        def cut() -> None:
            while not ended.wait(dice.uniform(0.05, 0.3)):
                relay.cut()

        cutting = threading.Thread(target=cut)
        cutting.start()
        for number in range(2000):
            sink.write(Message("", np.full(dice.choice([1, 10_000]), number)))
        ended.set()
        cutting.join()
        sink.flush(PATIENCE_S)
        assert set(done) == set(range(2000))
        assert relay.cuts
