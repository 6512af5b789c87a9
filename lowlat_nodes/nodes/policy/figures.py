# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The latencies that the tick process measures, and their quantiles for the diagnostics."""

from __future__ import annotations

from itertools import cycle

from lowlat_nodes.inference.launches.meter import LaunchMeter
from lowlat_nodes.stream.histogram import Histogram

SHARES = (0.5, 0.99, 0.999, 1.0)
_WINDOW_NS = 1_000_000_000


class Figures:
    """Histograms since the activation, and some of the newest full second. All values are nanoseconds.

    Args:
        corrected: Whether the plan is corrected; otherwise the figures of corrections are not reported.

    Attributes:
        tick_late: From a deadline to the wake-up.
        publish_late: From a deadline to the publication of the command.
        state_age: Of the joint state in use, at a tick.
        inference: Time that an inference took.
        observation_age: From the capture of the oldest observation to the takeover of the chunk.
        correction: Time that a correction took.
        correction_age: From the capture of the oldest image to the tick that it corrects.
        launch: What launching the newest inferences cost, where the policy knows.
    """

    def __init__(self, *, corrected: bool = False) -> None:
        self.tick_late = Histogram()
        self.publish_late = Histogram()
        self.state_age = Histogram()
        self.inference = Histogram()
        self.observation_age = Histogram()
        self._all = {name: item for name, item in vars(self).items() if isinstance(item, Histogram)}
        self.correction = Histogram()
        self.correction_age = Histogram()
        if corrected:
            self._all |= {"correction": self.correction, "correction_age": self.correction_age}
        self.launch = LaunchMeter()
        self._turn = cycle(self._all)
        self._quantiles_ms: dict[str, list[float]] = {}
        self._window = {"inference": Histogram(), "observation_age": Histogram()}
        self._window_ms: dict[str, list[float]] = {}
        self._window_ends_ns = 0

    def clear(self) -> None:
        """Begin anew."""
        for histogram in self._all.values():
            histogram.clear()
        self.launch.clear()
        self._quantiles_ms = {}

    def record_inference(self, duration_ns: int) -> None:
        """Take note of an answer of the policy."""
        self.inference.record(duration_ns)
        self._window["inference"].record(duration_ns)

    def record_takeover(self, age_ns: int) -> None:
        """Take note of a chunk that takes over, by the age of what it was made from."""
        self.observation_age.record(age_ns)
        self._window["observation_age"].record(age_ns)

    def quantiles_ms(self) -> dict[str, list[float]]:
        """Return the quantiles `SHARES` by name; each call brings one of them up to date.

        One pass over a histogram takes 0.1 ms, which a tick at 500 Hz can spare; all would be felt.
        """
        name = next(self._turn)
        self._quantiles_ms[name] = _quantiles_ms(self._all[name])
        return self._quantiles_ms

    def window_ms(self, now_ns: int) -> dict[str, list[float]]:
        """Return the quantiles of the newest full second, and begin the next one when it is over."""
        if now_ns >= self._window_ends_ns:
            self._window_ends_ns = now_ns + _WINDOW_NS
            self._window_ms = {name: _quantiles_ms(item) for name, item in self._window.items() if item.count}
            for item in self._window.values():
                item.clear()
        return self._window_ms


def _quantiles_ms(histogram: Histogram) -> list[float]:
    return [value * 1e-6 for value in histogram.quantiles(SHARES)]
