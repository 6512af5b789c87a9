# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A `lowlat serve alerts` on one core, and a sender and a receiver of its results on another."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

_END_S = 30.0
_PAGE = os.sysconf("SC_PAGE_SIZE")


class _Process:
    """A child process that says what it does in lines of JSON."""

    def __init__(self, *command: str, core: int | None = None) -> None:
        pin = [] if core is None else ["taskset", "--cpu-list", str(core)]
        self.process = subprocess.Popen(
            [*pin, sys.executable, "-m", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{line}\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.process.args} ended with {self.process.wait()}")
        return json.loads(line)

    def close(self) -> None:
        self.process.terminate()
        try:
            self.process.communicate(timeout=_END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()


class AlertSession:
    """Offers recorded alerts to a classifier and takes its results.

    Args:
        folder: For files of this session.
        data: The folder of recorded data.
        core: Where the classifier runs, with all its threads.
        other: Where sender and receiver run.
        parameters: Of the classifier, as NAME:=VALUE.
    """

    def __init__(
        self, folder: Path, data: Path, core: int, other: int, parameters: Sequence[str] = ()
    ) -> None:
        self._out = folder / "results.npy"
        settings = [
            "source.kind:=zmq",
            f"source.zmq.endpoint:=ipc://{folder}/packets",
            f"zmq.endpoint:=ipc://{folder}/results",
            *parameters,
        ]
        flags = [flag for setting in settings for flag in ("-p", setting)]
        with ExitStack() as started:

            def start(*command: str, core: int | None = None) -> _Process:
                process = _Process(*command, core=core)
                started.callback(process.close)
                return process

            self._service = start("lowlat_nodes.cli.main", "serve", "alerts", *flags, core=core)
            self.ready = self._service.hear()
            self._receiver = start(
                "lowlat_nodes.benchmarks._alerts_receiver",
                f"--endpoint={self.ready['results']}",
                "--topic=results",
                f"--core={other}",
                f"--out={self._out}",
            )
            self._receiver.hear()
            self._sender = start(
                "lowlat_nodes.benchmarks._alerts_sender",
                f"--endpoint={self.ready['source']}",
                f"--data={data}",
                f"--core={other}",
            )
            self.packets = self._sender.hear()
            self._processes = started.pop_all()

    def offer(
        self, what: str, count: int, patience_s: float = 20.0
    ) -> tuple[dict[str, Any], NDArray[np.int64]]:
        """Send alerts and wait for their results.

        Args:
            what: `flood COUNT` or `pace COUNT RATE`, see the sender.
            count: How many results are expected.
            patience_s: How long to wait for the next one.

        Returns:
            What the sender told, and number and arrival of each result.
        """
        self._receiver.tell(f"wait {count} {patience_s}")
        self._sender.tell(what)
        told = self._sender.hear()
        self._receiver.hear()
        return told, np.load(self._out)

    @property
    def pid(self) -> int:
        """Number of the classifier's process."""
        return self._service.process.pid

    def rss_mb(self) -> float:
        """Return the memory of the classifier that is resident."""
        pages = Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1]
        return int(pages) * _PAGE / 1e6

    def cpu_s(self) -> float:
        """Return the CPU time of the classifier so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        user, system = fields.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """End the processes."""
        self._processes.close()
