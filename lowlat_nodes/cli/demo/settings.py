# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a run of the demo was told to do; kept beside its bags so that they can be scored again later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lowlat_nodes.cli.demo.kept import Kept
from lowlat_nodes.cli.demo.ways import COMPARED, NAMES
from lowlat_nodes.stream.errors import ConfigurationError

LEAST_TARGETS = 8


@dataclass(frozen=True)
class DemoSettings(Kept):
    """The settings of a comparison; every strategy gets the same.

    Attributes:
        strategies: Which strategies or presets run, in this order.
        targets: How many lights each of them is asked to touch.
        seed: Of the schedule and of the policy's noise.
        inference_delay_ms: How long every inference takes at least.
        record_images: Whether the bags hold the camera's images.
        tick_hz: Rate of the commands.
        joint_rate_hz: Rate of the joint states.
        image_rate_hz: Rate of the camera.
        parameters: Further parameters of the policy node, by dotted name; they have the last word.
    """

    strategies: tuple[str, ...] = COMPARED
    targets: int = 24
    seed: int = 1
    inference_delay_ms: float = 150.0
    record_images: bool = True
    tick_hz: float = 100.0
    joint_rate_hz: float = 200.0
    image_rate_hz: float = 30.0
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unknown = [name for name in self.strategies if name not in NAMES]
        if unknown or not self.strategies or len(set(self.strategies)) != len(self.strategies):
            raise ConfigurationError(
                f"expected different ones of {', '.join(NAMES)}, got {', '.join(self.strategies)}"
            )
        if not LEAST_TARGETS <= self.targets <= 10_000:
            raise ConfigurationError(
                f"expected {LEAST_TARGETS} to 10000 targets, got {self.targets}; fewer cannot be scored"
            )
        if self.seed < 0:
            raise ConfigurationError(f"expected a seed of at least 0, got {self.seed}")
        if not 0.0 <= self.inference_delay_ms <= 2000.0:
            raise ConfigurationError(f"expected a delay of 0 to 2000 ms, got {self.inference_delay_ms}")
