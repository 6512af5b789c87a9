# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy of our own: moves the arm to the pose that the task text names.

It stands for whatever you have, a network or a planner: all that the node wants is a `spec` that says what
the policy takes and gives, and `infer`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import Observation, PolicySpec
from lowlat_nodes.stream.errors import ConfigurationError

POSES = {"stretch": (0.6, 0.2, 0.2), "fold": (1.4, 1.6, 1.2)}  # rad
ROWS, PERIOD_S = 20, 0.05


class Poses:
    """Leads each joint to its target at a bounded speed, in rad/s; without the name of a pose it stays."""

    spec = PolicySpec(
        joints=("shoulder", "elbow", "wrist"),
        state_fields=("position",),
        images={},  # this one sees no camera: {"image": ImageSpec(height, width)} for one
        takes_task=True,
        horizon=ROWS,
        action_period_ns=round(PERIOD_S * 1e9),
        delta=(False, False, False),  # targets, not steps
    )

    def __init__(self, speed: float) -> None:
        self._steps = speed * PERIOD_S * np.arange(1, ROWS + 1)[:, None]

    def infer(self, observation: Observation) -> NDArray[np.float64]:
        """Return a chunk of joint targets in rad, float64 [20, 3], that begins at the state."""
        state = observation.state.astype(np.float64)
        target = np.array(POSES.get(observation.task, state))
        return state + np.clip(target - state, -self._steps, self._steps)


def make_poses(config: PolicyConfig) -> Poses:
    """Make the policy: what `policy.factory` names.

    `policy.model` is free for whatever a policy needs, such as a file; here it is a speed in rad/s.
    """
    try:
        return Poses(float(config.model))
    except ValueError as error:
        raise ConfigurationError(f"policy.model: expected a speed in rad/s, got {config.model!r}") from error
