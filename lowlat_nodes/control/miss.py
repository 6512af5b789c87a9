# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What the robot does at a tick for which there is no action."""

from __future__ import annotations

import math

from lowlat_nodes.stream.payload import Floats

MISS_POLICIES = ("hold", "decay", "continue")


class MissPolicy:
    """Targets while a chunk is missing.

    ======== ==========================================================================================
    hold     stay at the last command
    decay    go on at the last velocity, which decays to zero
    continue go on at the last velocity until the deadline, then decay; for robots that must not brake
             for a short gap, and reported as a warning
    ======== ==========================================================================================

    After `deadline_ns` without a chunk `continue` becomes `decay`; `decay` ends in a hold by itself.

    Args:
        kind: One of `MISS_POLICIES`.
        deadline_ns: How long `continue` may go on.
        decay_ns: Time constant of the decay.
    """

    def __init__(self, kind: str, *, deadline_ns: int, decay_ns: int) -> None:
        if kind not in MISS_POLICIES:
            raise ValueError(f"expected one of {MISS_POLICIES}, got {kind!r}")
        self.kind = kind
        self._deadline_ns = deadline_ns
        self._decay_ns = decay_ns

    def target(self, position: Floats, velocity: Floats, missing_ns: int, tick_ns: int) -> Floats:
        """Return the target of this tick.

        Args:
            position: float64 [joints], the last command.
            velocity: float64 [joints], its velocity.
            missing_ns: How long there has been no chunk, this tick included.
            tick_ns: Time since the last command.
        """
        if self.kind == "hold":
            return position
        if self.kind == "continue" and missing_ns <= self._deadline_ns:
            return position + velocity * (tick_ns * 1e-9)
        return position + velocity * (math.exp(-tick_ns / self._decay_ns) * tick_ns * 1e-9)
