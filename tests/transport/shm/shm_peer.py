# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A process that writes and reads shared memory as a test tells it to, one JSON line per command.

python shm_peer.py FOLDER
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lowlat_nodes.transport.shm import stale
from lowlat_nodes.transport.shm.backend import AnyReader, SharedReader, SharedWriter, open_writer
from lowlat_nodes.transport.shm.errors import LeaseError
from lowlat_nodes.transport.shm.place import Place
from lowlat_nodes.transport.shm.reader import Reader
from lowlat_nodes.transport.shm.writer import Writer


class Peer:
    """What a process can be told to do; answers are plain data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.reader: SharedReader = Reader(folder=folder)
        self.writers: list[SharedWriter] = []
        self.views: dict[str, list[memoryview]] = {}
        self.loans: list[Any] = []

    def writer(self, **options: Any) -> int:
        """Make a writer; the number of it."""
        self.writers.append(Writer(folder=self.folder, **options))
        return len(self.writers) - 1

    def backend(self, name: str, **options: Any) -> int:
        """Make a writer of a backend, and a reader of all; the number of the writer."""
        self.reader = AnyReader()
        self.writers.append(open_writer(name, **options))
        return len(self.writers) - 1

    def sweep(self) -> None:
        """Forget the dead."""
        self.reader.sweep()

    def put(self, size: int, value: int, writer: int = 0) -> Place | None:
        """Put so many bytes of that value; where they lie."""
        return self.writers[writer].put([np.full(size, value, np.uint8)])

    def put_when_told(self, size: int, value: int, writer: int = 0) -> Place | None:
        """Announce a message, and put it when the next line comes; where it lies, twice."""

        def announce(place: Place) -> None:
            print(json.dumps(place), flush=True)
            sys.stdin.readline()

        return self.writers[writer].put([np.full(size, value, np.uint8)], announce)

    def put_others(self, size: int, first: int, count: int, writer: int = 0) -> int:
        """Put messages of changing values; how many found a slot."""
        return sum(self.put(size, (first + number) % 256, writer) is not None for number in range(count))

    def loan(self, size: int, value: int) -> int:
        """Write half of a loan and keep it."""
        loan = self.writers[0].loan((size,), "u1")
        assert loan is not None
        loan.array[: size // 2] = value
        self.loans.append(loan)
        return size

    def lease(self, name: str, place: list[Any], size: int) -> str:
        """Lease a message and hold it under a name; what went wrong, or nothing."""
        segment, slot, generation, offsets = place
        try:
            self.views[name] = self.reader.lease(Place(segment, slot, generation, tuple(offsets)), [size])
        except LeaseError as error:
            return type(error).__name__
        return ""

    def values(self, name: str) -> list[int]:
        """Return which values are in what is held under that name."""
        return np.unique(np.frombuffer(self.views[name][0], np.uint8)).tolist()

    def drop(self, name: str) -> None:
        """Give a lease back."""
        del self.views[name]

    def counts(self, writer: int = 0) -> dict[str, int]:
        """Return what a writer could not write."""
        return self.writers[writer].counts.snapshot()

    def close(self) -> None:
        """Close all writers."""
        for writer in self.writers:
            writer.close()

    def become(self, user: int, group: int, groups: list[int]) -> None:
        """Change the user of this process."""
        os.setgroups(groups)
        os.setgid(group)
        os.setuid(user)

    def trust(self, group: str) -> None:
        """Read what members of a group write."""
        self.reader = Reader(group=group, folder=self.folder)

    def reap(self) -> int:
        """Remove stale segments; how many."""
        return stale.reap(self.folder).segments

    def put_in_child(self, size: int, value: int) -> Place | None:
        """Put a message in a child and close there; where it was."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, json.dumps(self.put(size, value)).encode())
            self.close()
            os._exit(0)
        os.waitpid(child, 0)
        place: Place | None = json.loads(os.read(reading, 4096))
        return place

    def fork_and_exit(self, name: str) -> list[int]:
        """Let a child drop a lease and end; what is held here afterwards."""
        child = os.fork()
        if not child:
            self.views.clear()
            self.reader.close()
            os._exit(0)
        os.waitpid(child, 0)
        return self.values(name)

    def leave_a_child(self) -> int:
        """Fork a child that sleeps until it is killed; its number, once it runs."""
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.write(writing, b"x")
            time.sleep(600.0)
            os._exit(0)
        os.read(reading, 1)
        return child


def main() -> None:
    peer = Peer(Path(sys.argv[1]))
    for line in sys.stdin:
        name, arguments = json.loads(line)
        command: Callable[..., Any] = getattr(peer, name)
        print(json.dumps(command(**arguments)), flush=True)


if __name__ == "__main__":
    main()
