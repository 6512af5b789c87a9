# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policies that are compared: the same data and network, each trained for its way of meeting a delay."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from lowlat_nodes.stream.errors import ConfigurationError
from lowlat_nodes.train.flow import DELAY_ROWS, Head
from lowlat_nodes.train.rollouts import COMMANDS_BEFORE, Demonstrations

LONGEST_PREFIX: Final = 8
OLDEST_IMAGE: Final = 2  # action periods that the newest image may be older than the newest joint reading

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Sample:
    """What a head is to map to what.

    Attributes:
        state: float32 [B, 2 J].
        targets: float32 [B, H, J], absolute joint targets in rad.
        conditions: float32 [B, C], None without any.
        decided: bool [B, H], rows that are given to the network clean and not learned; None for none.
    """

    state: Tensor
    targets: Tensor
    conditions: Tensor | None = None
    decided: Tensor | None = None


@dataclass(frozen=True)
class Lessons:
    """Demonstrations with the plan for every state.

    Attributes:
        data: The demonstrations.
        chunks: float32 [N, D + 1, H, 3], what the expert plans from each state.
        period_s: The action period.
    """

    data: Demonstrations
    chunks: NDArray[np.float32]
    period_s: float

    def at(self, rows: Rows, offsets: Rows) -> Sample:
        """States as recorded at offsets from the images of these rows, and the plans from there."""
        return Sample(_float32(self.data.states[rows, offsets]), _float32(self.chunks[rows, offsets]))

    def last_action(self, rows: Rows, offsets: Rows) -> Tensor:
        """The last command before each offset and its rate of change in place of a state: float32 [B, 6].

        As `control.rollforward.LastAction` forms it.
        """
        last = self.data.commands[rows, COMMANDS_BEFORE + offsets - 1]
        before = self.data.commands[rows, COMMANDS_BEFORE + offsets - 2]
        return _float32(np.concatenate([last, (last - before) / self.period_s], axis=-1))


def _float32(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _base(lessons: Lessons, rows: Rows, _: np.random.Generator) -> Sample:
    return lessons.at(rows, np.zeros_like(rows))


def _vlash(lessons: Lessons, rows: Rows, random: np.random.Generator) -> Sample:
    return lessons.at(rows, random.integers(lessons.data.max_offset + 1, size=len(rows)))


def _vlash_last_action(lessons: Lessons, rows: Rows, random: np.random.Generator) -> Sample:
    offsets = random.integers(lessons.data.max_offset + 1, size=len(rows))
    sample = lessons.at(rows, offsets)
    # An offset is the image's age and the delay. Without a delay nothing is decided, and the reading stays.
    delay = offsets - random.integers(np.minimum(OLDEST_IMAGE, offsets) + 1)
    proxy = lessons.last_action(rows, offsets)
    measured = torch.from_numpy(delay == 0)[:, None]
    return Sample(torch.where(measured, sample.state, proxy), sample.targets)


def _delay(lessons: Lessons, rows: Rows, random: np.random.Generator) -> Sample:
    offsets = random.integers(lessons.data.max_offset + 1, size=len(rows))
    sample = lessons.at(rows, offsets)
    return Sample(sample.state, sample.targets, _float32(offsets[:, None] / DELAY_ROWS))


def _prefix(lessons: Lessons, rows: Rows, random: np.random.Generator) -> Sample:
    start = lessons.at(rows, np.zeros_like(rows))
    horizon = start.targets.shape[1]
    lengths = random.integers(min(LONGEST_PREFIX, lessons.data.max_offset) + 1, size=len(rows))
    # What was really sent, as in any recording, and then the plan from where that had led.
    row = np.arange(horizon)
    decided = row < lengths[:, None]
    after = lessons.chunks[rows[:, None], lengths[:, None], np.maximum(row - lengths[:, None], 0)]
    sent = lessons.data.commands[rows][:, COMMANDS_BEFORE:]
    padded = np.pad(sent[:, :horizon], ((0, 0), (0, max(0, horizon - sent.shape[1])), (0, 0)))
    targets = np.where(decided[..., None], padded, after)
    return Sample(start.state, _float32(targets), _float32(decided), torch.from_numpy(decided))


@dataclass(frozen=True)
class Variant:
    """A way to train the head; `conditions` as in `FlowConfig`, `needs` what it is told beside the state."""

    draw: Callable[[Lessons, Rows, np.random.Generator], Sample]
    needs: str = ""

    def conditions(self, horizon: int) -> int:
        """Number of the head's further inputs."""
        return {"": 0, "delay": 1, "prefix": horizon}[self.needs]


VARIANTS: Final[Mapping[str, Variant]] = {
    "base": Variant(_base),
    "vlash": Variant(_vlash),
    "vlash_last_action": Variant(_vlash_last_action),
    "delay": Variant(_delay, "delay"),
    "prefix": Variant(_prefix, "prefix"),
}
"""The policies by name.

`base` knows the state at the image only, as for synchronous inference. `vlash` gets states from up to D
periods later (VLASH, arXiv 2512.01031), recorded ones, and `vlash_last_action` the last command in their
place, as the published code has it. `delay` is `vlash` that is told by how much later. `prefix` gets the
first rows of the chunk as they were decided before (training-time real-time chunking, arXiv 2512.05964).
"""

CORRECTED: Final = {"corrector_base": "base", "corrector_delay": "delay"}
"""The correctors by name, and the policies whose plans they correct."""


def check_names(names: list[str]) -> list[str]:
    """Return the names of variants and correctors, or raise ConfigurationError and suggest the right one."""
    known = [*VARIANTS, *CORRECTED]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ConfigurationError(f"expected a variant of {', '.join(known)}, got {name!r}{hint}")
    return names


def flow_loss(head: Head, sample: Sample, features: Tensor, *, latest: float = 1.0) -> Tensor:
    """Mean squared error of the clean chunk at flow times uniform in 0 to `latest`.

    Over the rows that are to be learned; `features` float32 [B, F].
    """
    x = head.from_targets(sample.targets, sample.state)
    time = torch.rand(len(x), 1) * latest
    noisy = (1.0 - time) * torch.randn_like(x) + time * x
    if sample.decided is None:
        return functional.mse_loss(head(noisy, time, features, sample.state, sample.conditions), x)
    clean = sample.decided.repeat_interleave(head.config.joints, dim=1)
    noisy = torch.where(clean, x, noisy)
    error = (head(noisy, time, features, sample.state, sample.conditions) - x).square()
    return (error * ~clean).sum() / (~clean).sum()
