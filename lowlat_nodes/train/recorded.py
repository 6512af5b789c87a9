# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Samples for a policy from recorded episodes of a robot, a LeRobot dataset as `lowlat dataset` makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowlat_nodes.inference.tokens import tokenize
from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.requirements import Requirements
from lowlat_nodes.train.rollouts import IMAGE_SHRINK
from lowlat_nodes.train.variants import Rows, Sample
from lowlat_nodes.transport.dataset import DatasetReader, png

_FURTHEST_RAD: Final = 4.0 * np.pi  # beyond two turns, positions are more likely degrees


@dataclass(frozen=True, eq=False)
class Recording:
    """The frames of a dataset; a `variants.Source` of the actions recorded after each.

    A chunk that would go on after the end of its episode repeats the last action there, in rows marked
    `padded`.

    Attributes:
        requirements: What the policy requires.
        images: uint8 [N, h, w, 3], shrunk to what the encoder takes.
        tokens: int64 [N, T], the task.
        states: float32 [N, 2 J] in rad and rad/s.
        actions: float32 [N, J] in rad.
        ends: int64 [episodes], the number of the frame after each episode's last.
    """

    requirements: Requirements
    images: NDArray[np.uint8]
    tokens: NDArray[np.int64]
    states: NDArray[np.float32]
    actions: NDArray[np.float32]
    ends: NDArray[np.int64]

    @classmethod
    def read(cls, reader: DatasetReader, requirements: Requirements, camera: str) -> Recording:
        """Read all frames of a dataset, which `Requirements.check` found fit.

        Raises:
            ConfigurationError: If its numbers are not absolute targets in rad.
            DatasetError: If it cannot be read.
        """
        height, width = reader.layout.images[camera]
        small = requirements.width_px // IMAGE_SHRINK, requirements.height_px // IMAGE_SHRINK
        count = sum(episode.length for episode in reader.episodes)
        images = np.empty((count, small[1], small[0], 3), np.uint8)
        tokens = {task: tokenize(task) for task in reader.tasks}
        rows, states, actions = [], [], []
        for episode in reader.episodes:
            for frame in reader.frames(episode):
                image = png.decode(frame.images[camera], height, width)
                # In two steps, as in the node and the exported graph.
                full = cv2.resize(
                    image, (requirements.width_px, requirements.height_px), interpolation=cv2.INTER_AREA
                )
                cv2.resize(full, small, dst=images[len(rows)], interpolation=cv2.INTER_AREA)
                rows.append(tokens[frame.task])
                states.append(frame.state)
                actions.append(frame.action)
        ends = np.cumsum([episode.length for episode in reader.episodes])
        made = cls(requirements, images, np.array(rows), np.array(states), np.array(actions), ends)
        made._check_units()
        return made

    @property
    def max_offset(self) -> int:
        """See `variants.Source`."""
        return self.requirements.max_offset

    @property
    def firsts(self) -> NDArray[np.int64]:
        """The number of each episode's first frame: int64 [episodes]."""
        return np.concatenate([[0], self.ends[:-1]])

    def frames(self, episodes: NDArray[np.int64]) -> Rows:
        """The numbers of the frames of some episodes."""
        firsts = self.firsts
        return np.concatenate([np.arange(firsts[episode], self.ends[episode]) for episode in episodes])

    def at(self, rows: Rows, offsets: Rows) -> Sample:
        """See `variants.Source`; an offset beyond the end of the episode is one to its last frame."""
        last = self._last(rows)
        start = np.minimum(rows + offsets, last)
        chunk = start[:, None] + np.arange(self.requirements.horizon)
        targets = self.actions[np.minimum(chunk, last[:, None])]
        padded = torch.from_numpy(chunk > last[:, None])
        return Sample(torch.from_numpy(self.states[start]), torch.from_numpy(targets), padded=padded)

    def going_on(self, rows: Rows, lengths: Rows) -> Sample:
        """See `variants.Source`: a demonstration does what it planned, whatever was decided of it."""
        return self.at(rows, np.zeros_like(lengths))

    def last_action(self, rows: Rows, offsets: Rows) -> Tensor:
        """See `variants.Source`; before an episode its first action was in force."""
        first = self.firsts[np.searchsorted(self.ends, rows, side="right")]
        start = np.minimum(rows + offsets, self._last(rows))
        last, before = (self.actions[np.maximum(start - back, first)] for back in (1, 2))
        rate = (last - before) / np.float32(self.requirements.period_ns * 1e-9)
        return torch.from_numpy(np.concatenate([last, rate], axis=-1))

    def _last(self, rows: Rows) -> Rows:
        return self.ends[np.searchsorted(self.ends, rows, side="right")] - 1

    def _check_units(self) -> None:
        positions = self.states[:, : len(self.requirements.joints)]
        furthest = max(float(np.abs(positions).max()), float(np.abs(self.actions).max()))
        if furthest > _FURTHEST_RAD:
            raise ConfigurationError(
                f"expected positions and actions in rad, got values up to {furthest:.4g}, as if in degrees; "
                f"make the dataset from the bags with observation.joints.unit: rad"
            )
        apart = float(np.square(self.actions - positions).mean())
        if float(np.square(self.actions).mean()) < 0.25 * apart:
            raise ConfigurationError(
                "expected actions that are absolute joint targets, near the positions in the state; these "
                "are small beside them, as steps are; lowlat dataset writes absolute ones"
            )
