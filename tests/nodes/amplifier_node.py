# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A small node for tests, and a program that runs it: multiplies joint positions by a gain."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lowlat_nodes.nodes.base import NodeSettings
from lowlat_nodes.nodes.processor_node import Hosted, ProcessorNode
from lowlat_nodes.nodes.run import run
from lowlat_nodes.stream.config import section, setting
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.stream.message import Message
from lowlat_nodes.stream.processor import Processor
from lowlat_nodes.transport.ros import Input, Output


@dataclass(frozen=True)
class Limits:
    low: float = setting(-100.0, doc="Smallest output.", live=True)
    high: float = setting(100.0, doc="Largest output.", live=True)


@dataclass(frozen=True, kw_only=True)
class AmplifierSettings(NodeSettings):
    gain: float = setting(2.0, doc="Factor.", unit="V/V", low=0.0, high=10.0, live=True)
    taps: int = setting(1, doc="How often it is applied.", low=1, high=4)
    mode: str = setting("linear", doc="Shape of the curve.", choices=("linear", "clipped"))
    names: tuple[str, ...] = setting((), doc="Joints; empty takes what comes.")
    words: tuple[str, ...] = setting((), doc="Anything.", live=True)
    model: str = setting("good", doc="What opens; `missing` does not.")
    limits: Limits = section(Limits, doc="Of the output.")

    def __post_init__(self) -> None:
        if self.limits.low > self.limits.high:
            raise ConfigurationError(
                f"expected limits.low <= limits.high, got {self.limits.low:g} and {self.limits.high:g}"
            )


class Amplifier(Processor):
    """Refuses NaN in flight, and to open a missing model; remembers what was called."""

    inputs = ("joints",)
    outputs = ("amplified",)

    def __init__(self, config: AmplifierSettings) -> None:
        self.calls: list[str] = []
        self.config = config

    def open(self) -> None:
        self.calls.append("open")
        if self.config.model == "missing":
            raise ConfigurationError("expected a model, got none")

    def process(self, message: Message) -> Sequence[Message]:
        position = message.payload.position
        if np.isnan(position).any():
            raise ValueError(f"expected numbers, got {position}")
        return [message.derive("amplified", position * self.config.gain**self.config.taps)]

    def close(self) -> None:
        self.calls.append("close")


class AmplifierNode(ProcessorNode[AmplifierSettings]):
    """Lets the gain change while it runs."""

    def __init__(self, **ros: Any) -> None:
        self.amplifiers: list[Amplifier] = []
        super().__init__("amplifier", AmplifierSettings, self._make, **ros)

    def _make(self, config: AmplifierSettings) -> Hosted:
        self.amplifiers.append(Amplifier(config))
        return Hosted(
            self.amplifiers[-1],
            {"joints": Input(topic="joint_states", type_name="sensor_msgs/msg/JointState")},
            {"amplified": Output(topic="~/amplified", type_name="std_msgs/msg/Float64MultiArray")},
        )

    def changed(self, config: AmplifierSettings) -> None:
        self.amplifiers[-1].config = config


if __name__ == "__main__":
    sys.exit(run(AmplifierNode))
