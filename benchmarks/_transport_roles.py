# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes that may be killed: each does its part of a stream in which nothing may be lost, or of calls.

    sink       numbers from a file that remembers what is committed -> work for workers
    worker     work -> a line `NUMBER TIME` in its file for each number
    responder  answers the method `echo`
    caller     calls it, and writes a line `OUTCOME TIME` for each call

TIME is CLOCK_MONOTONIC in ns, which all processes of a machine share. A role ends by SIGTERM.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from lowlat_nodes.stream.clock import SystemClock
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.delivery import DEAD_LETTERS, Delivery
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.stream.requester import RequestError
from lowlat_nodes.transport.zmq.caller import Caller
from lowlat_nodes.transport.zmq.curve import ClientKeys, ServerKeys, load_client_keys, load_server_keys
from lowlat_nodes.transport.zmq.responder import Responder
from lowlat_nodes.transport.zmq.work_sink import WorkSink
from lowlat_nodes.transport.zmq.work_source import WorkSource

NUMBERS = "numbers"
_BATCH = 64


class NumberFile:
    """A `PullSource` of the numbers 0, 1, 2, ... in arrays, which goes on behind what was committed.

    Args:
        path: Remembers the next number; replaced as a whole.
        count: How many numbers there are.
        rate_hz: How fast they come, from the start of the process on.
        size: int64 values in each array, of which the first is the number.
    """

    def __init__(self, path: Path, count: int, rate_hz: float, size: int) -> None:
        self.drops = Counters()
        self.last_failure = ""
        self._path = path
        self._count = count
        self._rate_hz = rate_hz
        self._next = self._first = int(path.read_text()) if path.exists() else 0
        self._began_s = time.monotonic()
        self._array = np.zeros(size, np.int64)

    def poll(self, most: int, timeout_s: float) -> list[Message]:
        """Return the numbers that are due; see `PullSource`."""
        due = self._due()
        if most and due <= self._next < self._count:
            wait_s = (self._next + 1 - self._first) / self._rate_hz - (time.monotonic() - self._began_s)
            time.sleep(max(0.0, min(wait_s, timeout_s)))
            due = self._due()
        messages = []
        while self._next < due and len(messages) < most:
            array = self._array.copy()
            array[0] = self._next
            messages.append(Message(NUMBERS, array, sequence=self._next))
            self._next += 1
        return messages

    def commit(self) -> None:
        """Remember what comes next."""
        new = self._path.with_suffix(".new")
        new.write_text(str(self._next))
        new.replace(self._path)

    def before_handover(self, settle: Callable[[], None]) -> None:
        """Do nothing: nobody else reads this."""

    @property
    def exhausted(self) -> bool:
        """Return whether the last number was polled."""
        return self._next >= self._count

    @property
    def lag(self) -> int:
        """Return how many numbers are due."""
        return self._due() - self._next

    def close(self) -> None:
        """Do nothing: nothing is open."""

    def _due(self) -> int:
        passed = (time.monotonic() - self._began_s) * self._rate_hz
        return min(self._count, self._first + round(passed))


class Lines:
    """A `DurableSink` that writes a line for each number; what is flushed outlives the process."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines: list[str] = []

    def write(self, message: Message) -> None:
        """Keep a line until `flush`."""
        self._lines.append(f"{int(message.payload[0])} {time.monotonic_ns()}\n")

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002  # the kernel takes it at once
        """Write what is kept."""
        os.write(self._file, "".join(self._lines).encode())
        self._lines.clear()

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


class Passing(Processor):
    """Passes numbers on, as slowly as it is told to."""

    inputs, outputs = (NUMBERS,), (NUMBERS,)

    def __init__(self, busy_s: float = 0.0) -> None:
        self._busy_s = busy_s

    def process(self, message: Message) -> list[Message]:
        """Return the message."""
        if self._busy_s:
            time.sleep(self._busy_s)
        return [message]


def numbers_in(path: Path) -> dict[int, int]:
    """Return the time of each number in the file of a worker, of the first line where there are several."""
    found: dict[int, int] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        number, time_ns = line.split()
        found.setdefault(int(number), int(time_ns))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("role", choices=("sink", "worker", "responder", "caller"))
    options.add_argument("--endpoint", required=True, help="where sink and responder listen")
    options.add_argument("--keys", type=Path, help="folder of certificates; in the clear without")
    options.add_argument("--file", type=Path, help="what the sink has committed; the lines of worker, caller")
    options.add_argument("--count", type=int, default=1 << 40, help="numbers of the sink")
    options.add_argument("--rate-hz", type=float, default=1000.0, help="numbers of the sink, calls")
    options.add_argument("--size", type=int, default=1, help="int64 values in each message")
    options.add_argument("--busy-s", type=float, default=0.0, help="what a number takes the worker")
    options.add_argument(
        "--silent-after-s", type=float, default=1.0, help="when others get a worker's numbers"
    )
    options.add_argument("--timeout-s", type=float, default=0.2, help="of a call")
    given = options.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    if given.role == "sink":
        source = NumberFile(given.file, given.count, given.rate_hz, given.size)
        work = WorkSink(given.endpoint, NUMBERS, keys=server_keys(given.keys))
        return _deliver(Delivery(source, Passing(), {NUMBERS: [work], DEAD_LETTERS: []}, SystemClock()))
    if given.role == "worker":
        taken = WorkSource(
            given.endpoint,
            SystemClock(),
            topic=NUMBERS,
            keys=client_keys(given.keys),
            silent_after_s=given.silent_after_s,
        )
        sinks = {NUMBERS: [Lines(given.file)], DEAD_LETTERS: []}
        return _deliver(Delivery(taken, Passing(given.busy_s), sinks, SystemClock(), batch=_BATCH))
    if given.role == "responder":
        responder = Responder(
            given.endpoint, {"echo": lambda call: call.content}, keys=server_keys(given.keys)
        )
        responder.start()
        with contextlib.closing(responder):
            signal.pause()
        return 0
    return _call(given)


def server_keys(folder: Path | None) -> ServerKeys | None:
    return folder and load_server_keys(str(folder / "server.key_secret"), [str(folder / "client.key")])


def client_keys(folder: Path | None) -> ClientKeys | None:
    return folder and load_client_keys(str(folder / "client.key_secret"), str(folder / "server.key"))


def _deliver(delivery: Delivery) -> int:
    """Run until all is committed, or SIGTERM."""
    delivery.start()
    try:
        while not delivery.wait(0.2):
            pass
    finally:
        delivery.stop()
    return 0


def _call(given: argparse.Namespace) -> int:
    caller = Caller(given.endpoint, keys=client_keys(given.keys))
    content = [bytes(8 * given.size)]
    with contextlib.closing(caller), given.file.open("a", buffering=1, encoding="utf-8") as file:
        while True:
            begin_s = time.monotonic()
            try:
                caller.call("echo", content, given.timeout_s)
                outcome = "answered"
            except RequestError as error:
                outcome = error.reason
            file.write(f"{outcome} {time.monotonic_ns()}\n")
            time.sleep(max(0.0, begin_s + 1.0 / given.rate_hz - time.monotonic()))


if __name__ == "__main__":
    sys.exit(main())
