# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections in one launch of one block, in Triton.

A detector gives a few tens of thousands of scores, of which a few dozen are above the threshold, so the time
is that of going through stages one after the other, and each is made of few steps: queries with a score above
the threshold; their pairs; for each pair how many are better, which is its row; boxes of those that have one.
Only where more pairs are above the threshold than fit into the list of pairs is a higher threshold looked for
that leaves enough of them, by bisection.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.detections.found import COUNTS, Found
from lowlat_nodes.kernels.detections.threshold import least_value
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource
from lowlat_nodes.kernels.errors import BadArgument

MOST_CLASSES = 4096
"""The most classes: a query's scores are looked at together."""

_WARPS = 16
_SCANNED, _LOOKED_AT = 1 << 14, 1 << 12
"""Scores that are looked at together, in the first stage and in the second."""
_KEPT = 512
"""Room for pairs above the threshold, unless more are asked for."""
_COMPARED = 1 << 14
"""Pairs of pairs that are compared together."""
_INT32 = (1 << 31) - 1
_LAST = tl.constexpr(_INT32)
_WORST, _BEST = tl.constexpr(-(1 << 63)), tl.constexpr((1 << 63) - 1)


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
    """Return the detections; see `detections`. It does not wait for the GPU.

    Raises:
        BadArgument: If there are more classes than `MOST_CLASSES`, or the scores lie too far apart for int32.
    """
    queries, numbers = scores.shape
    if numbers > MOST_CLASSES:
        raise BadArgument(f"scores: expected at most {MOST_CLASSES} classes on a GPU, got {numbers}")
    for name, array in (("scores", scores), ("boxes", boxes)):
        span = sum((size - 1) * stride for size, stride in zip(array.shape, array.stride(), strict=True))
        if span > _INT32:
            raise BadArgument(f"{name}: expected elements within {_INT32} of the first, got {span}; copy it")
    if out is None:
        out = Found(
            torch.empty((limit, 6), dtype=torch.float32, device=scores.device),
            torch.empty(COUNTS, dtype=torch.int32, device=scores.device),
        )
    columns = triton.next_power_of_2(numbers)
    kept = max(_KEPT, triton.next_power_of_2(limit))
    _detections[(1,)](
        scores,
        boxes,
        scores if classes is None else classes.view(torch.uint8),
        out.rows,
        out.counts,
        torch.empty(kept + queries, dtype=torch.int64, device=scores.device),
        queries,
        numbers,
        limit,
        *scores.stride(),
        *boxes.stride(),
        least_value(threshold, activation),
        *map(float, to_source),
        SELECTED=classes is not None,
        SIGMOID=activation == "sigmoid",
        CENTRED=box_format == "cxcywh",
        COLUMNS=columns,
        SCANNED=max(1, _SCANNED // columns),
        LOOKED_AT=max(1, _LOOKED_AT // columns),
        KEPT=kept,
        COMPARED=_COMPARED // kept,
        enable_fp_fusion=False,
        num_warps=_WARPS,
    )
    return out


@triton.jit
def _detections(
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
        tl.store(scratch + KEPT + place, query.to(tl.int64), mask=found != 0)
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
                scores, boxes, scratch + KEPT, first, promising, wanted, number, numbers,
                query_stride, number_stride, box_stride, side_stride, threshold,
                width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high,
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

    index = tl.arange(0, KEPT)
    key = tl.load(scratch + index, mask=index < count, other=0)
    rank = tl.zeros([KEPT], tl.int32)
    for first in range(0, count, COMPARED):
        other = first + tl.arange(0, COMPARED)
        against = tl.load(scratch + other, mask=other < count, other=_WORST)
        rank += tl.sum((against[None, :] > key[:, None]).to(tl.int32), axis=1)
    found = tl.minimum(count, limit)
    chosen = (index < count) & (rank < limit)
    flat = _LAST - (key & _LAST).to(tl.int32)
    query = flat // numbers
    x1, y1, x2, y2, finite = _corners(
        boxes, query, chosen, box_stride, side_stride,
        width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high, CENTRED,
    )  # fmt: skip
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
    unused = (index >= found) & (index < limit)
    for side in tl.static_range(6):
        tl.store(rows + index * 6 + side, tl.zeros([KEPT], tl.float32), mask=unused)
    tl.store(counts, found)
    tl.store(counts + 1, tl.sum(candidates, 0))
    tl.store(counts + 2, tl.sum(refused, 0))


@triton.jit
def _look(
    scores, boxes, promising, first, count, wanted, number, numbers,
    query_stride, number_stride, box_stride, side_stride, threshold,
    width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high,
    CENTRED: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Return the pairs of some promising queries as numbers that order them, and which are usable.

    Then by query: whether a score is NaN, how many pairs are above the threshold, whether the box is finite.
    """
    index = first + tl.arange(0, ROWS)
    inside = index < count
    query = tl.load(promising + index, mask=inside, other=0).to(tl.int32)
    value = tl.load(
        scores + query[:, None] * query_stride + number[None, :] * number_stride,
        mask=inside[:, None] & wanted[None, :],
        other=0.0,
    ).to(tl.float32)
    no_number = tl.max((value != value).to(tl.int32), axis=1)
    good = inside[:, None] & wanted[None, :] & (no_number == 0)[:, None] & (value >= threshold)
    above = tl.sum(good.to(tl.int32), axis=1)
    x1, y1, x2, y2, finite = _corners(
        boxes, query, inside, box_stride, side_stride,
        width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high, CENTRED,
    )  # fmt: skip
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
def _sortable(bits):
    """Turn the bits of a float32 into an int32 of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


@triton.jit
def _corners(
    boxes, query, mask, box_stride, side_stride,
    width, height, left, top, x_scale, y_scale, x_low, y_low, x_high, y_high,
    CENTRED: tl.constexpr,
):  # fmt: skip
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
    x1, y1, x2, y2 = x1 * width, y1 * height, x2 * width, y2 * height
    infinite = float("inf")
    finite = (tl.abs(x1) < infinite) & (tl.abs(y1) < infinite)
    finite = finite & (tl.abs(x2) < infinite) & (tl.abs(y2) < infinite)
    x1 = tl.minimum(tl.maximum((x1 - left) * x_scale, x_low), x_high)
    x2 = tl.minimum(tl.maximum((x2 - left) * x_scale, x_low), x_high)
    y1 = tl.minimum(tl.maximum((y1 - top) * y_scale, y_low), y_high)
    y2 = tl.minimum(tl.maximum((y2 - top) * y_scale, y_low), y_high)
    return x1, y1, x2, y2, finite


def _compilation(dtype: str, numbers: int, limit: int, *, by_class: bool, selected: bool) -> Compilation:
    columns, kept = triton.next_power_of_2(numbers), max(_KEPT, triton.next_power_of_2(limit))
    floats = "threshold width height left top x_scale y_scale x_low y_low x_high y_high"
    strides = {"query_stride": 1} if by_class else {"number_stride": 1}
    return Compilation(
        _detections,
        {
            "scores": f"*{dtype}",
            "boxes": f"*{dtype}",
            "classes": "*u8",
            "rows": "*fp32",
            "counts": "*i32",
            "scratch": "*i64",
            **dict.fromkeys(("queries", "numbers", "limit", "query_stride", "number_stride"), "i32"),
            **dict.fromkeys(("box_stride", "side_stride"), "i32"),
            **dict.fromkeys(floats.split(), "fp32"),
        },
        {
            **strides,
            "SELECTED": selected,
            "SIGMOID": True,
            "CENTRED": True,
            "COLUMNS": columns,
            "SCANNED": max(1, _SCANNED // columns),
            "LOOKED_AT": max(1, _LOOKED_AT // columns),
            "KEPT": kept,
            "COMPARED": _COMPARED // kept,
        },
        {"num_warps": _WARPS, "enable_fp_fusion": False},
        ("scores", "boxes", "rows", "scratch"),
    )


COMPILATIONS = (
    _compilation("fp32", 80, 300, by_class=False, selected=False),
    _compilation("fp16", 80, 300, by_class=False, selected=True),
    _compilation("fp16", 80, 2048, by_class=True, selected=True),
    _compilation("fp32", 1203, 300, by_class=False, selected=True),
)
