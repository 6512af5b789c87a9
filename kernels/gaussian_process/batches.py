# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Light curves of about as many epochs, padded to one length and factorised together by NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.gaussian_process.curves import Curves
from lowlat_nodes.kernels.gaussian_process.results import Floats

_WORK_VALUES: Final = 100_000  # of the largest array, to stay within the cache


def batches(curves: Curves, *, queries: int = 1, matrices: int = 1) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of curves that have epochs, in batches that fit the cache.

    Args:
        curves: All of them.
        queries: Of each curve.
        matrices: Of each curve, at once.
    """
    epochs = curves.counts
    order = np.argsort(epochs, kind="stable")
    start = int(np.searchsorted(epochs[order], 1))
    while start < len(order):
        width = int(epochs[order[start]])
        width += -width % 8 if width <= 64 else -width % 32
        most = max(1, _WORK_VALUES // (width * max(matrices * width, queries)))
        stop = min(start + most, int(np.searchsorted(epochs[order], width, side="right")))
        yield order[start:stop]
        start = stop


@dataclass(slots=True, eq=False)
class Batch:
    """Light curves [b, m], padded at the end; times count from each one's first epoch."""

    real: NDArray[np.bool_]
    times: Floats
    wavelengths: Floats
    values: Floats
    variances: Floats

    @classmethod
    def of(cls, curves: Curves, rows: NDArray[np.int64]) -> Batch:
        """Take some curves, none of them empty."""
        starts, counts = curves.offsets[rows], curves.counts[rows]
        column = np.arange(counts.max())
        real = column < counts[:, None]
        epoch = starts[:, None] + np.minimum(column, counts[:, None] - 1)
        return cls(
            real,
            curves.times[epoch] - curves.times[starts][:, None],
            curves.wavelengths[epoch],
            np.where(real, curves.values[epoch], 0.0),
            curves.variances[epoch],
        )

    def kernel(self, time_scales: Floats, wavelength_scale: float) -> Floats:
        """Return the Matern function between epochs [b, m, m], 0 where one is padding."""
        made = matern(
            (self.times[:, :, None] - self.times[:, None, :]) / time_scales[:, None, None],
            (self.wavelengths[:, :, None] - self.wavelengths[:, None, :]) / wavelength_scale,
        )
        made *= self.real[:, :, None] & self.real[:, None, :]
        return made

    def factorise(self, kernel: Floats, amplitudes: Floats, floor: float) -> tuple[Floats, Floats, Floats]:
        """Return the Cholesky factor L of covariances, L^-1 values and the logarithm of the likelihood.

        The values border the matrix as one more row, so that one factorisation solves for them as well.

        Args:
            kernel: [b, m, m].
            amplitudes: [..., b].
            floor: Of the noise, in units of the squared amplitude.

        Returns:
            [..., b, m, m] and [..., b, m], in units of the amplitude, and [..., b].
        """
        m = self.real.shape[1]
        unit = amplitudes[..., None]
        noise = np.where(self.real, np.maximum(self.variances / unit / unit, floor), 1.0)
        values = self.values / unit
        bordered = np.zeros((*amplitudes.shape, m + 1, m + 1))
        bordered[..., :m, :m] = kernel
        diagonal = np.arange(m)
        bordered[..., diagonal, diagonal] += noise
        bordered[..., m, :m] = values
        # Anything above the weighted sum of squares keeps the bordered matrix positive.
        bordered[..., m, m] = 1.0 + 2.0 * (values**2 / noise).sum(-1)
        factor = np.linalg.cholesky(bordered)
        whitened = factor[..., m, :m]
        pivots = factor[..., diagonal, diagonal]
        likelihood = -0.5 * (whitened**2).sum(-1) - np.log(pivots).sum(-1)
        likelihood -= self.real.sum(1) * (np.log(amplitudes) + 0.5 * np.log(2.0 * np.pi))
        return factor[..., :m, :m], whitened, likelihood


def matern(times: Floats, wavelengths: Floats) -> Floats:
    """Return the Matern 3/2 function of differences along both axes, each in units of its scale."""
    distance = np.sqrt(3.0 * (times**2 + wavelengths**2))
    return np.asarray((1.0 + distance) * np.exp(-distance))
