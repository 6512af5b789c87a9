# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A child process that may die, hang or fail to load, and is replaced each time, ever more patiently."""

from __future__ import annotations

import math
import select
import subprocess
import time
from collections.abc import Callable
from typing import Any

from lowlat_nodes.nodes.child import start_child
from lowlat_nodes.nodes.policy.messages import unpack
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.transport.channel import Channel, ChannelClosedError

_BACK_OFF_S = (0.0, 0.25, 0.5, 1.0, 2.0)
_FORGIVEN_S = 30.0


class KeptProcess:
    """Starts a module and starts it again when it has ended.

    The child says `ready` or `refused` once it has loaded, and may tell `figures` at any time after that.

    Args:
        module: What it runs.
        what: What people call it, such as `the policy`.
        setup: Tells a new one over its channel what to load.
        load_timeout_s: How long that may take.

    Attributes:
        channel: To the present child.
        restarts: How many times it was replaced.
        problem: Why there is none that works, empty while there is.
        figures: What it last told of its turns at a shared device; empty if it never did.
    """

    def __init__(
        self, module: str, what: str, setup: Callable[[Channel], None], *, load_timeout_s: float
    ) -> None:
        self.restarts = 0
        self.problem = ""
        self.figures: dict[str, Any] = {}
        self._module = module
        self._what = what
        self._setup = setup
        self._load_timeout_s = load_timeout_s
        self._ended_s: list[float] = []
        self._restart_at_s: float | None = None
        self._start()

    def await_first(self, stop: StopRequest | None) -> dict[str, Any]:
        """Wait for the first child and return what it says when it is ready.

        Raises:
            ConfigurationError: If it refuses, ends or takes too long, or if a stop is asked for.
        """
        content = await_ready(self.channel, f"{self._what}", self._load_timeout_s, stop)
        self._loaded_by_s = math.inf
        return content

    def watch(self) -> dict[str, Any] | None:
        """Replace a child that has ended; call it several times a second.

        Returns:
            What a new child says when it is ready, None otherwise. It counts as working unless `replace` is
            called at once.
        """
        if self._restart_at_s is not None:
            if time.monotonic() >= self._restart_at_s:
                self._restart_at_s = None
                self._start()
            return None
        try:
            data = self.channel.receive()
        except ChannelClosedError:
            self._bury()
            return None
        if data is None:
            if time.monotonic() > self._loaded_by_s:
                self._loaded_by_s = math.inf
                self.replace(_late(self._what, self._load_timeout_s))
            return None
        kind, content = unpack(data)
        if kind == "figures":
            self.figures = content
            return None
        self._loaded_by_s = math.inf
        if kind == "refused":
            self.problem = content["reason"]
            return None
        self.problem = ""
        return content

    def replace(self, reason: str) -> None:
        """End a child that is of no use; `watch` starts another one."""
        self.problem = reason
        self._process.kill()

    def close(self) -> None:
        """Ask the child to end; `end` makes sure of it."""
        self.channel.close()

    def end(self, patience_s: float) -> None:
        """Wait for the end of a child that was asked, and kill it if that takes too long."""
        end(self._process, patience_s)

    def _start(self) -> None:
        self._process, self.channel = start_child(self._module)
        self._loaded_by_s = time.monotonic() + self._load_timeout_s
        self._setup(self.channel)

    def _bury(self) -> None:
        self.channel.close()
        self._process.kill()
        status = self._process.wait()
        self.problem = self.problem or f"{self._what} process ended with status {status}"
        self.restarts += 1
        now_s = time.monotonic()
        self._ended_s = [ended_s for ended_s in self._ended_s if ended_s > now_s - _FORGIVEN_S] + [now_s]
        self.figures = {}
        self._restart_at_s = now_s + _BACK_OFF_S[min(len(self._ended_s), len(_BACK_OFF_S)) - 1]


def await_ready(channel: Channel, what: str, timeout_s: float, stop: StopRequest | None) -> dict[str, Any]:
    """Wait until a new child says that it is ready, and return what it says.

    Raises:
        ConfigurationError: If it refuses, ends or takes too long, or if a stop is asked for.
    """
    watched = [channel] if stop is None else [channel, stop]
    ready, _, _ = select.select(watched, [], [], timeout_s)
    if stop in ready:
        raise ConfigurationError(f"told to stop before {what} was ready")
    if not ready:
        raise ConfigurationError(_late(what, timeout_s))
    try:
        data = channel.receive()
    except ChannelClosedError as error:
        raise ConfigurationError(f"{what} ended while starting; its output says why") from error
    assert data is not None
    kind, content = unpack(data)
    if kind == "refused":
        raise ConfigurationError(content["reason"])
    return content


def end(process: subprocess.Popen[bytes], patience_s: float) -> None:
    """Wait for the end of a process, and kill it if that takes too long."""
    try:
        process.wait(patience_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _late(what: str, timeout_s: float) -> str:
    return f"{what} was not ready within {timeout_s:g} s; see policy.load_timeout_ms"
