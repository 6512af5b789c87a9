# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the expert would do from each state after each image, for the goal that the image shows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.train.expert import ExpertConfig, plan
from lowlat_nodes.train.rollouts import Demonstrations

_BLOCK = 512  # images at a time: what the planner works on stays in the cache


def label_chunks(
    data: Demonstrations, experts: Sequence[ExpertConfig], *, horizon: int
) -> NDArray[np.float32]:
    """Plans of `horizon` rows for all images and offsets: float32 [N, D + 1, horizon, 3] in rad.

    `experts` are those of the tasks, in the order of `Demonstrations.task`.
    """
    count, offsets = data.states.shape[:2]
    chunks = np.empty((count, offsets, horizon, 3), dtype=np.float32)
    for number, expert in enumerate(experts):
        mine = np.flatnonzero(data.task == number)
        for first in range(0, len(mine), _BLOCK):
            rows = mine[first : first + _BLOCK]
            states = data.states[rows].reshape(-1, 6)
            goals = np.repeat(data.goal[rows], offsets, axis=0)
            plans = plan(states[:, :3], states[:, 3:], goals, horizon, expert)
            chunks[rows] = plans.reshape(len(rows), offsets, horizon, 3)
    return chunks
