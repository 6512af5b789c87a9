# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The arm, the lights around it and the command in force, advanced step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lowlat_nodes.sim.arm import HOME_RAD, ArmSim, JointReading
from lowlat_nodes.sim.kinematics import JOINT_NAMES
from lowlat_nodes.sim.reaction import Event, Light, ReactionTask, Schedule
from lowlat_nodes.stream.payload import Floats

Record = dict[str, Any]
"""One event as JSON has it: `event` and `stamp_ns`, and what belongs to that kind of event."""


class World:
    """What a simulated robot is made of besides its communication; it has no clock of its own.

    Args:
        arm: The arm, at rest.
    """

    def __init__(self, arm: ArmSim) -> None:
        self._arm = arm
        self._newest = self._applied = np.array(HOME_RAD)
        self._task: ReactionTask | None = None
        self._elapsed_ns = 0
        self._starting: tuple[ReactionTask, int] | None = None

    @property
    def playing(self) -> bool:
        """Return whether a schedule has begun, or is about to, and has not ended."""
        return self._task is not None or self._starting is not None

    @property
    def q(self) -> Floats:
        """Return the true joint angles [3] in rad."""
        return self._arm.q

    @property
    def burning(self) -> Sequence[Light]:
        """Return the lights that are on."""
        return () if self._task is None else self._task.burning

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

    def play(self, schedule: Schedule, *, seed: int) -> None:
        """Start a schedule at the next step; `seed` is only told."""
        self._starting = ReactionTask(schedule), seed

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
        self._arm.step(self._applied, dt_ns)
        self._applied = self._newest
        records = self._play(dt_ns, stamp_ns)
        return self._arm.read(), records

    def _play(self, dt_ns: int, stamp_ns: int) -> list[Record]:
        self._elapsed_ns += dt_ns
        records: list[Record] = []
        if self._starting is not None:
            (self._task, seed), self._starting = self._starting, None
            self._elapsed_ns = 0
            schedule = self._task.schedule
            targets = len(schedule.targets)
            records.append({"event": "start", "task": schedule.task, "targets": targets, "seed": seed})
        if self._task is not None:
            records += [_record(event) for event in self._task.advance(self._elapsed_ns, self._arm.tip)]
            if self._task.finished:
                records.append({"event": "end", "hits": self._task.hits, "misses": self._task.misses})
                self._task = None
        return [{**record, "stamp_ns": stamp_ns} for record in records]


def _record(event: Event) -> Record:
    light = event.light
    return {
        "event": event.kind.value,
        "id": light.id,
        "x": light.x_m,
        "y": light.y_m,
        "colour": light.colour,
        "asked": light.asked,
        "window_ns": light.window_ns,
    }
