# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Random batches of light curves with the parameters of their kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from lowlat_nodes.kernels.gaussian_process import Curves, Posterior, gaussian_process

QUERY_WAVELENGTHS = np.array([0.48, 0.64])


@dataclass
class Batch:
    """Arguments of the operation."""

    curves: Curves
    amplitudes: np.ndarray
    time_scales: np.ndarray
    wavelength_scale: float = 0.6
    query_wavelengths: Any = None

    def __post_init__(self) -> None:
        if self.query_wavelengths is None:
            self.query_wavelengths = QUERY_WAVELENGTHS.copy()

    def with_curves(self, **arrays: np.ndarray) -> Batch:
        return replace(self, curves=replace(self.curves, **arrays))

    def by(self, implementation: str, **options: Any) -> Posterior:
        """Compute with one implementation, on tensors where it takes those; the result is of NumPy."""
        return _computed(self, implementation, options)


def _computed(batch: Batch, implementation: str, options: dict[str, Any]) -> Posterior:
    curves, arguments = batch.curves, [batch.amplitudes, batch.time_scales, batch.query_wavelengths]
    if implementation == "cuda":
        curves = Curves(*map(tensors, (getattr(curves, each.name) for each in fields(curves))))
        arguments, options = tensors(arguments), tensors(options)
    amplitudes, time_scales, query_wavelengths = arguments
    found = gaussian_process.on(implementation)(
        curves, amplitudes, time_scales, batch.wavelength_scale, query_wavelengths, **options
    )
    return Posterior(*map(np.asarray, found))


def tensors(value: Any) -> Any:
    """Return tensors on the same memory for arrays, in lists, dictionaries and results as well."""
    if isinstance(value, Posterior):
        return Posterior(*map(tensors, value))
    if isinstance(value, list):
        return [tensors(each) for each in value]
    if isinstance(value, dict):
        return {name: tensors(each) for name, each in value.items()}
    if isinstance(value, np.ndarray):
        import torch

        return torch.from_numpy(value)
    return value


@pytest.fixture
def batch() -> Callable[..., Batch]:
    return random_batch


def random_batch(counts: Sequence[int], seed: int = 0, *, unit: float = 1.0) -> Batch:
    """Noisy bumps in three passbands, in no order and some twice at a time; values are of the size `unit`."""
    random = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    m, n = int(offsets[-1]), len(counts)
    times = 59000.0 + random.uniform(0.0, 120.0, m)
    repeated = np.flatnonzero(random.uniform(size=m) < 0.2)
    times[repeated] = times[np.maximum(repeated - 1, 0)]
    sigma = unit * random.uniform(0.02, 0.3, m)
    values = unit * 3.0 * np.exp(-0.5 * ((times - 59040.0) / 25.0) ** 2) + sigma * random.standard_normal(m)
    return Batch(
        Curves(offsets, times, random.choice([0.48, 0.64, 0.87], m), values, sigma**2),
        unit * random.uniform(0.5, 2.0, n),
        random.uniform(3.0, 60.0, n),
    )
