# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""How many lights a run of a given length has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lowlat_nodes.cli.graph import config_type
from lowlat_nodes.nodes.parameter_file import Value
from lowlat_nodes.sim.reaction import targets_within
from lowlat_nodes.stream.config import build
from lowlat_nodes.stream.errors import ConfigurationError

SHORTEST_S, LONGEST_S = 5.0, 14_400.0


def lights_within(seconds: float, simulation: Mapping[str, Value], *, seed: int | None = None) -> int:
    """Return how many lights go on and out again within so many seconds.

    Args:
        seconds: From the start of the lights to their end.
        simulation: Parameters of `sim_arm_node`, which say how long lights burn.
        seed: Of the lights; None takes that of the parameters.

    Raises:
        ConfigurationError: If that is too short or too long, or the node would refuse its parameters.
        MissingExtra: If rclpy is not installed.
    """
    if not SHORTEST_S <= seconds <= LONGEST_S:
        raise ConfigurationError(
            f"expected {SHORTEST_S:g} to {LONGEST_S:g} seconds of lights, got {seconds:g}"
        )
    config: Any = build(config_type("sim_arm_node"), simulation)
    lights = config.lights
    if seed is not None:
        lights = replace(lights, seed=seed)
    return targets_within(seconds, lights.schedule_config(), seed=lights.seed)
