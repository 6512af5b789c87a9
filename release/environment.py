# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Commands, and virtual environments in which they run as for a user without any settings."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


class CheckError(Exception):
    """Something is not fit to be published."""


def run(
    command: Sequence[str | Path],
    *,
    folder: Path,
    environment: dict[str, str] | None = None,
    timeout_s: float = 900.0,
    stop_after_s: float | None = None,
) -> str:
    """Run a command in a process group of its own and return its standard output.

    Args:
        command: Program and arguments.
        folder: Where to run it.
        environment: All its variables; None hands down ours.
        timeout_s: When it has taken too long.
        stop_after_s: When to send it Ctrl-C, for what runs until then.

    Raises:
        CheckError: If it fails or takes too long.
    """
    words = [str(word) for word in command]
    process = subprocess.Popen(
        words,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    output = errors = ""
    try:
        if stop_after_s is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(stop_after_s)
            process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=timeout_s)
        failure = f"exit code {process.returncode}" if process.returncode else ""
    except subprocess.TimeoutExpired:
        failure = f"not done after {timeout_s:.0f} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if failure:
        tail = "\n".join((output + errors).splitlines()[-30:])
        raise CheckError(f"{failure}: {' '.join(words)}\n{tail}")
    return output


class Environment:
    """A virtual environment, and programs run from it as a user without any settings would."""

    def __init__(self, folder: Path, home: Path) -> None:
        run([sys.executable, "-m", "venv", folder], folder=folder.parent)
        self.bin = folder / "bin"
        self.home = home
        home.mkdir(parents=True, exist_ok=True)

    def install(self, *requirements: str) -> None:
        """Install into the environment with pip, with the user's settings for pip."""
        pip: list[str | Path] = [
            self.bin / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ]
        run([*pip, *requirements], folder=self.home)

    def variables(self) -> dict[str, str]:
        """Return all variables of what runs here: nothing is handed down."""
        # Above the domains of tests, and the last that have ports.
        domain = 210 + os.getpid() % 20
        return {
            "HOME": str(self.home),
            "PATH": f"{self.bin}:/usr/local/bin:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST",
            "LOWLAT_ENERGY_DIR": str(self.home / "energy"),
            "LOWLAT_TURN_DIR": str(self.home / "turn"),
        }

    def run(self, *command: str, timeout_s: float = 300.0, stop_after_s: float | None = None) -> str:
        """Run a program of the environment, as `run` does."""
        return run(
            [self.bin / command[0], *command[1:]],
            folder=self.home,
            environment=self.variables(),
            timeout_s=timeout_s,
            stop_after_s=stop_after_s,
        )
