# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections in one pass over the scores, compiled by numba; it does not hold Python's lock meanwhile."""

# mypy: allow-untyped-decorators

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from lowlat_nodes.kernels.detections.found import Found
from lowlat_nodes.kernels.detections.threshold import greatest_value, least_value
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource

_ALL = np.ones(0, np.bool_)

# Not kept on disk: numba keeps it as a pickle, in a folder that a robot's user may not have.
_compiled = functools.partial(njit, nogil=True, error_model="numpy")

_TABLE = types.Array(types.float32, 2, "C", readonly=True)
_BOXES = types.Array(types.float32, 2, "A", readonly=True)
_CLASSES = types.Array(types.boolean, 1, "C", readonly=True)
_NUMBERS = types.Array(types.float32, 1, "C", readonly=True)


@_compiled()
def _mark_by_query(
    table: NDArray[np.float32], least: NDArray[np.float32], promising: NDArray[np.bool_]
) -> None:
    """Mark the queries that have a score which is not below the least of its class, or NaN."""
    # Without a branch, so that the compiler makes it a few wide instructions per query.
    for query in range(table.shape[0]):
        found = False
        for number in range(table.shape[1]):
            found |= not (table[query, number] < least[number])
        promising[query] = found


@_compiled()
def _mark_by_class(
    table: NDArray[np.float32], least: NDArray[np.float32], promising: NDArray[np.bool_]
) -> None:
    """Do as `_mark_by_query` with the transpose."""
    for number in range(table.shape[0]):
        at_least = least[number]
        for query in range(table.shape[1]):
            promising[query] |= not (table[number, query] < at_least)


@_compiled()
def _count(
    row: NDArray[np.float32], least: NDArray[np.float32], greatest: float, wanted: NDArray[np.bool_]
) -> tuple[int, bool]:
    """Return how many scores of a query are high enough, and whether one is none, among wanted classes."""
    above, no_number = 0, False
    for number in range(len(row)):
        above += wanted[number] & (row[number] >= least[number])
        no_number |= wanted[number] & (not (row[number] <= greatest))
    return above, no_number


@_compiled()
def _place(
    boxes: NDArray[np.float32], query: int, centred: bool, way: NDArray[np.float32]
) -> tuple[np.float32, np.float32, np.float32, np.float32, bool]:
    """Return the corners of a box in px of the source, and whether they are finite in the input."""
    x1, y1, x2, y2 = boxes[query, 0], boxes[query, 1], boxes[query, 2], boxes[query, 3]
    if centred:
        half_width, half_height = x2 * np.float32(0.5), y2 * np.float32(0.5)
        x1, x2 = x1 - half_width, x1 + half_width
        y1, y2 = y1 - half_height, y1 + half_height
    x1, y1, x2, y2 = x1 * way[0], y1 * way[1], x2 * way[0], y2 * way[1]
    finite = math.isfinite(x1) and math.isfinite(y1) and math.isfinite(x2) and math.isfinite(y2)
    x1, x2 = (x1 - way[2]) * way[4], (x2 - way[2]) * way[4]
    y1, y2 = (y1 - way[3]) * way[5], (y2 - way[3]) * way[5]
    x1, x2 = min(max(x1, way[6]), way[8]), min(max(x2, way[6]), way[8])
    y1, y2 = min(max(y1, way[7]), way[9]), min(max(y2, way[7]), way[9])
    return x1, y1, x2, y2, finite


@_compiled()
def _offer(
    values: NDArray[np.float32], places: NDArray[np.int64], size: int, value: np.float32, place: int
) -> int:
    """Put a pair into a heap with the worst on top, in place of that one if it is full; return its size.

    Pairs come by rising place: among equals, one that comes later is worse.
    """
    if size == len(values):
        _sink(values, places, size, value, place)
        return size
    index = size
    while index > 0:
        above = (index - 1) // 2
        if values[above] < value:
            break
        values[index], places[index] = values[above], places[above]
        index = above
    values[index], places[index] = value, place
    return size + 1


@_compiled()
def _sink(
    values: NDArray[np.float32], places: NDArray[np.int64], size: int, value: np.float32, place: int
) -> None:
    """Put a pair into the heap in place of the one on top."""
    index = 0
    while True:
        below = 2 * index + 1
        if below >= size:
            break
        other = below + 1
        if other < size and _worse(values[other], places[other], values[below], places[below]):
            below = other
        if _worse(value, place, values[below], places[below]):
            break
        values[index], places[index] = values[below], places[below]
        index = below
    values[index], places[index] = value, place


