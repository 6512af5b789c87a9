# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A copy of examples/ with free ports, and its commands, run as its pages say."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 200.0

_PORT = re.compile(r"127\.0\.0\.1:(55\d\d)")


class Workplace:
    """A folder with a copy of the examples, in which commands are run.

    Args:
        folder: Where `examples` is copied to.
        environment: What the commands get beside the environment of the tests.
    """

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = {**os.environ, **environment}
        self.on_path(str(ROOT))
        self.environment["PATH"] = os.pathsep.join([self._scripts(), self.environment.get("PATH", "")])
        self.environment["PYTHONDONTWRITEBYTECODE"] = "1"
        junk = shutil.ignore_patterns("__pycache__", "build", "*.egg-info", ".pytest_cache")
        shutil.copytree(ROOT / "examples", folder / "examples", ignore=junk)
        self._ports: dict[str, str] = {}
        for path in (folder / "examples").rglob("*"):
            if path.suffix in {".yaml", ".py", ".md"}:
                path.write_text(_PORT.sub(self._free, path.read_text(encoding="utf-8")), encoding="utf-8")

    def on_path(self, folder: str) -> None:
        """Have Python find modules in a folder first."""
        path = [folder, self.environment.get("PYTHONPATH", "")]
        self.environment["PYTHONPATH"] = os.pathsep.join(filter(None, path))

    def documented(self, page: str, start: str, end: str = "") -> list[str]:
        """Return the command of a page that starts and ends like this, without the comment behind it."""
        text = (self.folder / "examples" / page).read_text(encoding="utf-8")
        lines = [line.partition(" # ")[0].strip() for line in text.splitlines()]
        (line,) = [line for line in lines if line.startswith(start) and line.endswith(end)]
        return [sys.executable if word == "python3" else word for word in shlex.split(line)]

    def run(self, command: list[str], *more: str, inside: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in this folder of the workplace."""
        return subprocess.run(
            [*command, *more],
            cwd=self.folder / inside,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )

    def start(self, command: list[str], **environment: str) -> Running:
        """Start a command that runs until it is told to end."""
        return Running(command, self.folder, {**self.environment, **environment})

    def _scripts(self) -> str:
        """Return a folder with `lowlat`, which not every installation puts where it is found."""
        folder = self.folder / "bin"
        folder.mkdir()
        script = folder / "lowlat"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lowlat_nodes.cli.main "$@"\n')
        script.chmod(0o755)
        return str(folder)

    def _free(self, match: re.Match[str]) -> str:
        if match[1] not in self._ports:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                self._ports[match[1]] = str(probe.getsockname()[1])
        return f"127.0.0.1:{self._ports[match[1]]}"


class Running:
    """A command that runs; what it says, on either output, is read as it comes."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.end()

    def wait_for(self, pattern: str, count: int = 1) -> re.Match[str]:
        """Wait until so many lines match, and return the last match."""

        def found() -> list[re.Match[str]]:
            return [match for line in self.lines if (match := re.search(pattern, line))]

        with self._changed:
            self._changed.wait_for(
                lambda: len(found()) >= count or self.process.poll() is not None, PATIENCE_S
            )
        matches = found()
        assert len(matches) >= count, f"not {count} of {pattern!r} in: {self.lines}"
        return matches[count - 1]

    def end(self, number: signal.Signals | None = None) -> int:
        """Wait for the end, after a signal if one is given; return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join(PATIENCE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code

    def _read(self) -> None:
        for line in self.process.stdout or ():
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()
