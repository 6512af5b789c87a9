# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections in one launch of one block of a GPU, in Triton."""

from __future__ import annotations

from typing import Any

import torch
import triton

from lowlat_nodes.kernels.compile import Compilation
from lowlat_nodes.kernels.detections.block import find
from lowlat_nodes.kernels.detections.found import COUNTS, Found
from lowlat_nodes.kernels.detections.threshold import greatest_value, least_value
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.launching import beside

MOST_CLASSES = 4096
"""The most classes: a query's scores are looked at together."""

_WARPS = 16
_SCANNED, _LOOKED_AT = 1 << 14, 1 << 12
"""Scores that are looked at together, in the first stage and in the second."""
_KEPT = 512
"""Room for pairs above the threshold, unless more are asked for."""
_COMPARED = 1 << 12
"""Pairs of pairs that are compared together."""
_INT32 = (1 << 31) - 1


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
    sizes = _sizes(numbers, limit)
    with beside(scores):
        find[(1,)](
            scores,
            boxes,
            scores if classes is None else classes.view(torch.uint8),
            out.rows,
            out.counts,
            torch.empty(sizes["KEPT"] + queries, dtype=torch.int64, device=scores.device),
            queries,
            numbers,
            limit,
            *scores.stride(),
            *boxes.stride(),
            least_value(threshold, activation),
            greatest_value(activation),
            *map(float, to_source),
            SELECTED=classes is not None,
            SIGMOID=activation == "sigmoid",
            CENTRED=box_format == "cxcywh",
            **sizes,
            enable_fp_fusion=False,
            num_warps=_WARPS,
        )
    return out


def _sizes(numbers: int, limit: int) -> dict[str, int]:
    """Return how much is worked on together; a kernel is compiled for each that differs."""
    columns, kept = triton.next_power_of_2(numbers), max(_KEPT, triton.next_power_of_2(limit))
    return {
        "COLUMNS": columns,
        "SCANNED": min(max(1, _SCANNED // columns), 1024),
        "LOOKED_AT": min(max(1, _LOOKED_AT // columns), 128),
        "KEPT": kept,
        "COMPARED": _COMPARED // kept,
    }


def _compilation(dtype: str, numbers: int, limit: int, *, by_class: bool, selected: bool) -> Compilation:
    floats = "threshold greatest width height left top x_scale y_scale x_low y_low x_high y_high"
    strides = {"query_stride": 1} if by_class else {"number_stride": 1}
    return Compilation(
        find,
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
            **_sizes(numbers, limit),
        },
        {"num_warps": _WARPS, "enable_fp_fusion": False},
        ("scores", "boxes", "rows", "scratch", *(() if by_class else ("query_stride",))),
    )


COMPILATIONS = (
    _compilation("fp32", 1, 300, by_class=False, selected=False),
    _compilation("fp32", 80, 300, by_class=False, selected=False),
    _compilation("fp16", 80, 300, by_class=False, selected=True),
    _compilation("fp16", 80, 2048, by_class=True, selected=True),
    _compilation("fp16", 1203, 2048, by_class=False, selected=True),
)
