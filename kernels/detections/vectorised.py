# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections with NumPy alone."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.detections.found import Found
from lowlat_nodes.kernels.detections.threshold import greatest_value, least_value
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
    found = out or Found.empty(limit)
    # What is not finite is left out, what is too large is clipped.
    with np.errstate(all="ignore"):
        pairs = _promising(scores, np.float32(least_value(threshold, activation)))
        if classes is not None:
            pairs = pairs.where(np.asarray(classes)[pairs.classes])
        refused = 0
        sound = pairs.values <= np.float32(greatest_value(activation))
        if not sound.all():
            bad = np.unique(pairs.queries[~sound])
            refused = len(bad)
            pairs = pairs.where(~np.isin(pairs.queries, bad))
        corners, finite, inside = _corners(boxes, pairs.queries, box_format, to_source)
        candidates = len(corners)
        if not inside.all():
            candidates = int(np.count_nonzero(finite))
            refused += len(finite) - candidates
            pairs, corners = pairs.where(inside), corners[inside]
        best = _best(pairs.values, limit)
        values: NDArray[np.floating[Any]] = pairs.values[best]
        if activation == "sigmoid":  # in float64, so that it is the same number as of other implementations
            values = 1.0 / (1.0 + np.exp(-values.astype(np.float64)))
    rows, counts, count = np.asarray(found.rows), np.asarray(found.counts), len(best)
    rows[:count, :4] = corners[best]
    rows[:count, 4] = values
    rows[:count, 5] = pairs.classes[best]
    rows[count:] = 0.0
    counts[0], counts[1], counts[2] = count, candidates, refused
    return found


class _Pairs(NamedTuple):
    """Pairs of a query and a class, by rising query and then class."""

    queries: NDArray[np.intp]
    classes: NDArray[np.intp]
    values: NDArray[np.float32]

    def where(self, good: NDArray[np.bool_]) -> _Pairs:
        """Return some of them."""
        return _Pairs(self.queries[good], self.classes[good], self.values[good])


def _promising(scores: NDArray[np.floating[Any]], least: np.float32) -> _Pairs:
    """Return all pairs that are not below the least, NaN among them."""
    if scores.flags.c_contiguous or not scores.flags.f_contiguous:
        queries, classes = np.divmod(np.flatnonzero(~(scores < least)), scores.shape[1])
        return _Pairs(queries, classes, scores[queries, classes].astype(np.float32, copy=False))
    # In memory it lies by class, so that the best score of each query is the quickest to have.
    few = np.flatnonzero(~(scores.max(axis=1) < least))
    pairs = _promising(np.ascontiguousarray(scores[few]), least)
    return pairs._replace(queries=few[pairs.queries])


def _corners(
    boxes: NDArray[np.floating[Any]], queries: NDArray[np.intp], box_format: str, way: ToSource
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return corners [n, 4] in px of the source, which were finite, and which of these are within it."""
    corners = boxes[queries].astype(np.float32, copy=False)
    first, second = corners[:, :2], corners[:, 2:]
    if box_format == "cxcywh":
        half = second * np.float32(0.5)
        np.add(first, half, out=second)
        first -= half
    size, origin, scale, low, high = _steps(way)
    corners *= size
    finite = np.logical_and.reduce(np.isfinite(corners), axis=1)
    corners -= origin
    corners *= scale
    np.maximum(corners, low, out=corners)
    np.minimum(corners, high, out=corners)
    return corners, finite, finite & np.logical_and.reduce(second > first, axis=1)


@functools.lru_cache(maxsize=64)
def _steps(way: ToSource) -> tuple[NDArray[np.float32], ...]:
    """Return what the four numbers of a box meet, step by step: size, origin, scale, least, greatest."""
    return tuple(np.tile(np.array(way, np.float32).reshape(5, 2), 2))


def _best(values: NDArray[np.float32], limit: int) -> NDArray[np.intp]:
    """Return the indexes of the highest values by falling value, of equal ones in their order."""
    if len(values) <= limit:
        return np.argsort(-values, kind="stable")
    # Those of the last value that may be among them compete by their place.
    chosen = np.flatnonzero(values >= np.partition(values, len(values) - limit)[len(values) - limit])
    return chosen[np.argsort(-values[chosen], kind="stable")[:limit]]
