# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where `lowlat energy show` has its figures from: the sampler of this host, or that of another one."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Protocol

from lowlat_nodes.cli.printable import printable
from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import energy_folder
from lowlat_nodes.energy.plain import UnreadableFigures, from_plain
from lowlat_nodes.nodes.stop import StopRequest
from lowlat_nodes.stream.clock import SystemClock

if TYPE_CHECKING:
    from lowlat_nodes.transport.zmq.curve import ClientKeys
    from lowlat_nodes.transport.zmq.tap import Tapped

TOPIC = "energy"
_LOOK_S = 0.1
_WAITING = 16


class FigureSource(Protocol):
    """Figures as they come."""

    def next(self, stop: StopRequest, timeout_s: float) -> Figures | None:
        """Wait for figures that are newer than the last; None if none came in time, or `stop` was set."""
        ...

    def why(self) -> str:
        """Say why nothing has come, and what to do."""
        ...

    def close(self) -> None:
        """Stop to listen."""
        ...


class HostSource:
    """The figures of this host."""

    def __init__(self) -> None:
        self._board = Board(energy_folder())
        self._last_ns = -1

    def next(self, stop: StopRequest, timeout_s: float) -> Figures | None:
        """Wait for figures that are newer than the last; None if none came in time, or `stop` was set."""
        left_s = timeout_s
        while True:
            figures = self._board.read()
            if figures is not None and figures.steady_ns != self._last_ns:
                self._last_ns = figures.steady_ns
                return figures
            if left_s <= 0.0 or stop.wait(min(_LOOK_S, left_s)):
                return None
            left_s -= _LOOK_S

    def why(self) -> str:
        """Say why nothing has come, and what to do."""
        return self._board.why or "the sampler has published nothing new"

    def close(self) -> None:
        """Stop to listen."""


class RemoteSource:
    """The figures of a host whose sampler publishes over ZeroMQ.

    Args:
        endpoint: Of that sampler.
        keys: To connect with; None for a connection in the clear.

    Raises:
        ConfigurationError: If the endpoint is none.
    """

    def __init__(self, endpoint: str, keys: ClientKeys | None) -> None:
        from lowlat_nodes.transport.zmq.tap import Tap

        self._came: deque[Figures] = deque(maxlen=_WAITING)  # who looks wants the newest
        self._refused = ""
        self._tap = Tap(endpoint, [TOPIC], clock=SystemClock(), keys=keys)
        self._tap.start(self._take)

    def next(self, stop: StopRequest, timeout_s: float) -> Figures | None:
        """Wait for figures; None if none came in time, or `stop` was set."""
        left_s = timeout_s
        while not self._came:
            if left_s <= 0.0 or stop.wait(min(_LOOK_S, left_s)):
                return None
            left_s -= _LOOK_S
        return self._came.popleft()

    def why(self) -> str:
        """Say why nothing has come, and what to do."""
        if self._refused:
            return f"{self._tap.endpoint} sends something else on {TOPIC!r}: {printable(self._refused)}"
        trouble = self._tap.link.trouble or "start `lowlat energyd --zmq ENDPOINT` or energy_node there"
        return f"nothing came from {self._tap.endpoint} on {TOPIC!r}: {printable(trouble)}"

    def close(self) -> None:
        """Stop to listen."""
        self._tap.stop()

    def _take(self, tapped: Tapped) -> None:
        try:
            self._came.append(from_plain(tapped.header.fields.get("fields")))
        except UnreadableFigures as error:
            self._refused = str(error)
