# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Simulated light curves with their classes, made once and kept."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.alerts.lightcurve import LightCurves
from lowlat_nodes.sim import sky
from lowlat_nodes.sim.sky.population import generate
from lowlat_nodes.train.alerts.selection import owners

TEST_SEED: Final = 1_000_000
CALIBRATION_SEED: Final = 2_000_000
"""Seeds of what no training sees; training takes those below."""

_ARRAYS: Final = ("alert_id", "offsets", "mjd", "band", "flux_njy", "error_njy", "detected")


@dataclass(frozen=True)
class Labelled:
    """Simulated light curves of n objects.

    Attributes:
        light_curves: One alert of each.
        labels: int64 [n], indices in `classes.CLASSES`.
        surveys: int64 [n], indices in `sim.sky.surveys.SURVEYS`.
    """

    light_curves: LightCurves
    labels: NDArray[np.int64]
    surveys: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def detections(self) -> NDArray[np.int64]:
        """How often each was detected, int64 [n]."""
        found = owners(self.light_curves)[self.light_curves.detected]
        return np.bincount(found, minlength=len(self))


def generator_digest() -> str:
    """A few characters that change with any line of the generator."""
    digest = hashlib.sha256()
    for source in sorted(Path(sky.__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:12]


def simulated(count: int, seed: int, folder: Path, *, processes: int = 1) -> Labelled:
    """As many objects of each class, `count` in all; read from `folder` if they were made before."""
    path = folder / f"sky_{generator_digest()}_{seed}_{count}.npz"
    if path.is_file():
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in _ARRAYS}
            return Labelled(LightCurves(object_id=[""] * count, **arrays), file["labels"], file["surveys"])
    curves, labels, surveys = generate(count, seed, processes=processes)
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(curves, name) for name in _ARRAYS}
    partial = path.with_suffix(".part.npz")
    np.savez(partial, labels=labels, surveys=surveys, **arrays)
    partial.replace(path)
    return Labelled(curves, labels, surveys)
