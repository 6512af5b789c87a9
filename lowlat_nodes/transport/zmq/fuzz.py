# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Decodes millions of changed messages in processes of their own, and counts what is not read nor refused.

Run by hand: python -m lowlat_nodes.transport.zmq.fuzz --messages 10000000 --processes 2
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import zmq

from lowlat_nodes.stream.errors import LowlatError
from lowlat_nodes.stream.payload import Serialised, Structure
from lowlat_nodes.transport.arrays import WireError
from lowlat_nodes.transport.bag.types import MessageTypes
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.structures import Structures
from lowlat_nodes.transport.zmq.frames import decode, encode
from lowlat_nodes.transport.zmq.mutate import Frames, Mutator, sound_messages

BATCH = 20_000
"""Messages of one seed."""

SLOW_S = 1.0
"""A message that takes more time of the processor hangs."""

PATIENCE_S = 60.0
"""So does a batch in which nothing is told for so long; it takes a third of a second."""

_COMMAND = [sys.executable, "-m", "lowlat_nodes.transport.zmq.fuzz", "--work"]
_KEPT = 10  # failures that are told in full
_SETTLED = 5  # batches after which memory should not grow
_SHARED = memoryview(bytes(1 << 16))


@dataclass
class Report:
    """What came of it.

    Attributes:
        messages: Messages that were read or refused.
        refused: Messages that were refused.
        crashes: Messages that raised anything but a refusal, and processes that died.
        hangs: Messages that took more than a second of the processor, and batches that never ended.
        growth_bytes: How much resident memory the process that grew most took on, after its first batches.
        seconds: How long it took.
        failures: The first messages that failed: the error, and the frames in hexadecimal digits.
        died: Numbers of the batches in which a process died or hung; with the seed, each can be run again.
    """

    messages: int = 0
    refused: int = 0
    crashes: int = 0
    hangs: int = 0
    growth_bytes: int = 0
    seconds: float = 0.0
    failures: list[dict[str, Any]] = field(default_factory=list)
    died: list[int] = field(default_factory=list)

    def add(self, other: Report) -> None:
        """Add what came of other messages."""
        self.messages += other.messages
        self.refused += other.refused
        self.crashes += other.crashes
        self.hangs += other.hangs
        self.growth_bytes = max(self.growth_bytes, other.growth_bytes)
        self.failures = (self.failures + other.failures)[:_KEPT]
        self.died += other.died


def run(messages: int, seed: int = 0, processes: int = 2) -> Report:
    """Decode changed messages in processes of their own.

    Args:
        messages: How many, rounded up to whole batches.
        seed: Of all that is random.
        processes: How many at once.
    """
    report, begin = Report(), time.monotonic()
    batches = -(-messages // BATCH)
    with ThreadPoolExecutor(processes) as pool:
        for part in pool.map(lambda first: _watch(seed, range(first, batches, processes)), range(processes)):
            report.add(part)
    report.seconds = time.monotonic() - begin
    return report


def _watch(seed: int, batches: range) -> Report:
    """Have processes work through batches, one after the other where one dies."""
    report = Report()
    while batches:
        numbers = [str(number) for number in (seed, batches.start, batches.stop, batches.step)]
        settled: list[int] = []
        with subprocess.Popen([*_COMMAND, *numbers], stdout=subprocess.PIPE, bufsize=0) as process:
            assert process.stdout is not None
            while batches:
                if not select.select([process.stdout], [], [], PATIENCE_S)[0]:
                    report.hangs += 1
                    break
                line = process.stdout.readline()
                if not line:
                    report.crashes += 1
                    break
                batches = batches[1:]
                part = json.loads(line)
                settled.append(part.pop("resident_bytes"))
                report.add(Report(**part))
            else:
                report.growth_bytes = max(report.growth_bytes, max(settled) - settled[:_SETTLED][-1])
                continue
            process.kill()
        report.died.append(batches[0])
        batches = batches[1:]
    return report


def _work(seed: int, batches: range) -> Iterator[dict[str, Any]]:
    """Decode the messages of some batches; yields what came of each, and how much memory there is."""
    sound = sound_messages()
    decoder = _Decoder()
    for batch in batches:
        report = Report()
        for frames in Mutator(sound, seed * 1_000_003 + batch).messages(BATCH):
            begin = time.thread_time()
            try:
                decoder.read(frames)
            except WireError:
                report.refused += 1
            except Exception as error:  # whatever it is: that it can happen is the finding
                report.crashes += 1
                what = f"{type(error).__name__}: {error}"[:500]
                report.failures.append({"error": what, "frames": [frame.hex() for frame in frames]})
            report.hangs += time.thread_time() - begin > SLOW_S
            report.messages += 1
        report.failures = report.failures[:_KEPT]
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        yield asdict(report) | {"resident_bytes": resident}


class _Decoder:
    """Decodes messages as subscribers do, and does with some of them what subscribers do next."""

    def __init__(self) -> None:
        self._structures = Structures(MessageTypes())
        self._turn = 0

    def read(self, frames: Frames) -> None:
        """Decode a message.

        Raises:
            WireError: If it is refused.
        """
        self._turn += 1
        parts: Sequence[Any] = [zmq.Frame(frame) for frame in frames] if self._turn % 8 == 0 else frames
        message = decode(parts, attach=_attach).message
        if self._turn % 8:
            return
        encode(message, message.topic, message.sequence)
        if isinstance(message.payload, Structure | Serialised):
            try:
                data = self._structures.write(message.payload)
                self._structures.read(message.payload.type_name, data)
            except LowlatError as error:  # of a type that is not known here, for example
                raise WireError(str(error)) from error


def _attach(_place: Place, sizes: Sequence[int]) -> list[memoryview]:
    if sum(sizes) > len(_SHARED):
        raise WireError("expected what is there")
    return [_SHARED[:size] for size in sizes]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a report as JSON; the status is 1 where anything crashed or hung."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m lowlat_nodes.transport.zmq.fuzz", description=summary)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--work", type=int, nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.work:
        seed, *batches = options.work
        for part in _work(seed, range(*batches)):
            print(json.dumps(part), flush=True)
        return 0
    report = run(options.messages, options.seed, options.processes)
    print(json.dumps(asdict(report), indent=2))
    return int(report.crashes + report.hangs > 0)


if __name__ == "__main__":
    sys.exit(main())
