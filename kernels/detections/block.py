# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections in one block of a GPU.

A detector gives a few tens of thousands of scores, of which a few dozen are above the threshold, so the time
is that of going through stages one after the other, and each is made of few steps: queries with a score above
the threshold; their pairs; for each pair how many are better, which is its row; boxes of those that have one.
Only where more pairs are above the threshold than fit into the list of pairs is a higher threshold looked for
that leaves enough of them, by bisection.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
# ruff: noqa: N803

from __future__ import annotations

import triton
import triton.language as tl

_LAST = tl.constexpr((1 << 31) - 1)
"""The place of a pair is taken off this one, so that of equal scores the first pair is the greatest."""
_WORST, _BEST = tl.constexpr(-(1 << 63)), tl.constexpr((1 << 63) - 1)


@triton.jit(do_not_specialize=["queries", "numbers", "limit"])
def find(
    scores,
    boxes,
    classes,
    rows,
    counts,
    scratch,
    queries,
    numbers,
    limit,
    query_stride,
    number_stride,
    box_stride,
    side_stride,
    threshold,
    greatest,
    width,
    height,
    left,
    top,
    x_scale,
    y_scale,
    x_low,
    y_low,
    x_high,
    y_high,
    SELECTED: tl.constexpr,
    SIGMOID: tl.constexpr,
    CENTRED: tl.constexpr,
    COLUMNS: tl.constexpr,
    SCANNED: tl.constexpr,
    LOOKED_AT: tl.constexpr,
    KEPT: tl.constexpr,
    COMPARED: tl.constexpr,
):
    """Do all of it; `scratch` int64 [KEPT + queries] is for the pairs and, after them, the queries."""
    way = (width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high)
    queue = scratch + KEPT
    number = tl.arange(0, COLUMNS)
    wanted = number < numbers
    if SELECTED:
        wanted &= tl.load(classes + number, mask=wanted, other=0) != 0
    promising = 0
    for first in range(0, queries, SCANNED):
        query = first + tl.arange(0, SCANNED)
        inside = (query < queries)[:, None] & wanted[None, :]
        value = tl.load(
            scores + query[:, None] * query_stride + number[None, :] * number_stride, mask=inside, other=0.0
        ).to(tl.float32)
        found = tl.max((inside & ~(value < threshold)).to(tl.int32), axis=1)
        place = promising + tl.cumsum(found, 0) - found
        tl.store(queue + place, query.to(tl.int64), mask=found != 0)
        promising += tl.sum(found, 0)

    # The first round keeps every pair above the threshold; those after it seek a pivot that leaves enough.
    low = tl.full((), _WORST, tl.int64)
    high = tl.full((), _BEST, tl.int64)
    pivot = low
    count = 0
    refused = tl.zeros([LOOKED_AT], tl.int32)
    candidates = tl.zeros([LOOKED_AT], tl.int32)
    again = True
    while again:
        tl.debug_barrier()
        count = 0
        refused = tl.zeros([LOOKED_AT], tl.int32)
        candidates = tl.zeros([LOOKED_AT], tl.int32)
        for first in range(0, promising, LOOKED_AT):
            key, usable, no_number, above, finite = _look(
                scores, boxes, queue, first, promising, wanted, number, numbers,
                query_stride, number_stride, box_stride, side_stride, threshold, greatest, way,
                CENTRED, LOOKED_AT,
            )  # fmt: skip
            refused += no_number + tl.where(finite, 0, above)
            candidates += tl.where(finite, above, 0)
            count = _keep(scratch, key, usable & (key >= pivot), count, KEPT)
        again = (count > KEPT) | ((count < limit) & (pivot > _WORST))
        low = tl.where(count > KEPT, pivot, low)
        high = tl.where(count < limit, pivot, high)
        pivot = (low & high) + ((low ^ high) >> 1)
    tl.debug_barrier()

    _write(
        rows, scratch, count, boxes, numbers, limit, box_stride, side_stride, way,
        SIGMOID, CENTRED, KEPT, COMPARED,
    )  # fmt: skip
    tl.store(counts, tl.minimum(count, limit))
    tl.store(counts + 1, tl.sum(candidates, 0))
    tl.store(counts + 2, tl.sum(refused, 0))


