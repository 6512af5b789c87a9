# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated light curves as t2 sees them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.alerts.t2_inputs import around_detections, t2_inputs
from lowlat_nodes.train.t2.model import ScaledT2


@dataclass(frozen=True)
class Examples:
    """Interpolated light curves and their classes.

    Attributes:
        inputs: What `ScaledT2.forward` takes.
        labels: int64 [n].
    """

    inputs: tuple[Tensor, ...]
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    @classmethod
    def of(cls, curves: LightCurves, labels: NDArray[np.int64], *, fitted: bool = True) -> Examples:
        """Interpolate light curves with the Gaussian process."""
        made = t2_inputs(around_detections(curves), fitted=fitted)
        inputs = tuple(torch.from_numpy(made[name]) for name in ScaledT2.inputs)
        return cls(inputs, torch.from_numpy(labels))

    def take(self, rows: Tensor) -> Examples:
        """Return some of them."""
        return Examples(tuple(values[rows] for values in self.inputs), self.labels[rows])

    def batches(self, size: int, seed: int) -> Iterator[Examples]:
        """Yield batches without end; each time through all comes in another order."""
        random = torch.Generator().manual_seed(seed)
        while True:
            order = torch.randperm(len(self), generator=random)
            for start in range(0, len(self) - size + 1, size):
                yield self.take(order[start : start + size])
