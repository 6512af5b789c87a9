# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A client in a process of its own, which does as it is told line by line: `folder device name ms ms`."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from lowlat_nodes.inference.turns.shared import SharedTurn, TurnTimeout

_MS = 1_000_000
_CHILD_S = 120.0


class Peer:
    """The commands, and the client that they are for."""

    def __init__(self, folder: Path, device: str, name: str, deadline_ms: int, timeout_ms: int) -> None:
        self._mark = folder / "mark"
        self._turn = SharedTurn(
            device,
            name,
            period_ns=deadline_ms * _MS,
            deadline_ns=deadline_ms * _MS,
            timeout_ns=timeout_ms * _MS,
            folder=folder,
        )
        self._job = self._turn.job()
        for _ in range(2):
            with self._turn.job():
                pass
        self._turn.declare()

    def take(self) -> int:
        """Begin a job; return when."""
        self._job.__enter__()
        return time.monotonic_ns()

    def between(self) -> int:
        """End a segment; return when the job goes on."""
        self._turn.between()
        return time.monotonic_ns()

    def give(self) -> int:
        """End a job; return since when others may have the device."""
        now_ns = time.monotonic_ns()
        self._job.__exit__(None, None, None)
        return now_ns

    def loop(self, jobs: str) -> int:
        """Do jobs that last a little, and return how often somebody else was at work, too."""
        mine, disturbed = os.getpid().to_bytes(8, "little"), 0
        mark = os.open(self._mark, os.O_RDWR)
        for _ in range(int(jobs)):
            with self._turn.job():
                for _ in range(3):
                    os.pwrite(mark, mine, 0)
                    os.sched_yield()
                    disturbed += os.pread(mark, 8, 0) != mine
                    self._turn.between()
        return disturbed

    def figures(self) -> dict[str, Any]:
        """Return what diagnostics say."""
        return dict(self._turn.figures())

    def lock(self) -> str:
        """Begin a decision that never ends."""
        assert self._turn._page is not None
        self._turn._page.lock()
        return "locked"

    def fork(self) -> int:
        """Return the process id of a child that does nothing."""
        child = os.fork()
        if child == 0:
            time.sleep(_CHILD_S)
            os._exit(0)
        return child

    def fail(self) -> None:
        """End the process in the middle of something."""
        raise SystemExit(3)


def main() -> None:
    """Do as told until the input ends."""
    peer = Peer(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        try:
            said: Any = getattr(peer, command)(*arguments)
        except TurnTimeout as error:
            said = {"timeout": str(error)}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