@triton.jit
def _look(
    scores, boxes, promising, first, count, wanted, number, numbers,
    query_stride, number_stride, box_stride, side_stride, threshold, greatest,
    way, CENTRED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Return the pairs of some promising queries as numbers that order them, and which are usable.

    Then by query: whether a score is none, how many pairs are above the threshold, whether the box is finite.
    """
    index = first + tl.arange(0, ROWS)
    inside = index < count
    query = tl.load(promising + index, mask=inside, other=0).to(tl.int32)
    value = tl.load(
        scores + query[:, None] * query_stride + number[None, :] * number_stride,
        mask=inside[:, None] & wanted[None, :],
        other=0.0,
    ).to(tl.float32)
    no_number = tl.max((~(value <= greatest)).to(tl.int32), axis=1)
    good = inside[:, None] & wanted[None, :] & (no_number == 0)[:, None] & (value >= threshold)
    above = tl.sum(good.to(tl.int32), axis=1)
    x1, y1, x2, y2, finite = _corners(boxes, query, inside, box_stride, side_stride, way, CENTRED)
    usable = good & (finite & (x2 > x1) & (y2 > y1))[:, None]
    place = _LAST - (query[:, None] * numbers + number[None, :])
    value = tl.where(value == 0.0, 0.0, value)  # -0 is no less than 0
    key = (_sortable(value.to(tl.int32, bitcast=True)).to(tl.int64) << 32) | place.to(tl.int64)
    return key, usable, no_number, above, finite


@triton.jit
def _keep(pairs, key, usable, count, KEPT: tl.constexpr):
    """Append the usable pairs to the list as far as there is room; return how many there are in all."""
    chosen = usable.to(tl.int32)
    of_row = tl.sum(chosen, axis=1)
    begin = count + tl.cumsum(of_row, 0) - of_row
    place = begin[:, None] + tl.cumsum(chosen, 1) - chosen
    tl.store(pairs + place, key, mask=usable & (place < KEPT))
    return count + tl.sum(of_row, 0)


@triton.jit
def _write(
    rows, pairs, count, boxes, numbers, limit, box_stride, side_stride, way,
    SIGMOID: tl.constexpr, CENTRED: tl.constexpr, KEPT: tl.constexpr, COMPARED: tl.constexpr,
):  # fmt: skip
    """Write the best pairs of the list, each to the row after those of all that are better."""
    index = tl.arange(0, KEPT)
    key = tl.load(pairs + index, mask=index < count, other=0)
    rank = tl.zeros([KEPT], tl.int32)
    for first in range(0, count, COMPARED):
        other = first + tl.arange(0, COMPARED)
        against = tl.load(pairs + other, mask=other < count, other=_WORST)
        rank += tl.sum((against[None, :] > key[:, None]).to(tl.int32), axis=1)
    chosen = (index < count) & (rank < limit)
    flat = _LAST - (key & _LAST).to(tl.int32)
    query = flat // numbers
    x1, y1, x2, y2, _ = _corners(boxes, query, chosen, box_stride, side_stride, way, CENTRED)
    score = _sortable((key >> 32).to(tl.int32)).to(tl.float32, bitcast=True)
    if SIGMOID:
        score = 1.0 / (1.0 + tl.exp(-score))
    row = rows + rank * 6
    tl.store(row, x1, mask=chosen)
    tl.store(row + 1, y1, mask=chosen)
    tl.store(row + 2, x2, mask=chosen)
    tl.store(row + 3, y2, mask=chosen)
    tl.store(row + 4, score, mask=chosen)
    tl.store(row + 5, (flat - query * numbers).to(tl.float32), mask=chosen)
    unused = (index >= count) & (index < limit)
    for side in tl.static_range(6):
        tl.store(rows + index * 6 + side, tl.zeros([KEPT], tl.float32), mask=unused)


@triton.jit
def _sortable(bits):
    """Turn the bits of a float32 into an int32 of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _corners(boxes, query, mask, box_stride, side_stride, way, CENTRED: tl.constexpr):
    """Return the corners of boxes in px of the source, and whether they are finite in the input."""
    box = boxes + query * box_stride
    x1 = tl.load(box, mask=mask, other=0.0).to(tl.float32)
    y1 = tl.load(box + side_stride, mask=mask, other=0.0).to(tl.float32)
    x2 = tl.load(box + 2 * side_stride, mask=mask, other=0.0).to(tl.float32)
    y2 = tl.load(box + 3 * side_stride, mask=mask, other=0.0).to(tl.float32)
    if CENTRED:
        half_width = x2 * 0.5
        half_height = y2 * 0.5
        x2 = x1 + half_width
        x1 = x1 - half_width
        y2 = y1 + half_height
        y1 = y1 - half_height
    width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high = way
    x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
    infinite = float("inf")
    finite = (tl.abs(x1) < infinite) & (tl.abs(y1) < infinite)
    finite = finite & (tl.abs(x2) < infinite) & (tl.abs(y2) < infinite)
    x1 = tl.minimum(tl.maximum((x1 - left) * x_scale, x_low), x_high)
    x2 = tl.minimum(tl.maximum((x2 - left) * x_scale, x_low), x_high)
    y1 = tl.minimum(tl.maximum((y1 - top) * y_scale, y_low), y_high)
    y2 = tl.minimum(tl.maximum((y2 - top) * y_scale, y_low), y_high)
    return x1, y1, x2, y2, finite
