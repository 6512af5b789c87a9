# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What an execution of a policy achieved at simulated tasks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.sim.score import wilson_ci95
from lowlat_nodes.sim.task import Trial

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Figures:
    """What an execution achieved over some episodes.

    Attributes:
        trials: The decided trials of all episodes.
        reaction_ns: float64 [surprises], NaN where no command differed until the next surprise.
        jerk_m_s3: Root mean square of the fingertip's jerk.
        boundary_jump_rad: float64 [swaps]: by how much commands change where a chunk takes over.
        held_steps: Steps at which no chunk was in force, after the first one.
        steps: All steps.
        inferences: Answers of the policy.
        cpu_s: Processor time of all that, twins and policy included.
    """

    trials: tuple[Trial, ...]
    reaction_ns: Floats
    jerk_m_s3: float
    boundary_jump_rad: Floats
    held_steps: int
    steps: int
    inferences: int
    cpu_s: float

    @property
    def successes(self) -> int:
        """How many trials were done."""
        return sum(trial.success for trial in self.trials)

    @property
    def success_rate(self) -> float:
        """Share of the trials that were done, 0 without any."""
        return self.successes / len(self.trials) if self.trials else 0.0

    @property
    def success_ci95(self) -> tuple[float, float]:
        """Wilson's interval of the success rate."""
        return wilson_ci95(self.successes, len(self.trials))

    @property
    def reactions_missed(self) -> int:
        """How many surprises changed no command."""
        return int(np.isnan(self.reaction_ns).sum())

    def reaction_ms(self, quantile: float) -> float:
        """A quantile of the reactions that happened, NaN if none did."""
        seen = self.reaction_ns[~np.isnan(self.reaction_ns)]
        return float(np.quantile(seen, quantile)) * 1e-6 if len(seen) else math.nan

    @property
    def boundary_jump_rad_p95(self) -> float:
        """The 95 % quantile of the boundary jumps, NaN without any."""
        jumps = self.boundary_jump_rad
        return float(np.quantile(jumps, 0.95)) if len(jumps) else math.nan

    def completion_ms(self, quantile: float) -> float:
        """A quantile of the completion times of the trials that were done, NaN if none was."""
        took_ns = [trial.completion_ns for trial in self.trials if trial.completion_ns is not None]
        return float(np.quantile(took_ns, quantile)) * 1e-6 if took_ns else math.nan
