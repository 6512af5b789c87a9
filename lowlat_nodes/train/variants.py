# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""The policies that are compared: the same data and network, each trained for its way of meeting a delay."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

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
        padded: bool [B, H], rows after the end of what is known, not learned; None for none.
    """

    state: Tensor
    targets: Tensor
    conditions: Tensor | None = None
    decided: Tensor | None = None
    padded: Tensor | None = None


class Source(Protocol):
    """Where samples come from; `rows` are images, offsets and lengths are in action periods."""

    @property
    def max_offset(self) -> int:
        """How much later than its image a state may be."""

    def at(self, rows: Rows, offsets: Rows) -> Sample:
        """States as recorded at offsets from the images of these rows, and the plans from there."""

    def going_on(self, rows: Rows, lengths: Rows) -> Sample:
        """States at the images, what was sent from then on for some rows, and the plans from there."""

    def last_action(self, rows: Rows, offsets: Rows) -> Tensor:
        """The last command before each offset and its rate of change in place of a state: float32 [B, 2 J].

        As `control.rollforward.LastAction` forms it.
        """


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

    @property
    def max_offset(self) -> int:
        """See `Source`."""
        return self.data.max_offset

    def at(self, rows: Rows, offsets: Rows) -> Sample:
        """See `Source`."""
        return Sample(_float32(self.data.states[rows, offsets]), _float32(self.chunks[rows, offsets]))

    def going_on(self, rows: Rows, lengths: Rows) -> Sample:
        """See `Source`; what was sent includes the disturbances, as in any recording."""
        start = self.at(rows, np.zeros_like(rows))
        horizon = start.targets.shape[1]
        row = np.arange(horizon)
        after = self.chunks[rows[:, None], lengths[:, None], np.maximum(row - lengths[:, None], 0)]
        sent = self.data.commands[rows][:, COMMANDS_BEFORE:]
        padded = np.pad(sent[:, :horizon], ((0, 0), (0, max(0, horizon - sent.shape[1])), (0, 0)))
        return replace(start, targets=_float32(np.where((row < lengths[:, None])[..., None], padded, after)))

    def last_action(self, rows: Rows, offsets: Rows) -> Tensor:
        """See `Source`."""
        last = self.data.commands[rows, COMMANDS_BEFORE + offsets - 1]
        before = self.data.commands[rows, COMMANDS_BEFORE + offsets - 2]
        return _float32(np.concatenate([last, (last - before) / self.period_s], axis=-1))


def _float32(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _base(source: Source, rows: Rows, _: np.random.Generator) -> Sample:
    return source.at(rows, np.zeros_like(rows))


def _vlash(source: Source, rows: Rows, random: np.random.Generator) -> Sample:
    return source.at(rows, random.integers(source.max_offset + 1, size=len(rows)))


def _vlash_last_action(source: Source, rows: Rows, random: np.random.Generator) -> Sample:
    offsets = random.integers(source.max_offset + 1, size=len(rows))
    sample = source.at(rows, offsets)
    # An offset is the image's age and the delay. Without a delay nothing is decided, and the reading stays.
    delay = offsets - random.integers(np.minimum(OLDEST_IMAGE, offsets) + 1)
    proxy = source.last_action(rows, offsets)
    measured = torch.from_numpy(delay == 0)[:, None]
    return replace(sample, state=torch.where(measured, sample.state, proxy))


def _delay(source: Source, rows: Rows, random: np.random.Generator) -> Sample:
    offsets = random.integers(source.max_offset + 1, size=len(rows))
    return replace(source.at(rows, offsets), conditions=_float32(offsets[:, None] / DELAY_ROWS))


def _prefix(source: Source, rows: Rows, random: np.random.Generator) -> Sample:
    lengths = random.integers(min(LONGEST_PREFIX, source.max_offset) + 1, size=len(rows))
    sample = source.going_on(rows, lengths)
    decided = np.arange(sample.targets.shape[1]) < lengths[:, None]
    return replace(sample, conditions=_float32(decided), decided=torch.from_numpy(decided))


@dataclass(frozen=True)
class Variant:
    """A way to train the head; `conditions` as in `FlowConfig`, `needs` what it is told beside the state."""

    draw: Callable[[Source, Rows, np.random.Generator], Sample]
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
    if sample.decided is not None:
        noisy = torch.where(sample.decided.repeat_interleave(head.config.joints, dim=1), x, noisy)
    made = head(noisy, time, features, sample.state, sample.conditions)
    skipped = [rows for rows in (sample.decided, sample.padded) if rows is not None]
    if not skipped:
        return functional.mse_loss(made, x)
    learned = ~torch.stack(skipped).any(dim=0).repeat_interleave(head.config.joints, dim=1)
    return ((made - x).square() * learned).sum() / learned.sum().clamp(min=1)
