# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Where the robot will be when a chunk that is asked for now begins to be executed."""

from __future__ import annotations

from typing import Protocol

from lowlat_nodes.control.state import RobotState
from lowlat_nodes.stream.payload import Floats


class RollForward(Protocol):
    """Projects a measured state over commands that are already decided."""

    def project(self, state: RobotState, past: Floats, commands: Floats, step_ns: int) -> RobotState:
        """Return the state after `commands` have been executed.

        Args:
            state: The newest measured state, at the beginning of `commands[0]`.
            past: float64 [m, joints], m >= 1: position targets of the m steps before `state`, oldest first.
                What is still under way in a drive with dead time is in here.
            commands: float64 [n, joints], n >= 0: position targets of the n steps after `state`.
            step_ns: Length of a step.

        Returns:
            The state at `state.stamp_ns + n * step_ns`.
        """
        ...
