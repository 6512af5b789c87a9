# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Processes of this folder that answer lines with lines of JSON."""

from __future__ import annotations

import json
import select
import subprocess
import sys
from typing import Any


class Instrument:
    """A child process that answers lines with lines of JSON.

    Args:
        module: A module of this folder.
        arguments: Its arguments.
    """

    def __init__(self, module: str, **arguments: int) -> None:
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
        command = [sys.executable, "-m", f"lowlat_nodes.benchmarks.{module}", *flags]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str = "") -> None:
        """Send a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def answers(self) -> bool:
        """Return whether a line has begun to come, or the process has ended."""
        return bool(select.select([self._process.stdout], [], [], 0.0)[0])

    def hear(self) -> Any:
        """Wait for a line."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
