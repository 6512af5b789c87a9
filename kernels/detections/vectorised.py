# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections with NumPy alone."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.detections.found import Found
from lowlat_nodes.kernels.detections.threshold import least_value
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource


def run(
    scores: Any,
    boxes: Any,
    *,
    threshold: float,
    limit: int,
    activation: str = "sigmoid",
    box_format: str = "cxcywh",
    to_source: ToSource = UNPLACED,
    classes: Any | None = None,
    out: Found | None = None,
) -> Found:
    """Return the detections; see `detections`."""
    scores, boxes = np.asarray(scores), np.asarray(boxes)
    least = np.float32(least_value(threshold, activation))
    queries, numbers, values = _pairs(scores, least)
    if classes is not None:
        wanted = np.asarray(classes)[numbers]
        queries, numbers, values = queries[wanted], numbers[wanted], values[wanted]
    refused = 0
    nowhere = np.isnan(values)
    if nowhere.any():
        bad = np.unique(queries[nowhere])
        refused = len(bad)
        kept = ~np.isin(queries, bad)
        queries, numbers, values = queries[kept], numbers[kept], values[kept]
    with np.errstate(all="ignore"):  # what is not finite is left out, what is too large is clipped
        corners, finite = _corners(boxes, queries, box_format, to_source)
        candidates = int(np.count_nonzero(finite))
        refused += len(finite) - candidates
        good = finite & (corners[:, 2:] > corners[:, :2]).all(axis=1)
        if not good.all():
            queries, numbers, values, corners = queries[good], numbers[good], values[good], corners[good]
        best = _best(values, queries * scores.shape[1] + numbers, limit)
        values = values[best]
        if activation == "sigmoid":  # in float64, so that it is the same number as of other implementations
            values = 1.0 / (1.0 + np.exp(-values.astype(np.float64)))
    found = out or Found.empty(limit)
    rows, count = np.asarray(found.rows), len(best)
    rows[:count, :4] = corners[best]
    rows[:count, 4] = values
    rows[:count, 5] = numbers[best]
    rows[count:] = 0.0
    np.asarray(found.counts)[:] = (count, candidates, refused)
    return found


def _pairs(
    scores: NDArray[np.floating[Any]], least: np.float32
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """Return the queries, classes and values of all pairs that are not below the least, NaN among them."""
    # The transpose of a table that lies in memory by class is read as it lies.
    by_class = not scores.flags.c_contiguous and scores.T.flags.c_contiguous
    table = scores.T if by_class else scores
    flat = np.flatnonzero(~(table < least))
    rows, columns = np.divmod(flat, table.shape[1])
    values = table[rows, columns].astype(np.float32, copy=False)
    return (columns, rows, values) if by_class else (rows, columns, values)


def _corners(
    boxes: NDArray[np.floating[Any]], queries: NDArray[np.intp], box_format: str, way: ToSource
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return float32 [n, 4] in px of the source, and which of them were finite in the input."""
    corners = boxes[queries].astype(np.float32, copy=False)
    if box_format == "cxcywh":
        half = corners[:, 2:] * np.float32(0.5)
        corners[:, 2:] = corners[:, :2] + half
        corners[:, :2] -= half
    size, origin, scale, low, high = _steps(way)
    corners *= size
    finite = np.isfinite(corners).all(axis=1)
    corners -= origin
    corners *= scale
    np.maximum(corners, low, out=corners)
    np.minimum(corners, high, out=corners)
    return corners, finite


@functools.lru_cache(maxsize=64)
def _steps(way: ToSource) -> NDArray[np.float32]:
    """Return float32 [5, 4]: what the numbers of boxes meet, step by step."""
    return np.tile(np.array(way, np.float32).reshape(5, 2), 2)


def _best(values: NDArray[np.float32], flat: NDArray[np.intp], limit: int) -> NDArray[np.intp]:
    """Return the indexes of the highest values by falling value, of equal ones by rising `flat`."""
    if len(values) > limit:
        # Every pair that may be among them: those of the last value compete by their place.
        last = np.partition(values, len(values) - limit)[-limit]
        chosen = np.flatnonzero(values >= last)
        return chosen[np.lexsort((flat[chosen], -values[chosen]))][:limit]
    best: NDArray[np.intp] = np.lexsort((flat, -values))
    return best
