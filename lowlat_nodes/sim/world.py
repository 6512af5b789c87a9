# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The arm, the task around it and the command in force, advanced step by step."""

from __future__ import annotations

import numpy as np

from lowlat_nodes.sim.arm import HOME_RAD, ArmSim, JointReading
from lowlat_nodes.sim.environment import Environment
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.sim.scene import Thing
from lowlat_nodes.sim.task import Record, Task
from lowlat_nodes.stream.payload import Floats


class World:
    """What a simulated robot is made of besides its communication; it has no clock of its own.

    Args:
        arm: The arm, at rest.
    """

    def __init__(self, arm: ArmSim) -> None:
        self._arm = arm
        self._newest = self._applied = np.array(HOME_RAD)
        self._environment: Environment | None = None
        self._starting: tuple[Task, int] | None = None

    @property
    def playing(self) -> bool:
        """Return whether a task has begun, or is about to, and has not ended."""
        return self._environment is not None or self._starting is not None

    @property
    def q(self) -> Floats:
        """Return the true joint angles [3] in rad."""
        return self._arm.q

    @property
    def things(self) -> tuple[Thing, ...]:
        """Return what lies on the table."""
        return () if self._environment is None else self._environment.task.things

    def command(self, targets: Floats) -> None:
        """Take joint position targets, float64 [3] in rad, to be held until others come.

        Raises:
            ValueError: If they are not three finite numbers.
        """
        if targets.shape != (len(JOINT_NAMES),) or not np.isfinite(targets).all():
            raise ValueError(
                f"expected {len(JOINT_NAMES)} finite joint targets in rad, got {targets.tolist()}"
            )
        self._newest = targets

    def play(self, task: Task, *, seed: int) -> None:
        """Start a task at the next step; `seed` is only told."""
        self._starting = task, seed

    def advance(self, dt_ns: int, stamp_ns: int) -> tuple[JointReading, list[Record]]:
        """Let time pass.

        A command that came during the last step acts from its end on: what arrives takes effect up to one
        step late, and never early.

        Args:
            dt_ns: The step.
            stamp_ns: The end of the step, in the clock of the events.

        Returns:
            What the encoders read at the end of the step, and what happened during it.
        """
        records: list[Record] = []
        if self._environment is None:
            self._arm.step(self._applied, dt_ns)
            records += self._begin()
        else:
            records += [event.record() for event in self._environment.step(self._applied, dt_ns)]
        self._applied = self._newest
        records += self._end()
        return self._arm.read(), [{**record, "stamp_ns": stamp_ns} for record in records]

    def _begin(self) -> list[Record]:
        if self._starting is None:
            return []
        (task, seed), self._starting = self._starting, None
        self._environment = Environment(self._arm, task)
        start: Record = {"event": "start", "task": task.text, "targets": task.size, "seed": seed}
        return [start, *(event.record() for event in self._environment.begin())]

    def _end(self) -> list[Record]:
        if self._environment is None or not self._environment.task.finished:
            return []
        trials = self._environment.task.trials
        hits = sum(trial.success for trial in trials)
        self._environment = None
        return [{"event": "end", "hits": hits, "misses": len(trials) - hits}]
