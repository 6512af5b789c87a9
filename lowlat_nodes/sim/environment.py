# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An arm that plays a task, stepped by its commands."""

from __future__ import annotations

from collections.abc import Sequence

from numpy.typing import ArrayLike

from lowlat_nodes.sim.arm import ArmSim
from lowlat_nodes.sim.scene import Frame
from lowlat_nodes.sim.task import Event, Task


class Environment:
    """An arm and the task that it begins to play now; the caller steps the time.

    The task sees the fingertip at the end of each step, and its pushes act on the arm from there on.

    Args:
        arm: The arm, in any state.
        task: The task, before its first step.
    """

    def __init__(self, arm: ArmSim, task: Task) -> None:
        self.arm = arm
        self.task = task
        self.now_ns = 0

    def begin(self) -> Sequence[Event]:
        """Let happen what happens at time zero."""
        return self._advance()

    def step(self, command: ArrayLike, dt_ns: int) -> Sequence[Event]:
        """Hold joint targets [3] in rad for a while; return what happened by its end."""
        self.arm.step(command, dt_ns)
        self.now_ns += dt_ns
        return self._advance()

    def frame(self) -> Frame:
        """What a camera would see now."""
        return Frame(self.now_ns, self.arm.q, self.task.things)

    def fork(self, *, calm: bool) -> Environment:
        """An independent copy in the same state; `calm` leaves the task's next surprise out of it."""
        other = Environment(self.arm.fork(), self.task.fork(calm=calm))
        other.now_ns = self.now_ns
        return other

    def _advance(self) -> Sequence[Event]:
        events = self.task.advance(self.now_ns, self.arm.tip)
        self.arm.push(self.task.push_n)
        return events
