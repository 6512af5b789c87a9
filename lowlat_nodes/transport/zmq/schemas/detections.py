# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""Schemas `detections` and `labels`: what was found in an image, and what can be."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lowlat_nodes.stream.payload import Detections, Labels
from lowlat_nodes.transport.arrays import WireError, shown
from lowlat_nodes.transport.zmq.schemas.schema import (
    Arrays,
    Details,
    Schema,
    checked_names,
    expect_arrays,
    expect_forms,
)

_COLUMNS = 6


def _take_detections(payload: Detections) -> tuple[Details, Arrays]:
    arrays: Arrays = [np.asarray(payload.rows, np.float32)]
    if payload.tracks is not None:
        arrays.append(np.asarray(payload.tracks, np.int64))
    names = checked_names("detections", payload.names)
    _check(arrays, names)
    return {"names": names}, arrays


def _put_detections(fields: Mapping[str, Any], arrays: Arrays) -> Detections:
    names = checked_names("detections", fields.get("names"))
    _check(arrays, names)
    return Detections(arrays[0], names, arrays[1] if len(arrays) > 1 else None)


def _check(arrays: Arrays, names: Sequence[str]) -> None:
    forms = [(array.dtype.str, array.shape) for array in arrays]
    count = len(arrays[0]) if arrays and arrays[0].ndim else 0
    expected = [("<f4", (count, _COLUMNS)), ("<i8", (count,))]
    fits = bool(forms) and forms == expected[: len(forms)]
    expect_forms("detections", arrays, f"<f4 [n, {_COLUMNS}] and perhaps <i8 [n]", fits=fits)
    classes = arrays[0][:, -1]
    if count and not (classes.min() >= 0 and classes.max() < len(names)):  # nor NaN
        raise WireError(f"detections: expected classes from 0 to {len(names) - 1}")


def _take_labels(payload: Labels) -> tuple[Details, Arrays]:
    threshold = _checked_threshold(float(payload.threshold))
    return {"names": checked_names("labels", payload.names), "threshold": threshold}, []


def _put_labels(fields: Mapping[str, Any], arrays: Arrays) -> Labels:
    expect_arrays("labels", arrays, 0)
    threshold = _checked_threshold(fields.get("threshold", 0.0))
    return Labels(checked_names("labels", fields.get("names")), threshold)


def _checked_threshold(value: Any) -> float:
    if type(value) not in (float, int) or not math.isfinite(value):  # many encoders write 1.0 as 1
        raise WireError(f"labels: expected 'threshold' as a finite number, got {shown(value)}")
    return float(value)


DETECTIONS = Schema("detections", Detections, _take_detections, _put_detections)
LABELS = Schema("labels", Labels, _take_labels, _put_labels)