@_compiled()
def _worse(value: np.float32, place: int, other_value: np.float32, other_place: int) -> bool:
    return bool(value < other_value or (value == other_value and place > other_place))


@_compiled()
def _sort(values: NDArray[np.float32], places: NDArray[np.int64], size: int) -> None:
    """Order a heap from the best pair to the worst."""
    for last in range(size - 1, 0, -1):
        worst_value, worst_place = values[0], places[0]
        _sink(values, places, last, values[last], places[last])
        values[last], places[last] = worst_value, worst_place


@_compiled()
def _gather(
    table: NDArray[np.float32],
    by_class: bool,
    promising: NDArray[np.bool_],
    least: NDArray[np.float32],
    greatest: float,
    wanted: NDArray[np.bool_],
    boxes: NDArray[np.float32],
    centred: bool,
    way: NDArray[np.float32],
    values: NDArray[np.float32],
    places: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Put the best pairs of the promising queries into a heap; return its size, candidates, refused."""
    row = np.empty(len(least), np.float32)
    size = candidates = refused = 0
    for query in range(len(promising)):
        if not promising[query]:
            continue
        for number in range(len(row)):
            row[number] = table[number, query] if by_class else table[query, number]
        above, no_number = _count(row, least, greatest, wanted)
        if no_number:
            refused += 1
            continue
        x1, y1, x2, y2, finite = _place(boxes, query, centred, way)
        if not finite:
            refused += above
            continue
        candidates += above
        if not (x2 > x1 and y2 > y1):
            continue
        for number in range(len(row)):
            value = row[number]
            if wanted[number] and value >= least[number] and (size < len(values) or value > values[0]):
                size = _offer(values, places, size, value, query * len(row) + number)
    return size, candidates, refused


# One signature, so that nothing is compiled while frames come, whatever their memory is like.
@_compiled(
    types.void(
        _TABLE, types.boolean, _BOXES, _CLASSES, types.float64, types.float64, types.boolean, types.boolean,
        _NUMBERS, types.float32[:, ::1], types.int32[::1],
    )
)  # fmt: skip
def _find(
    table: NDArray[np.float32],
    by_class: bool,
    boxes: NDArray[np.float32],
    classes: NDArray[np.bool_],
    threshold: float,
    greatest: float,
    sigmoid: bool,
    centred: bool,
    way: NDArray[np.float32],
    rows: NDArray[np.float32],
    counts: NDArray[np.int32],
) -> None:
    """Write the detections of a table of scores, [classes, queries] if it is `by_class`, or its transpose."""
    numbers = table.shape[0] if by_class else table.shape[1]
    least = np.full(numbers, np.float32(threshold), np.float32)
    wanted = np.ones(numbers, np.bool_)
    for number in range(len(classes)):
        if not classes[number]:
            wanted[number] = False
            least[number] = np.float32(math.inf)
    promising = np.zeros(len(boxes), np.bool_)
    if by_class:
        _mark_by_class(table, least, promising)
    else:
        _mark_by_query(table, least, promising)
    values, places = np.empty(len(rows), np.float32), np.empty(len(rows), np.int64)
    size, candidates, refused = _gather(
        table, by_class, promising, least, greatest, wanted, boxes, centred, way, values, places
    )
    _sort(values, places, size)
    for index in range(size):
        query, number = divmod(places[index], numbers)
        x1, y1, x2, y2, _ = _place(boxes, query, centred, way)
        rows[index, 0], rows[index, 1], rows[index, 2], rows[index, 3] = x1, y1, x2, y2
        value = np.float64(values[index])
        rows[index, 4] = 1.0 / (1.0 + math.exp(-value)) if sigmoid else value
        rows[index, 5] = number
    rows[size:] = 0.0
    counts[0], counts[1], counts[2] = size, candidates, refused


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
    values = np.asarray(scores).astype(np.float32, copy=False)
    by_class = not values.flags.c_contiguous and values.flags.f_contiguous
    if not by_class:
        values = np.ascontiguousarray(values)
    found = out or Found.empty(limit)
    _find(
        values.T if by_class else values,
        by_class,
        np.asarray(boxes).astype(np.float32, copy=False),
        _ALL if classes is None else np.asarray(classes),
        least_value(threshold, activation),
        greatest_value(activation),
        activation == "sigmoid",
        box_format == "cxcywh",
        _numbers(to_source),
        np.asarray(found.rows),
        np.asarray(found.counts),
    )
    return found


@functools.lru_cache(maxsize=64)
def _numbers(to_source: ToSource) -> NDArray[np.float32]:
    return np.array(to_source, np.float32)
