# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""An action chunk: joint targets over time, anchored at the instant whose state it assumes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Absolute joint targets, one row per period.

    Attributes:
        request: Number of the inference request that it answers; later requests have higher numbers.
        start_ns: When row 0 is due. The policy assumed the state of this instant, so this is both the end of
            the projection and the time of the swap: one number, not two that could differ.
        period_ns: Time between rows.
        targets: float64 [rows, joints]; row i is the target at `start_ns + i * period_ns`, lines in between,
            and the last row holds for one period.
        observed_ns: Capture time of the oldest observation that went in.
    """

    request: int
    start_ns: int
    period_ns: int
    targets: Floats
    observed_ns: int = 0

    @property
    def end_ns(self) -> int:
        """Return when the chunk expires."""
        return self.start_ns + len(self.targets) * self.period_ns

    @property
    def last_ns(self) -> int:
        """Return when the last row is due; what moves beyond it moves without a target."""
        return self.start_ns + (len(self.targets) - 1) * self.period_ns

    def sample(self, now_ns: int) -> Floats:
        """Return the target at an instant within the chunk; before and after it, the nearest row."""
        targets = self.targets
        row, rest_ns = divmod(now_ns - self.start_ns, self.period_ns)
        last = len(targets) - 1
        if rest_ns == 0 or not 0 <= row < last:
            nearest: Floats = targets[min(max(row, 0), last)]
            return nearest
        share = rest_ns / self.period_ns
        between: Floats = targets[row] * (1.0 - share) + targets[row + 1] * share
        return between

    def sample_all(self, times_ns: NDArray[np.int64]) -> Floats:
        """Return what `sample` does, bit by bit, at int64 [n] instants within the chunk, as [n, joints]."""
        row, rest_ns = np.divmod(times_ns - self.start_ns, self.period_ns)
        following = np.minimum(row + 1, len(self.targets) - 1)
        share = (rest_ns / self.period_ns)[:, None]
        rows: Floats = self.targets[row] * (1.0 - share) + self.targets[following] * share
        return rows


def absolute(actions: Floats, delta: np.ndarray, base: Floats) -> Floats:
    """Turn a policy's actions into absolute targets.

    Args:
        actions: float64 [rows, joints].
        delta: bool [joints]; True where a row is a step from the target before it.
        base: float64 [joints], the target in force just before row 0.

    Returns:
        float64 [rows, joints], a new array.
    """
    targets = actions.astype(np.float64, copy=True)
    if delta.any():
        with np.errstate(over="ignore", invalid="ignore"):  # garbage in, refused by the executor
            targets[:, delta] = base[delta] + np.cumsum(targets[:, delta], axis=0)
    return targets


def relative(targets: Floats, delta: np.ndarray, base: Floats) -> Floats:
    """Turn absolute targets into a policy's actions: the reverse of `absolute`.

    Args:
        targets: float64 [rows, joints].
        delta: bool [joints]; True where a row is a step from the target before it.
        base: float64 [joints], the target in force just before row 0.

    Returns:
        float64 [rows, joints], a new array.
    """
    actions = targets.astype(np.float64, copy=True)
    if delta.any():
        actions[:, delta] = np.diff(targets[:, delta], axis=0, prepend=base[None, delta])
    return actions
