# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a policy is asked with in simulated time, for many episodes at once, and who answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.control.policies import corrector
from lowlat_nodes.control.policies.corrector import OnnxCorrector
from lowlat_nodes.control.policies.policy import Observation, Policy
from lowlat_nodes.sim.arm import JOINT_RANGE_RAD, ArmConfig
from lowlat_nodes.sim.camera import TableCamera
from lowlat_nodes.sim.scene import Frame
from lowlat_nodes.train.expert import ExpertConfig, aim, plan

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What a policy is asked with.

    Attributes:
        state: float64 [6], positions in rad and velocities in rad/s, for the instant at which the chunk is to
            begin, as well as the execution knows it.
        frame: The newest view of the camera.
        task: The instruction.
        request: Number of the launch in its episode.
        delay_rows: How many steps after the view the chunk begins.
        decided: float64 [n, 3], targets in rad that the present plan has for the chunk's rows; none where the
            strategy does not continue the plan.
        committed: How many of them are executed in any case.
    """

    state: Floats
    frame: Frame
    task: str
    request: int
    delay_rows: float
    decided: Floats
    committed: int


@dataclass(frozen=True, slots=True, eq=False)
class Glance:
    """What a corrector is asked with at every step.

    Attributes:
        state: float64 [6], as a sight has it, for the step to be corrected.
        frame: The newest view of the camera.
        task: The instruction.
        planned: float64 [4, 3], targets of the plan in rad, for that step and those after it.
        age_rows: How many steps before that step the view was captured that the plan is based on.
    """

    state: Floats
    frame: Frame
    task: str
    planned: Floats
    age_rows: float


ChunkPolicy: TypeAlias = Callable[[Sequence[Sight]], Floats]
"""Sights of n episodes to float64 [n, rows, 3], joint targets in rad, one row per step.

What it plans for an episode must not depend on the others in the call.
"""

ChunkCorrector: TypeAlias = Callable[[Sequence[Glance]], Floats]
"""Glances of n episodes to float64 [n, 3], in rad, to be added to the targets of the step."""


class _Renderer:
    """Draws each view once while it is the newest."""

    def __init__(self) -> None:
        self._camera = TableCamera()
        self._drawn: dict[int, tuple[Frame, NDArray[np.uint8]]] = {}

    def images(self, looks: Sequence[Sight] | Sequence[Glance]) -> list[NDArray[np.uint8]]:
        """Return uint8 [height, width, 3] of every look."""
        drawn = self._drawn
        self._drawn = {
            id(frame): drawn.get(id(frame)) or (frame, self._camera.render(frame.q, frame.things))
            for frame in (look.frame for look in looks)
        }
        return [self._drawn[id(look.frame)][1] for look in looks]


def from_policy(policy: Policy) -> ChunkPolicy:
    """Ask a policy that wants images, with the feature name `image`; many at once where it can."""
    renderer = _Renderer()
    batch = getattr(policy, "infer_batch", None)

    def infer(sights: Sequence[Sight]) -> Floats:
        observations = [
            Observation(
                sight.state.astype(np.float32),
                {"image": image},
                sight.task,
                sight.request,
                sight.delay_rows,
                sight.decided,
                sight.committed,
            )
            for sight, image in zip(sights, renderer.images(sights), strict=True)
        ]
        if batch is not None:
            chunks: Floats = batch(observations)
            return chunks
        return np.array([policy.infer(observation) for observation in observations])

    return infer


def from_corrector(head: OnnxCorrector) -> ChunkCorrector:
    """Ask a trained residual head that wants images, with the feature name `image`."""
    renderer = _Renderer()

    def correct(glances: Sequence[Glance]) -> Floats:
        return head.correct(
            [
                corrector.Glance(
                    glance.state.astype(np.float32),
                    glance.planned,
                    glance.age_rows,
                    {"image": image},
                    glance.task,
                )
                for glance, image in zip(glances, renderer.images(glances), strict=True)
            ]
        )

    return correct


def from_expert(config: ExpertConfig, *, rows: int = 32) -> ChunkPolicy:
    """Let the demonstrator plan, which sees the things themselves instead of an image of them.

    Of a state that the arm cannot be in it takes the nearest one that it can. Without that, a roll-forward to
    the last command feeds on itself: the commands lead by the lag, and so does the next plan's beginning.
    """
    lowest, highest = np.array(JOINT_RANGE_RAD).T
    fastest = np.array(ArmConfig().speed_limit_rad_s)

    def infer(sights: Sequence[Sight]) -> Floats:
        states = np.array([sight.state for sight in sights])
        q, qd = np.clip(states[:, :3], lowest, highest), np.clip(states[:, 3:], -fastest, fastest)
        goals = np.array([aim(sight.frame.things) for sight in sights])
        return plan(q, qd, goals, rows, config)

    return infer
