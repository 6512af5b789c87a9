# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The tasks of demonstrations: drawn around the benchmark's and somewhat wider, in several wordings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from lowlat_nodes.sim import insertion, interception
from lowlat_nodes.sim.insertion import InsertionConfig, InsertionTask, draw_insertions
from lowlat_nodes.sim.interception import FlightConfig, InterceptionTask, draw_flights
from lowlat_nodes.sim.reaction import COLOURS, ReactionTask, Schedule, ScheduleConfig, task_text
from lowlat_nodes.sim.task import Task
from lowlat_nodes.train.expert import BRISK, ExpertConfig

REACTION_PHRASES: Final = (
    task_text("{colour}"),
    "touch the {colour} one",
    "reach for the {colour} light",
    "press the {colour} light",
    "go to the {colour} lamp",
    "hit the {colour} target",
    "{colour}",
)
INTERCEPTION_PHRASES: Final = (
    interception.TEXT,
    "intercept the ball",
    "stop the ball at the line",
    "meet the ball",
    "ball",
)
INSERTION_PHRASES: Final = (
    insertion.TEXT,
    "put the peg into the slot",
    "go into the slot",
    "insert it",
    "slot",
)
HOLD_PHRASES: Final = ("", "wait", "hold still", "stay where you are", "do nothing", "stop")


@dataclass(frozen=True)
class Scenario:
    """A kind of task to demonstrate.

    Attributes:
        draw: Draws a task and the wordings of it, its own text first.
        expert: How the demonstrator moves.
        latest_ticks: By how many action periods the demonstrator may be late to notice an event.
    """

    draw: Callable[[np.random.Generator], tuple[Task, tuple[str, ...]]]
    expert: ExpertConfig
    latest_ticks: int


def _reaction(random: np.random.Generator) -> tuple[Task, tuple[str, ...]]:
    colour = COLOURS[int(random.integers(len(COLOURS)))]
    config = ScheduleConfig(
        targets=6,
        colour=colour,
        window_ns=int(random.uniform(0.5e9, 1.5e9)),
        gap_ns=(50_000_000, 1_200_000_000),
        lead_in_ns=int(random.uniform(0.0, 1e9)),
        radius_m=(0.30, 0.62),
        bearing_rad=(0.35, 2.80),
        min_jump_m=0.05,
        max_jump_m=1.0,
        decoy_share=0.6,
        decoy_jitter_ns=600_000_000,
    )
    schedule = Schedule.generate(config, seed=int(random.integers(2**31)))
    return ReactionTask(schedule), tuple(phrase.format(colour=colour) for phrase in REACTION_PHRASES)


def _interception(random: np.random.Generator) -> tuple[Task, tuple[str, ...]]:
    config = FlightConfig(
        balls=6,
        flight_ns=(650_000_000, 1_050_000_000),
        answer_ns=(250_000_000, 600_000_000),
        gap_ns=(50_000_000, 600_000_000),
        lead_in_ns=(100_000_000, 1_000_000_000),
        shift_m=(0.10, 0.38),
    )
    return InterceptionTask(draw_flights(config, seed=int(random.integers(2**31)))), INTERCEPTION_PHRASES


def _insertion(random: np.random.Generator) -> tuple[Task, tuple[str, ...]]:
    config = InsertionConfig(
        slots=6,
        window_ns=int(random.uniform(0.8e9, 1.6e9)),
        gap_ns=(50_000_000, 600_000_000),
        lead_in_ns=(100_000_000, 1_000_000_000),
        shift_after_ns=(200_000_000, 600_000_000),
        shift_m=(0.05, 0.30),
        push_after_ns=(50_000_000, 600_000_000),
        push_n=(4.0, 18.0),
        jump_m=(0.08, 0.50),
        radius_m=(0.28, 0.62),
        bearing_rad=(0.38, 2.78),
    )
    return InsertionTask(draw_insertions(config, seed=int(random.integers(2**31)))), INSERTION_PHRASES


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "reaction": Scenario(_reaction, ExpertConfig(), 24),
    "interception": Scenario(_interception, BRISK, 16),
    "insertion": Scenario(_insertion, BRISK, 16),
}
