# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Other processes that write and read shared memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(__file__).with_name("shm_peer.py")


class PeerProcess:
    """A process of shm_peer.py; its commands are methods."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(PROGRAM), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, command: str, **arguments: Any) -> None:
        """Tell it to do something, without waiting."""
        assert self.process.stdin is not None
        print(json.dumps((command, arguments)), file=self.process.stdin, flush=True)

    def answer(self) -> Any:
        """Return what it says next."""
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def __call__(self, command: str, **arguments: Any) -> Any:
        """Tell it to do something, and return what it says."""
        self.send(command, **arguments)
        return self.answer()

    def go(self) -> None:
        """Have it do what it waits for."""
        assert self.process.stdin is not None
        print(file=self.process.stdin, flush=True)

    def kill(self) -> None:
        """Kill it as nobody can refuse."""
        self.process.kill()
        self.process.wait()

    def leave(self) -> None:
        """Let it end by itself."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait() == 0

    def stop(self) -> None:
        """Stop it in its tracks."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED)

    def go_on(self) -> None:
        """Let it run again."""
        self.process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, whatever state it is in."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
