# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""A light head that corrects the running plan at every tick by what is seen now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from lowlat_nodes.train.flow import DELAY_ROWS, Head
from lowlat_nodes.train.variants import OLDEST_IMAGE, Lessons, Rows

PLANNED_ROWS: Final = 4
LONGEST_RUN: Final = 8  # rows of a plan that may have been executed before it is replaced


class Corrector(nn.Module):
    """What to add to the planned joint target of now, after A2C2 (arXiv 2509.23224).

    It takes the features of the newest image, the newest joint state, the running plan's targets for now and
    the next rows, and how old the image is that the plan was made from.
    """

    position_mean: Tensor
    position_scale: Tensor
    velocity_scale: Tensor
    planned_scale: Tensor
    correction_scale: Tensor

    def __init__(self, head: Head, *, width: int = 128) -> None:
        super().__init__()
        self.config = config = head.config
        joints = config.joints
        self.layers = nn.Sequential(
            nn.Linear(config.features + (4 + PLANNED_ROWS) * joints + 1, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, joints),
        )
        self.register_buffer("position_mean", head.position_mean.clone())
        self.register_buffer("position_scale", head.position_scale.clone())
        self.register_buffer("velocity_scale", head.velocity_scale.clone())
        self.register_buffer("planned_scale", head.action_scale[:PLANNED_ROWS].clone())
        self.register_buffer("correction_scale", head.action_scale[0].clone())

    def forward(self, features: Tensor, state: Tensor, planned: Tensor, age: Tensor) -> Tensor:
        """The correction in rad, [B, J].

        `features` [B, F]; `state` [B, 2 J]; `planned` [B, 4, J], absolute targets in rad; `age` [B, 1] in
        rows.
        """
        position, velocity = state.chunk(2, dim=-1)
        inputs = [
            features,
            (position - self.position_mean) / self.position_scale,
            velocity / self.velocity_scale,
            torch.sin(position),
            torch.cos(position),
            ((planned - position[:, None]) / self.planned_scale).flatten(1),
            age / DELAY_ROWS,
        ]
        return cast(Tensor, self.layers(torch.cat(inputs, dim=-1)) * self.correction_scale)


@dataclass(frozen=True)
class Pairs:
    """Images and the earlier images of the same episodes that a plan under way may come from.

    Attributes:
        lessons: The demonstrations.
        earliest: int64 [N], for each image the first one from which a plan may still run.
    """

    lessons: Lessons
    earliest: Rows

    @classmethod
    def of(cls, lessons: Lessons) -> Pairs:
        """Find the earlier images of all."""
        data = lessons.data
        length = int(data.tick.max()) + 1 + data.max_offset + LONGEST_RUN
        when = data.episode * length + data.tick
        return cls(lessons, np.searchsorted(when, when - data.max_offset - LONGEST_RUN))

    def draw(
        self, rows: Rows, random: np.random.Generator, *, delayed: bool
    ) -> tuple[Rows, Rows, Rows, Rows]:
        """For newest images: ages of theirs, plans' images, offsets of the plans' states, and gaps.

        All are int64 [B] in action periods; a gap is the time from the plan's image to now. Unless plans
        are `delayed`, they begin at their images.
        """
        data = self.lessons.data
        age = random.integers(OLDEST_IMAGE + 1, size=len(rows))
        earlier = random.integers(self.earliest[rows], rows + 1)
        gap = data.tick[rows] + age - data.tick[earlier]
        offset = random.integers(np.minimum(gap, data.max_offset) + 1) if delayed else np.zeros_like(gap)
        return age, earlier, offset, gap


def correction_loss(
    corrector: Corrector, head: Head, pairs: Pairs, features: Tensor, rows: Rows, random: np.random.Generator
) -> Tensor:
    """Mean squared error of corrections of a frozen policy's plans towards the expert's next command.

    `features` float32 [N, F] are those of all images; `rows` int64 [B] are the newest images.
    """
    lessons = pairs.lessons
    delayed = head.config.conditions == 1
    age, earlier, offset, gap = pairs.draw(rows, random, delayed=delayed)
    start = lessons.at(earlier, offset).state
    told = torch.from_numpy((offset[:, None] / DELAY_ROWS).astype(np.float32)) if delayed else None
    with torch.no_grad():
        noise = torch.randn(len(rows), head.config.horizon, head.config.joints)
        plan = head.sample(noise, features[earlier], start, told).float()
    row = torch.from_numpy((gap - offset)[:, None] + np.arange(PLANNED_ROWS))
    planned = plan[torch.arange(len(rows))[:, None], row]
    now = lessons.at(rows, age)
    wanted = (now.targets[:, 0] - planned[:, 0]) / corrector.correction_scale
    made = corrector(features[rows], now.state, planned, torch.from_numpy(gap[:, None].astype(np.float32)))
    return functional.mse_loss(made / corrector.correction_scale, wanted)
