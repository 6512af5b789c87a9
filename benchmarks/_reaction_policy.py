# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A policy that answers with what it was asked, so that a command tells which event it knows of.

The second joint is no joint but a signal, which counts events; every row of a chunk moves the first one to
that number. The signal comes with the joint states because the published formula knows no camera.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies.load import PolicyConfig
from lowlat_nodes.control.policies.policy import Observation, PolicySpec

JOINTS = ("axis", "signal")
ROWS = 25
ROW_HZ = 50.0


class Echo:
    """Moves the axis to the number of the newest event, and the signal nowhere."""

    spec = PolicySpec(
        joints=JOINTS,
        state_fields=("position",),
        images={},
        takes_task=False,
        horizon=ROWS,
        action_period_ns=round(1e9 / ROW_HZ),
        delta=(False, False),
    )

    def infer(self, observation: Observation) -> NDArray[np.float64]:
        """Return float64 [25, 2]."""
        return np.tile([float(round(float(observation.state[1]))), 0.0], (ROWS, 1))


def make(_config: PolicyConfig) -> Echo:
    """Make the policy."""
    return Echo()
