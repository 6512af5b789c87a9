# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes of this folder that answer lines with lines of JSON."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

_END_S = 3.0


class Instrument:
    """A child process that answers lines with lines of JSON.

    Args:
        module: A module of this folder.
        environment: Of the process; that of this one unless given.
        prefix: A command that runs commands, such as `("ip", "netns", "exec", NAME)`.
        arguments: Its arguments.

    Attributes:
        pid: Number of the process, or of what `prefix` became.
    """

    def __init__(
        self,
        module: str,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        **arguments: int | str,
    ) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
        command = [*prefix, sys.executable, "-m", f"lowlat_nodes.benchmarks.{module}", *flags]
        self._name = " ".join([module, *flags])
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.pid = self._process.pid

    def tell(self, line: str = "") -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answers(self) -> bool:
        """Return whether a line has begun to come, or the process has ended."""
        return bool(select.select([self._process.stdout], [], [], 0.0)[0])

    def hear(self) -> Any:
        """Wait for a line.

        Raises:
            RuntimeError: If the process has ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._name} ended with {self._process.wait()}")
        return json.loads(line)

    def ask(self, line: str) -> Any:
        """Send a line and wait for the answer."""
        self.tell(line)
        return self.hear()

    def finish(self) -> Any:
        """End its input, and wait for the line with which it ends."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return self.hear()

    def end(self) -> None:
        """End its input, and the process if it does not end by itself."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self.close()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
