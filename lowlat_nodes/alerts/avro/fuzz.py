# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Reads millions of changed records in processes of their own, and counts the processes that die or hang.

Run by hand: python -m lowlat_nodes.alerts.avro.fuzz --packets 10000000 --processes 2
A changed record ends where readable memory ends, so that reading one byte too many ends the process.
To see reads and writes elsewhere too, build with the sanitizers of GCC and run with them loaded:

    F="-fsanitize=address,undefined -fno-sanitize-recover=undefined"
    CFLAGS="$F" LDFLAGS="$F" python setup.py build_ext --inplace --force
    export ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc LD_PRELOAD=$(gcc -print-file-name=libasan.so)
    python -m lowlat_nodes.alerts.avro.fuzz
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from lowlat_nodes.alerts.avro.mutate import Mutator
from lowlat_nodes.alerts.avro.reader import Limits, Reader
from lowlat_nodes.alerts.avro.samples import project_all, random_record, random_schema
from lowlat_nodes.alerts.avro.schema import parse
from lowlat_nodes.alerts.projection import Decoded

BATCH = 8192
"""Packets of one record, one schema and one seed."""

SCHEMAS = 300
"""Random schemas, beside those that are given."""

PATIENCE_S = 60.0
"""A batch that takes longer hangs; one takes 20 ms."""

CHECKED = 4
"""Packets of each batch that are read in Python too, and must come out the same."""

Corpus = Sequence[tuple[bytes, Sequence[bytes]]]
"""Schemas, JSON, each with some of its records."""


@dataclass
class Report:
    """What came of it.

    Attributes:
        packets: Packets that were read or refused.
        refused: Packets that were refused.
        crashes: Batches in which the process died.
        hangs: Batches that took too long.
        mismatches: Packets that are something else in Python.
        seconds: How long it took.
        mechanism: What read.
        died: Numbers of the batches that crashed or hung; with the seed, each can be run again.
    """

    packets: int = 0
    refused: int = 0
    crashes: int = 0
    hangs: int = 0
    mismatches: int = 0
    seconds: float = 0.0
    mechanism: str = ""
    died: list[int] = field(default_factory=list)


