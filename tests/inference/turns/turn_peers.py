# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Clients in other processes, and what the page of their device says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lowlat_nodes.inference.turns.page import EARLIEST_WORD, PAGE_BYTES, SLOTS, Field, State

PROGRAM = Path(__file__).with_name("turn_peer.py")
DEVICE = "cpu0"

_PATIENCE_S = 60.0


class PeerProcess:
    """A process of turn_peer.py."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.pid = process.pid

    def tell(self, command: str, *arguments: int) -> None:
        """Have something done, without waiting for it."""
        assert self.process.stdin is not None
        print(command, *arguments, file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        """Wait for the answer to the oldest command that has none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the peer has ended"
        return json.loads(line)

    def do(self, command: str, *arguments: int) -> Any:
        """Have something done, and return its answer."""
        self.tell(command, *arguments)
        return self.answer()

    def end(self) -> int:
        """Let it end by itself, and return its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait()


@contextmanager
def peer(folder: Path, name: str, *, deadline_ms: int = 0, timeout_ms: int = 0) -> Iterator[PeerProcess]:
    """Run a client that has declared a job of next to nothing, until the end of the block."""
    arguments = [str(folder), DEVICE, name, str(deadline_ms), str(timeout_ms)]
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            found = PeerProcess(process)
            assert found.answer() == "ready"
            yield found
        finally:
            process.kill()


def page_of(folder: Path) -> Path:
    """Return the file of the device."""
    return folder / f"{DEVICE}.turns"


def words(folder: Path) -> memoryview:
    """Return a copy of the page of the device."""
    copy = memoryview(page_of(folder).read_bytes()).cast("Q")
    assert 8 * len(copy) == PAGE_BYTES
    return copy


def earliest(folder: Path) -> int:
    """Return the earliest deadline of those that wait and come when they are called."""
    return int(words(folder)[EARLIEST_WORD])


def states(folder: Path) -> list[int]:
    """Return what the slots of the device do, but for those that are free."""
    return [state for state in words(folder)[Field.STATE : Field.STATE + SLOTS].tolist() if state]


def waiting(folder: Path, count: int) -> None:
    """Return once so many clients wait."""
    until(lambda: states(folder).count(State.WAITING) == count)


def until(true: Callable[[], bool]) -> None:
    """Return once something is so."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.002)
