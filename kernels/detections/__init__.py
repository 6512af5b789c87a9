# SPDX-FileCopyrightText: 2026 lowlat_nodes contributors
# SPDX-License-Identifier: Apache-2.0
"""What a detector without suppression means by its outputs: the best pairs of a box and a class, in px.

DETR and those after it, and the one-to-one heads of YOLOv10 and after, give a set of boxes, the scores of all
classes for each, and hardly two boxes for one thing. What remains to be done is to take the best pairs, turn
their boxes into corners in px of the source image, and stop.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lowlat_nodes.kernels.arguments import check_array, same_device
from lowlat_nodes.kernels.detections.found import COUNTS, Found
from lowlat_nodes.kernels.detections.to_source import UNPLACED, ToSource
from lowlat_nodes.kernels.errors import BadArgument
from lowlat_nodes.kernels.registry import of, op

__all__ = ["ACTIVATIONS", "BOX_FORMATS", "MOST_ROWS", "UNPLACED", "Found", "ToSource", "detections"]

ACTIVATIONS = ("sigmoid", "none")
"""What makes scores from 0 to 1 of the values given: the logistic function, or nothing."""

BOX_FORMATS = ("cxcywh", "xyxy")
"""Centre, width and height; or two corners."""

MOST_ROWS = 2048
"""The most detections of an image that are asked for; far more than there are things in it."""

_FLOATS = ("float32", "float16")


@op(
    "detections",
    ref=of("reference"),
    cpu=[of("cpu", needs="numba"), of("vectorised")],
    cuda=of("cuda", needs="torch triton"),
)
def detections(
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
) -> str:
    """Return the best detections of an image, in px of the source image.

    All pairs of a query and a class compete with each other, as in the post-processing of Deformable DETR
    (2010.04159): one box may be found as two classes. Scores are compared as they are given, logits with the
    logit of the threshold, and only what comes out is made a probability.

    Args:
        scores: float32 or float16 [queries, classes], in any order of memory: what `activation` makes scores
            of. The CPU copies them first unless they are float32 and contiguous one way or the other.
        boxes: float32 or float16 [queries, 4], in any order of memory, in the `box_format`.
        threshold: The least score, 0 to 1.
        limit: The most detections, 1 to `MOST_ROWS`.
        activation: One of `ACTIVATIONS`.
        box_format: One of `BOX_FORMATS`.
        to_source: Where boxes go; `UNPLACED` leaves them where they are.
        classes: bool [classes], which classes are wanted; None for all.
        out: Where to write, `rows` [limit, 6] and `counts` [3]; arrays of the host, or tensors on the GPU of
            the scores. None for new ones.

    Returns:
        `Found`: rows of x1, y1, x2, y2, score, class by falling score, of equal ones the lower query first
        and then the lower class; and how many there are. A query is left out, and counted as refused, if the
        score of a wanted class is NaN, or infinity where no `activation` makes a score of it. A pair is left
        out, and counted as refused, if its box is not finite; it is left out and not counted if nothing of
        its box is within the source image.

    Raises:
        BadArgument: If an argument is not as said here; nothing was written.
    """
    devices = {"scores": check_array("scores", scores, dtypes=_FLOATS, shape=(None, None), contiguous=False)}
    queries, columns = scores.shape
    devices["boxes"] = check_array("boxes", boxes, dtypes=_FLOATS, shape=(queries, 4), contiguous=False)
    if classes is not None:
        devices["classes"] = check_array("classes", classes, dtypes=("bool",), shape=(columns,))
    if not 0.0 <= threshold <= 1.0:
        raise BadArgument(f"threshold: expected a probability from 0 to 1, got {threshold}")
    if not 1 <= limit <= MOST_ROWS:
        raise BadArgument(f"limit: expected 1 to {MOST_ROWS} detections, got {limit}")
    if activation not in ACTIVATIONS:
        raise BadArgument(f"activation: expected {' or '.join(ACTIVATIONS)}, got {activation!r}")
    if box_format not in BOX_FORMATS:
        raise BadArgument(f"box_format: expected {' or '.join(BOX_FORMATS)}, got {box_format!r}")
    if not to_source.is_sound():
        raise BadArgument(f"to_source: expected sizes and scales above 0, low below high, got {to_source}")
    if out is not None:
        devices["out.rows"] = check_array("out.rows", out.rows, dtypes=("float32",), shape=(limit, 6))
        devices["out.counts"] = check_array("out.counts", out.counts, dtypes=("int32",), shape=(COUNTS,))
        for name, array in (("out.rows", out.rows), ("out.counts", out.counts)):
            if isinstance(array, np.ndarray) and not array.flags.writeable:
                raise BadArgument(f"{name}: expected memory that may be written, got some that is read-only")
    return same_device(devices)