def fuzz(packets: int, seed: int = 0, processes: int = 1, corpus: Corpus = ()) -> dict[str, Any]:
    """Read changed records in processes of their own.

    Args:
        packets: How many, rounded up to whole batches.
        seed: Of all that is random.
        processes: How many at once.
        corpus: Records to change, beside random ones of random schemas.

    Returns:
        The fields of a `Report`.
    """
    report, start = Report(), time.monotonic()
    batches = -(-packets // BATCH)
    with tempfile.TemporaryDirectory(prefix="lowlat_fuzz_") as folder:
        _store(Path(folder), seed, corpus)
        workers = [
            _Worker(Path(folder), seed, range(first, batches, processes)) for first in range(processes)
        ]
        try:
            _watch([worker for worker in workers if worker.start()], report)
        finally:
            for worker in workers:
                worker.end()
    report.seconds = time.monotonic() - start
    return asdict(report)


def _store(folder: Path, seed: int, corpus: Corpus) -> None:
    """Write schemas and records for the workers."""
    chance = random.Random(seed)
    every = [(schema, list(bodies)) for schema, bodies in corpus]
    for _ in range(SCHEMAS):
        schema = json.dumps(random_schema(chance)).encode()
        type_ = parse(schema)
        every.append((schema, [random_record(chance, type_) for _ in range(6)]))
    numbers = itertools.count()
    for schema, bodies in every:
        for body in bodies:
            # A record of no bytes has nothing to change.
            if body:
                number = next(numbers)
                (folder / f"{number:06}.schema").write_bytes(schema)
                (folder / f"{number:06}.body").write_bytes(body)


class _Worker:
    """A process that works through some batches, and is started anew behind one in which it died.

    Attributes:
        batches: What is left to do, the batch at hand first.
        deadline: When that one must be done, as `time.monotonic`.
    """

    def __init__(self, folder: Path, seed: int, batches: range) -> None:
        self._folder = folder
        self._seed = seed
        self.batches = batches
        self._process: subprocess.Popen[bytes] | None = None
        self.deadline = 0.0

    @property
    def output(self) -> IO[bytes]:
        """Where the process writes a line for each batch."""
        assert self._process is not None
        assert self._process.stdout is not None
        return self._process.stdout

    def start(self) -> bool:
        """Start the process; returns whether there is anything left to do."""
        if not self.batches:
            return False
        which = [self.batches.start, self.batches.stop, self.batches.step]
        command = [sys.executable, "-m", "lowlat_nodes.alerts.avro.fuzz", "--worker", str(self._folder)]
        command += ["--seed", str(self._seed), "--batches", *map(str, which)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
        self.deadline = time.monotonic() + PATIENCE_S
        return True

    def done(self) -> None:
        """Note that the batch at hand is done."""
        self.batches = self.batches[1:]
        self.deadline = time.monotonic() + PATIENCE_S

    def end(self) -> int:
        """End the process; returns its status, if it has ended by itself."""
        if self._process is None:
            return 0
        assert self._process.stdout is not None
        try:
            return self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._process.stdout.close()
            self._process = None


def _watch(workers: list[_Worker], report: Report) -> None:
    """Read what the workers say until all are done."""
    with selectors.DefaultSelector() as selector:
        for worker in workers:
            selector.register(worker.output, selectors.EVENT_READ, worker)
        while selector.get_map():
            for key, _ in selector.select(timeout=1.0):
                worker = key.data
                line = worker.output.readline()
                if line:
                    _add(report, json.loads(line))
                    worker.done()
                    continue
                selector.unregister(key.fileobj)
                if worker.end() != 0:
                    report.crashes += 1
                    _pass_over(worker, selector, report)
            for key in list(selector.get_map().values()):
                if time.monotonic() > key.data.deadline:
                    selector.unregister(key.fileobj)
                    key.data.end()
                    report.hangs += 1
                    _pass_over(key.data, selector, report)


def _add(report: Report, batch: dict[str, Any]) -> None:
    report.packets += batch["packets"]
    report.refused += batch["refused"]
    report.mismatches += batch["mismatches"]
    report.mechanism = batch["mechanism"]


def _pass_over(worker: _Worker, selector: selectors.BaseSelector, report: Report) -> None:
    """Go on behind the batch that a worker died of, if it was not at its end."""
    if worker.batches:
        report.died.append(worker.batches[0])
        worker.done()
    if worker.start():
        selector.register(worker.output, selectors.EVENT_READ, worker)


def _work(folder: Path, seed: int, batches: range) -> Iterator[dict[str, Any]]:
    """Run some batches; yields what came of each."""
    bodies = sorted(folder.glob("*.body"))
    # A million rows of a record without bytes are within what a reader allows, and would be all that it does.
    limits = Limits(rows=1000, bytes=1 << 26)
    for batch in batches:
        chance = random.Random(seed * 1_000_003 + batch)
        body = chance.choice(bodies)
        schema = body.with_suffix(".schema").read_bytes()
        # Narrow columns, so that texts go beyond them.
        projection = project_all(parse(schema), chance.choice((8, 256)))
        reader = Reader(schema, projection, limits)
        other = Reader(schema, projection, limits, "interpreted")
        read = refused = mismatches = 0
        for packets in Mutator(body.read_bytes(), seed + batch).rounds(BATCH):
            decoded = reader.read(packets)
            read += len(packets)
            refused += len(decoded.refused)
            for packet in packets[:CHECKED] if read == BATCH else ():
                mismatches += not same(reader.read([packet]), other.read([packet]))
        yield {
            "packets": read,
            "refused": refused,
            "mismatches": mismatches,
            "mechanism": reader.mechanism,
        }


def same(one: Decoded, other: Decoded) -> bool:
    """Whether two results are equal, NaN equal to NaN."""
    pairs = [(one.scalars, other.scalars)]
    for name, rows in one.tables.items():
        pairs.append((rows.columns, other.tables[name].columns))
        if not np.array_equal(rows.offsets, other.tables[name].offsets):
            return False
    return one.refused == other.refused and all(
        np.array_equal(column, others[name], equal_nan=column.dtype.kind == "f")
        for columns, others in pairs
        for name, column in columns.items()
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a report as JSON; the status is 1 where a process died or a packet came out wrong."""
    summary = (__doc__ or "").partition("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m lowlat_nodes.alerts.avro.fuzz", description=summary)
    parser.add_argument("--packets", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--batches", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker:
        for report in _work(options.worker, options.seed, range(*options.batches)):
            print(json.dumps(report), flush=True)
        return 0
    result = fuzz(options.packets, options.seed, options.processes)
    print(json.dumps(result, indent=2))
    return int(result["crashes"] + result["hangs"] + result["mismatches"] > 0)


if __name__ == "__main__":
    sys.exit(main())
