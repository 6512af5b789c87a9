# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How long inferences are made to take, so that a small policy stands for a large one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from lowlat_nodes.stream.config import setting

DISTRIBUTIONS = ("constant", "log_normal", "spikes")
_OWN_STREAM = 0x6C6174  # apart from the policy's noise, which may be seeded with the same numbers


@dataclass(frozen=True)
class LatencyConfig:
    """How the time of an inference varies around `policy.inference_delay_ms`."""

    distribution: str = setting(
        "constant",
        doc="constant: always policy.inference_delay_ms. log_normal: with that as the median. spikes: some "
        "inferences take spike_ms instead.",
        choices=DISTRIBUTIONS,
    )
    sigma: float = setting(0.4, doc="Standard deviation of the logarithm, for log_normal.", low=0.0, high=2.0)
    spike_share: float = setting(0.05, doc="Share of spikes.", low=0.0, high=1.0)
    spike_ms: float = setting(
        250.0, doc="How long an inference with a spike takes.", unit="ms", low=0.0, high=60_000.0
    )


class Latency:
    """Draws the least time of an inference from the number of its request, so a run can be repeated.

    Args:
        delay_ms: The constant, or the median.
        config: What varies.
        seed: Of the draws.
    """

    def __init__(self, delay_ms: float, config: LatencyConfig, seed: int) -> None:
        self._delay_ms = delay_ms
        self._config = config
        self._seed = seed

    @property
    def typical_ns(self) -> int:
        """Return the constant, or the median."""
        return round(self._delay_ms * 1e6)

    def draw_ns(self, request: int) -> int:
        """Return the least time of the inference for a request."""
        config = self._config
        if config.distribution == "constant":
            return self.typical_ns
        generator = np.random.default_rng((self._seed, request, _OWN_STREAM))
        if config.distribution == "spikes":
            spike = generator.random() < config.spike_share
            return round(config.spike_ms * 1e6) if spike else self.typical_ns
        return round(self._delay_ms * 1e6 * math.exp(config.sigma * generator.standard_normal()))
