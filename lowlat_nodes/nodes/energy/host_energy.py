# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The energy figures of a host, whoever samples it: this process, or the one that was first."""

from __future__ import annotations

import threading
from collections.abc import Callable

from lowlat_nodes.energy.board import Board
from lowlat_nodes.energy.figures import Figures
from lowlat_nodes.energy.folder import SamplerRunning
from lowlat_nodes.energy.sampler import Sampler, run
from lowlat_nodes.stream.counters import Counters
from lowlat_nodes.stream.heartbeat import RUNNING, STOPPED
from lowlat_nodes.stream.pulse import Pulse

_LOOK_S = 0.25  # at the board of another sampler
_AGAIN_S = 2.0  # between two attempts to sample


class HostEnergy:
    """Samples in a thread of its own; or, where another process does, reads what that one says.

    When that one ends, this one takes its place within seconds.

    Args:
        make: Makes the sampler; called in the thread, again after a failure.
        board: Where another sampler puts its figures.
        heard: Gets all figures, in the thread.
        pulse: Beats in the thread.
        rate_hz: Samples a second.

    Attributes:
        newest: The newest figures, None while there are none.
        samples: Whether this process samples.
        other: Who does where this one does not: what its refusal says; empty where this one does.
        failures: What went wrong in the thread, by the type of the error.
        last_failure: The newest of it.
    """

    def __init__(
        self,
        make: Callable[[], Sampler],
        board: Board,
        heard: Callable[[Figures], None],
        pulse: Pulse,
        rate_hz: float,
    ) -> None:
        self.newest: Figures | None = None
        self.samples = False
        self.other = ""
        self.failures = Counters()
        self.last_failure = ""
        self._make = make
        self._board = board
        self._heard = heard
        self._pulse = pulse
        self._rate_hz = rate_hz
        self._windows = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="energy", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and let another process sample."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        self._pulse.begin(lambda error: self._failed("beat", error))
        while not self._stopping.is_set():
            self._serve()
        self._pulse.end(STOPPED, self._windows, 0)

    def _serve(self) -> None:
        try:
            self._sample()
        except SamplerRunning as running:
            self.other = str(running)
            self._read()
        except Exception as error:  # a meter or a folder fails in ways of its own: it is tried again
            self._failed("sample", error)
            self.newest = None
            self._wait(_AGAIN_S)

    def _sample(self) -> None:
        sampler = self._make()
        self.samples, self.other = True, ""
        try:
            run(sampler, self._wait, self._take, self._rate_hz)
        finally:
            self.samples = False
            sampler.close()

    def _read(self) -> None:
        """Read the board as long as another process puts figures on it."""
        silent_s = 0.0
        while silent_s < _AGAIN_S:
            figures = self._board.read()
            if figures is None:
                self.newest = None
                silent_s += _LOOK_S
            else:
                silent_s = 0.0
                if self.newest is None or figures.steady_ns != self.newest.steady_ns:
                    self._take(figures)
            if self._wait(_LOOK_S):
                return

    def _take(self, figures: Figures) -> None:
        self.newest = figures
        self._windows += 1
        try:
            self._heard(figures)
        except Exception as error:  # a socket that fails is no reason to sample no more
            self._failed("publish", error)

    def _wait(self, seconds: float) -> bool:
        self._pulse.turn(RUNNING, self._windows, 0)
        return self._stopping.wait(seconds)

    def _failed(self, stage: str, error: Exception) -> None:
        self.failures.add(f"{stage}: {type(error).__name__}")
        self.last_failure = f"{stage}: {type(error).__name__}: {error}"
