# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of features, batch by batch, in bounded memory.

Methods: mean and sum of squares by pairwise update (Chan, Golub and LeVeque 1979); quantiles of a thinned
sample, for which policies with quantile normalisation, such as LeRobot's pi05, ask.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Floats

QUANTILES: Mapping[str, float] = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}

_SAMPLE_ROWS = 1 << 16
_SMALL_PX = 150


class Statistics(Protocol):
    """What is known of one feature."""

    def add(self, values: NDArray[Any]) -> None:
        """Take in values."""
        ...

    def figures(self) -> dict[str, Any]:
        """Return min, max, mean, std (of the population), count and quantiles, as lists."""
        ...


class VectorStatistics:
    """Statistics of each column of a table that is never held whole.

    Quantiles are those of every n-th row, n such that at most 65,536 rows are kept: exact up to there.

    Args:
        columns: Number of columns.
    """

    def __init__(self, columns: int) -> None:
        self._rows = 0
        self._least = np.full(columns, np.inf)
        self._greatest = np.full(columns, -np.inf)
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)
        self._stride = 1
        self._sample = np.empty((0, columns))

    def add(self, values: NDArray[Any]) -> None:
        """Take in rows, [n, columns] of any number type."""
        table = values.astype(np.float64)
        self._thin_out(table)
        before, self._rows = self._rows, self._rows + len(table)
        mean = table.mean(axis=0)
        apart = mean - self._mean
        self._squares = (
            self._squares + ((table - mean) ** 2).sum(axis=0) + apart**2 * (before * len(table) / self._rows)
        )
        self._mean = self._mean + apart * (len(table) / self._rows)
        self._least = np.minimum(self._least, table.min(axis=0))
        self._greatest = np.maximum(self._greatest, table.max(axis=0))

    def figures(self) -> dict[str, Any]:
        """Return each figure as a list of a value per column."""
        quantiles = np.quantile(self._sample, list(QUANTILES.values()), axis=0)
        return {
            "min": self._least.tolist(),
            "max": self._greatest.tolist(),
            "mean": self._mean.tolist(),
            "std": np.sqrt(self._squares / self._rows).tolist(),
            "count": [self._rows],
            **dict(zip(QUANTILES, quantiles.tolist(), strict=True)),
        }

    def _thin_out(self, table: Floats) -> None:
        first = -self._rows % self._stride
        self._sample = np.concatenate([self._sample, table[first :: self._stride]])
        while len(self._sample) > _SAMPLE_ROWS:
            self._sample = self._sample[::2]
            self._stride *= 2


class ImageStatistics:
    """Statistics of each channel of images, from 0 to 1: all figures come from a count of each of 256 values.

    Of each image every n-th pixel counts, n such that about 150 are left of its longer side; LeRobot thins
    images out likewise (`auto_downsample_height_width`). The count is that of the images.
    """

    def __init__(self) -> None:
        self._images = 0
        self._counts = np.zeros((3, 256), np.int64)

    def add(self, values: NDArray[Any]) -> None:
        """Take in an image, uint8 [height, width, 3]."""
        stride = max(1, max(values.shape[:2]) // _SMALL_PX)
        self._images += 1
        for channel in range(3):
            levels = values[::stride, ::stride, channel].reshape(-1)
            self._counts[channel] += np.bincount(levels, minlength=256)

    def figures(self) -> dict[str, Any]:
        """Return each figure as [3, 1, 1]."""
        levels = np.arange(256) / 255
        pixels = self._counts[0].sum()
        mean = self._counts @ levels / pixels
        variance = (self._counts * (levels - mean[:, None]) ** 2).sum(axis=1) / pixels
        up_to = self._counts.cumsum(axis=1)
        found = {
            "min": levels[(up_to > 0).argmax(axis=1)],
            "max": levels[(up_to == pixels).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(variance),
            **{name: levels[(up_to >= share * pixels).argmax(axis=1)] for name, share in QUANTILES.items()},
        }
        lists = {name: values.reshape(3, 1, 1).tolist() for name, values in found.items()}
        return {**lists, "count": [self._images]}
