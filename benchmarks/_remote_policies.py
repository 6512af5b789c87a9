# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy that does nothing, so that what is measured is the way to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import ImageSpec, Observation, PolicySpec

_JOINTS = 14
_HORIZON = 50


class NoopPolicy:
    """Takes what a large policy takes, two images of 224 px, and answers with zeros at once."""

    spec = PolicySpec(
        joints=(),
        state_fields=("position",),
        images={"front": ImageSpec(224, 224), "wrist": ImageSpec(224, 224)},
        takes_task=True,
        horizon=_HORIZON,
        action_period_ns=20_000_000,
        delta=(False,) * _JOINTS,
    )

    def infer(self, _observation: Observation) -> NDArray[np.float64]:
        """Return float64 [50, 14]."""
        return np.zeros((_HORIZON, _JOINTS))


def noop_policy(_config: PolicyConfig) -> NoopPolicy:
    """Make one."""
    return NoopPolicy()
