# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Statistics of features, row by row and merged over episodes.

Method: pairwise update of mean and sum of squares, Chan, Golub and LeVeque 1979.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.stream.payload import Floats

_SMALL_PX = 150


class Statistics:
    """Least, greatest, mean and standard deviation of each column of a table that is never held whole.

    Args:
        columns: Number of columns.
        rows_per_sample: Rows that count as one sample: the pixels of an image.

    Attributes:
        rows: Rows seen so far.
    """

    def __init__(self, columns: int, rows_per_sample: int = 1) -> None:
        self.rows = 0
        self._rows_per_sample = rows_per_sample
        self._least = np.full(columns, np.inf)
        self._greatest = np.full(columns, -np.inf)
        self._mean = np.zeros(columns)
        self._squares = np.zeros(columns)

    def add(self, table: NDArray[Any]) -> None:
        """Take in rows, [rows, columns] of any number type."""
        if len(table):
            mean = table.mean(axis=0, dtype=np.float64)
            squares = ((table - mean) ** 2).sum(axis=0)
            self._take(len(table), table.min(axis=0), table.max(axis=0), mean, squares)

    def merge(self, other: Statistics) -> None:
        """Take in the rows of another one."""
        if other.rows:
            self._take(other.rows, other._least, other._greatest, other._mean, other._squares)

    def plain(self, shape: tuple[int, ...], scale: float = 1.0) -> dict[str, Any]:
        """Return the figures as lists of a shape, times a scale; population standard deviation."""
        figures = {
            "min": self._least,
            "max": self._greatest,
            "mean": self._mean,
            "std": np.sqrt(self._squares / max(1, self.rows)),
        }
        lists = {name: (values * scale).reshape(shape).tolist() for name, values in figures.items()}
        return {**lists, "count": [self.rows // self._rows_per_sample]}

    def _take(self, rows: int, least: Floats, greatest: Floats, mean: Floats, squares: Floats) -> None:
        total = self.rows + rows
        apart = mean - self._mean
        self._mean = self._mean + apart * (rows / total)
        self._squares = self._squares + squares + apart**2 * (self.rows * rows / total)
        self._least, self._greatest = np.minimum(self._least, least), np.maximum(self._greatest, greatest)
        self.rows = total


def thumbnail(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return every n-th pixel of an image [height, width, 3] as rows [n, 3]: about 150 along its longer side.

    LeRobot thins images out likewise before it computes statistics (`auto_downsample_height_width`).
    """
    stride = max(1, max(image.shape[:2]) // _SMALL_PX)
    return image[::stride, ::stride].reshape(-1, 3)
