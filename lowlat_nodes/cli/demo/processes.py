# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The processes of one run, which end with it whatever happens."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from lowlat_nodes.nodes.child import die_with_parent
from lowlat_nodes.stream.errors import LowlatError

if TYPE_CHECKING:
    from typing_extensions import Self

_GRACE_S = 8.0
_POLL_S = 0.05
_LAST_LINES = 12


class ProcessError(LowlatError):
    """A process of the run ended before its time, or could not be started."""


class Processes:
    """A context in which processes run; leaving it ends those that are left, the newest first.

    Each is the leader of its own process group, and what it leaves behind there is ended with it. The kernel
    kills it when this process ends without leaving the context. A second Ctrl-C while they stop kills them.

    Args:
        folder: Where each process writes what it prints, to `NAME.log`.
        environment: All of their environment.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str], *, piped: bool = False) -> subprocess.Popen[bytes]:
        """Start a process.

        Args:
            name: What it is called in messages.
            argv: Program and arguments.
            piped: Whether its standard output is for us, instead of for its log.

        Raises:
            ProcessError: If the program cannot be started.
        """
        with (self._folder / f"{name}.log").open("wb") as log:
            try:
                # The preexec_fn is safe because this process has one thread.
                process = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE if piped else log,
                    stderr=log,
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
                )
            except OSError as error:
                raise ProcessError(f"{name} cannot be started: {error}") from error
        self._running[name] = process
        return process

    def check(self) -> None:
        """Make sure that all processes still run.

        Raises:
            ProcessError: If one has ended; with the last lines that it wrote.
        """
        for name, process in self._running.items():
            if process.poll() is not None:
                self._clear(process)
                raise ProcessError(self._obituary(name, process.returncode))

    def lines(self, name: str) -> Iterator[str]:
        """Yield what a piped process writes, line by line, until it ends; the others must live meanwhile.

        Yields an empty line now and then while there is nothing new.

        Raises:
            ProcessError: If another process ended.
        """
        process = self._running[name]
        assert process.stdout is not None
        descriptor, partial = process.stdout.fileno(), b""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while True:
            if poll.poll(_POLL_S * 1000):
                data = os.read(descriptor, 1 << 16)
                if not data:
                    return
                *whole, partial = (partial + data).split(b"\n")
                yield from (line.decode("utf-8", "replace") for line in whole)
            else:
                if process.poll() is None:
                    self.check()
                yield ""

    def finish(self, name: str) -> int:
        """Wait for a process that ends by itself and return its exit code."""
        process = self._running.pop(name)
        self._wait(process, _GRACE_S)
        self._clear(process)
        return process.returncode

    def stop(self, *names: str) -> dict[str, int]:
        """Stop processes and wait for them: SIGINT, and SIGTERM and SIGKILL for those that take no notice.

        Returns:
            Their exit codes, negative for the signal that ended one.
        """
        stopped = {name: self._running.pop(name) for name in names if name in self._running}
        try:
            for step in (signal.SIGINT, signal.SIGTERM):
                for process in stopped.values():
                    if process.poll() is None:
                        process.send_signal(step)
                for process in stopped.values():
                    self._wait(process, _GRACE_S)
        finally:
            for process in stopped.values():
                self._clear(process)
        return {name: process.returncode for name, process in stopped.items()}

    def last_lines(self, name: str) -> str:
        """Return the end of what a process printed to its log, indented."""
        text = (self._folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")
        return "\n".join(f"  {line}" for line in text.splitlines()[-_LAST_LINES:])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop(*reversed(self._running))

    @staticmethod
    def _wait(process: subprocess.Popen[bytes], patience_s: float) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience_s)

    @staticmethod
    def _clear(process: subprocess.Popen[bytes]) -> None:
        """End by force what is left of a process and its group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _obituary(self, name: str, code: int) -> str:
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return f"{name} {how} in the middle of the run; its last lines:\n{self.last_lines(name)}"
