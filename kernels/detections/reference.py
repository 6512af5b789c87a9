# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Detections one query after the other, in float64: what the other implementations are held to."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lowlat_nodes.kernels.detections.found import Found
from lowlat_nodes.kernels.detections.threshold import greatest_value, least_value
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource

_GREATEST = float(np.finfo(np.float32).max)
"""What is beyond the range of float32 is infinite, as rows are float32."""


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
    values, places = np.asarray(scores, np.float64), np.asarray(boxes, np.float64)
    wanted = range(values.shape[1]) if classes is None else np.flatnonzero(np.asarray(classes)).tolist()
    least, greatest = least_value(threshold, activation), greatest_value(activation)
    pairs: list[tuple[float, int, int, NDArray[np.float64]]] = []
    candidates = refused = 0
    for query, row in enumerate(values):
        if any(np.isnan(row[number]) or row[number] > greatest for number in wanted):
            refused += 1
            continue
        good = [number for number in wanted if row[number] >= least]
        in_input = _corners(places[query], box_format) * (to_source.width, to_source.height)
        if not (abs(in_input) <= _GREATEST).all():
            refused += len(good)
            continue
        candidates += len(good)
        corners = _placed(in_input, to_source)
        if (corners[1] > corners[0]).all():
            pairs += [(row[number], query, number, corners) for number in good]
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    found = out or Found.empty(limit)
    rows = np.zeros((limit, 6))
    for index, (value, _, number, corners) in enumerate(pairs[:limit]):
        rows[index, :4] = corners.ravel()
        rows[index, 4] = value if activation == "none" else _sigmoid(value)
        rows[index, 5] = number
    np.asarray(found.rows)[:] = rows
    np.asarray(found.counts)[:] = (min(limit, len(pairs)), candidates, refused)
    return found


def _corners(box: NDArray[np.float64], box_format: str) -> NDArray[np.float64]:
    """Return [[x1, y1], [x2, y2]] of a box."""
    first, second = box[:2], box[2:]
    if box_format == "cxcywh":
        with np.errstate(invalid="ignore"):  # infinity less infinity
            first, second = first - second / 2, first + second / 2
    return np.stack((first, second))


def _placed(corners: NDArray[np.float64], way: ToSource) -> NDArray[np.float64]:
    """Return corners in px of the input as corners in px of the source, within it."""
    source = (corners - (way.left, way.top)) * (way.x_scale, way.y_scale)
    placed: NDArray[np.float64] = np.clip(source, (way.x_low, way.y_low), (way.x_high, way.y_high))
    return placed


def _sigmoid(value: float) -> float:
    """Return the score of a logit, by the one of two formulas in which nothing overflows."""
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    return math.exp(value) / (1.0 + math.exp(value))
